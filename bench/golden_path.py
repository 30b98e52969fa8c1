"""How long the golden path's slow steps take, with a bare QEMU boot of the same image as the peer, in the same run.

    .venv/bin/python bench/golden_path.py [--rounds 3]

Prints medians: platform start to first answered request, resident memory of the idle platform, create → ssh on our cloud and on
bare `qemu-system-x86_64` with the same image, sizes and acceleration, and their ratio. Rounds alternate between the two.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

VCPUS, RAM_MIB, DISK_GIB = 2, 2048, 10


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_ssh(host: str, port: int, key: Path, *, timeout: float = 600) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done = subprocess.run(
            ["ssh", "-i", key, "-p", str(port), "-o", "BatchMode=yes", "-o", "ConnectTimeout=3",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
             f"debian@{host}", "true"],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return
        time.sleep(0.2)
    raise SystemExit(f"no ssh at {host}:{port} after {timeout:.0f} s")


def bare_boot(image: Path, key: Path, accelerator: str, folder: Path) -> float:
    """Boot the image with plain user-mode networking, and return the seconds until ssh."""
    from armillary.cloud.engines.qemu.disks import make_config_drive

    public = key.with_suffix(".pub").read_text().strip()
    meta = {"uuid": "0" * 8, "hostname": "bare", "name": "bare", "public_keys": {"k": public}}
    drive = folder / "config.iso"
    start = time.monotonic()
    make_config_drive(drive, {"openstack/latest/meta_data.json": json.dumps(meta).encode()})
    disk = folder / "bare.qcow2"
    disk.unlink(missing_ok=True)
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk, f"{DISK_GIB}G"],
        check=True,
    )
    port = free_port()
    process = subprocess.Popen(
        ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-machine", "pc",
         *(["-accel", "kvm", "-cpu", "host"] if accelerator == "kvm" else ["-accel", "tcg,thread=multi", "-cpu", "max"]),
         "-smp", str(VCPUS), "-m", str(RAM_MIB), "-smbios", "type=1,product=OpenStack Nova",
         "-drive", f"file={disk},if=virtio,format=qcow2", "-drive", f"file={drive},if=virtio,format=raw,readonly=on",
         "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-rng-pci",
         "-serial", f"file:{folder / 'console.log'}"],
    )  # fmt: skip
    try:
        wait_for_ssh("127.0.0.1", port, key)
        return time.monotonic() - start
    finally:
        process.kill()
        process.wait()


class Ours:
    """A platform of its own for the measurement."""

    def __init__(self, home: Path) -> None:
        os.environ["ARMILLARY_HOME"] = str(home)
        for name in ("HTTPS_PORT", "HTTP_PORT"):
            os.environ[f"ARMILLARY_{name}"] = str(free_port())
        home.mkdir(parents=True, exist_ok=True)
        (home / "armillary.toml").write_text(
            f'[[clouds]]\nname = "east"\nport = {free_port()}\nfloating_cidr = "127.18.0.0/24"\n'
        )
        from armillary.app.daemon import start
        from armillary.app.settings import load_settings

        self.settings = load_settings()
        began = time.monotonic()
        self.instance, self.password = start(self.settings)
        self.start_seconds = time.monotonic() - began
        time.sleep(5)
        status = Path(f"/proc/{self.instance.pid}/status").read_text()
        self.resident_mib = int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def connect(self) -> Any:
        import openstack

        return openstack.connect(
            auth_url=self.instance.clouds["east"], username="admin", password=self.password, project_name="admin",
            user_domain_id="default", project_domain_id="default", region_name="east",
        )  # fmt: skip

    def close(self) -> None:
        from armillary.app.instance import stop

        stop(self.settings.home)


def our_boot(cloud: Any, image: str, key: Path, number: int) -> float:
    """Create a server with a floating IP, and return the seconds until ssh."""
    network = next(n for n in cloud.network.networks() if not n.is_router_external)
    flavor = cloud.compute.find_flavor("c2-2gb-10")
    public = cloud.network.find_network("public")
    address = cloud.network.create_ip(floating_network_id=public.id)
    start = time.monotonic()
    server = cloud.compute.create_server(
        name=f"bench-{number}",
        image_id=image,
        flavor_id=flavor.id,
        key_name="bench",
        networks=[{"uuid": network.id}],
    )
    ports: list[Any] = []
    while not ports:
        ports = list(cloud.network.ports(device_id=server.id))
    cloud.network.update_ip(address, port_id=ports[0].id)
    wait_for_ssh(address.floating_ip_address, _port(cloud, address), key)
    seconds = time.monotonic() - start
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server)
    cloud.network.delete_ip(address)
    return seconds


def _port(cloud: Any, address: Any) -> int:
    words = (cloud.network.get_ip(address.id).description or "").rpartition("ssh port ")[2].split()
    return int(words[0]) if words and words[0].isdigit() else 22


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    console = Console(stderr=True)
    from armillary.app.acceleration import choose_acceleration
    from armillary.recipes.service import build

    image = build("debian-12", progress=console.print)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        ours = Ours(folder / "home")
        try:
            accelerator = choose_acceleration(ours.settings).kind
            cloud = ours.connect()
            cloud.compute.create_keypair(name="bench", public_key=key.with_suffix(".pub").read_text())
            uploaded = cloud.create_image(
                "debian-12", filename=str(image.path), disk_format="qcow2", wait=True
            )
            bare, mine = [], []
            for number in range(chosen.rounds):
                bare.append(bare_boot(image.path, key, accelerator, folder))
                mine.append(our_boot(cloud, uploaded.id, key, number))
                console.print(f"round {number + 1}: bare {bare[-1]:.1f} s, ours {mine[-1]:.1f} s")
        finally:
            ours.close()
    ratio = statistics.median(mine) / statistics.median(bare)
    table = Table("figure", "median", "bound", title=f"golden path, {accelerator}, {chosen.rounds} rounds")
    table.add_row("platform start → first answer", f"{ours.start_seconds:.2f} s", "2 s")
    table.add_row("resident memory, idle", f"{ours.resident_mib:.0f} MiB", "200 MiB")
    table.add_row("bare QEMU boot → ssh", f"{statistics.median(bare):.1f} s", "")
    table.add_row("our create → ssh", f"{statistics.median(mine):.1f} s", "")
    table.add_row("ratio ours / bare", f"{ratio:.2f}", "1.15")
    Console(file=sys.stdout).print(table)
    if chosen.json:
        chosen.json.write_text(
            json.dumps(
                {
                    "start_seconds": ours.start_seconds,
                    "resident_mib": ours.resident_mib,
                    "bare_seconds": bare,
                    "our_seconds": mine,
                    "ratio": ratio,
                }
            )
        )


if __name__ == "__main__":
    main()
