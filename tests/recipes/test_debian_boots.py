"""The base image on a bare QEMU, with nothing of ours around it: a BIOS, a virtio disk, a config drive."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pycdlib
import pytest

from armillary.recipes.service import build
from ports import free_port

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]

BOOT_SECONDS = 800


@dataclass
class Guest:
    port: int
    key: asyncssh.SSHKey

    def run(self, command: str) -> str:
        """Run a command, as soon as the machine lets us in."""
        return asyncio.run(self._run(command, time.monotonic() + BOOT_SECONDS))

    async def _run(self, command: str, deadline: float) -> str:
        while True:
            try:
                async with asyncssh.connect(
                    "127.0.0.1", self.port, username="debian", client_keys=[self.key], known_hosts=None,
                    config=None, connect_timeout=30, login_timeout=30,
                ) as connection:  # fmt: skip
                    done = await connection.run(command)
                    assert done.exit_status == 0, f"{command}: {done.stdout}{done.stderr}"
                    return str(done.stdout).strip()
            except (OSError, asyncssh.Error, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1)


def config_drive(path: Path, key: asyncssh.SSHKey) -> None:
    """A drive in OpenStack's format with a name, a key and user data."""
    metadata = {
        "uuid": "5f0b5c1e-8a53-4c0c-9a3b-2d7a3c9a8a10",
        "name": "probe",
        "hostname": "probe",
        "public_keys": {"me": key.export_public_key().decode().strip()},
    }
    drive = pycdlib.PyCdlib()
    drive.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="config-2")
    drive.add_directory("/OPENSTACK", rr_name="openstack", joliet_path="/openstack")
    drive.add_directory("/OPENSTACK/LATEST", rr_name="latest", joliet_path="/openstack/latest")
    user_data = b"#cloud-config\nruncmd:\n - touch /run/user-data-ran\n"
    for short, name, content in (
        ("META.JSN", "meta_data.json", json.dumps(metadata).encode()),
        ("USER.DAT", "user_data", user_data),
    ):
        drive.add_fp(
            io.BytesIO(content), len(content), f"/OPENSTACK/LATEST/{short};1",
            rr_name=name, joliet_path=f"/openstack/latest/{name}",
        )  # fmt: skip
    drive.write(str(path))
    drive.close()


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """The image, built or from the cache, running on 5 GiB with an ephemeral disk."""
    folder = tmp_path_factory.mktemp("guest")
    image = build("debian-12").path
    key = asyncssh.generate_private_key("ssh-ed25519")
    config_drive(folder / "config.iso", key)
    root, ephemeral = folder / "root.qcow2", folder / "ephemeral.raw"
    overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "qcow2", str(root), "5G"]
    subprocess.run(overlay, check=True)
    with ephemeral.open("wb") as file:
        file.truncate(2**29)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-L", "ephemeral0", str(ephemeral)], check=True)
    port = free_port()
    command = [
        "qemu-system-x86_64",
        "-M",
        "pc",
        "-accel",
        "tcg",
        "-m",
        "1024",
        "-smp",
        "2",
        "-display",
        "none",
    ]
    command += ["-monitor", "none", "-serial", f"file:{folder}/console.log"]
    for drive in (f"file={root},if=virtio", f"file={ephemeral},format=raw,if=virtio",
                  f"file={folder}/config.iso,format=raw,if=virtio,readonly=on"):  # fmt: skip
        command += ["-drive", drive]
    command += ["-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22"]
    with subprocess.Popen(command) as qemu:
        yield Guest(port, key)
        qemu.kill()


def test_it_boots_by_its_own_boot_loader_with_its_name_key_and_user_data(guest: Guest) -> None:
    assert guest.run("hostname") == "probe"
    assert guest.run("cloud-init status --wait").endswith("status: done")
    assert guest.run("ls /run/user-data-ran") == "/run/user-data-ran"
    assert guest.run("systemctl --failed --no-legend") == ""
    assert guest.run("sudo whoami") == "root"


def test_the_root_file_system_grew_to_the_disk(guest: Guest) -> None:
    assert int(guest.run("df -BM --output=size / | tail -n 1").rstrip("M")) > 4500


def test_the_ephemeral_disk_is_mounted(guest: Guest) -> None:
    assert guest.run("findmnt -n -o LABEL /mnt") == "ephemeral0"


def test_the_identity_was_made_here(guest: Guest) -> None:
    assert len(guest.run("cat /etc/machine-id")) == 32
    assert "probe" in guest.run("cat /etc/ssh/ssh_host_ed25519_key.pub")


def test_python_trusts_what_the_system_trusts_and_vos_is_there(guest: Guest) -> None:
    where = guest.run("python3 -c 'import certifi; print(certifi.where())'")
    assert where == "/etc/ssl/certs/ca-certificates.crt"
    for command in ("vcp", "cadc-get-cert"):
        assert f"usage: {command}" in guest.run(f"{command} --help")


def test_packages_can_be_installed(guest: Guest) -> None:
    guest.run("sudo apt-get -q update && sudo apt-get -qy install hello")
    assert guest.run("hello") == "Hello, world!"


def test_the_helpers_prepare_it_for_batch_and_it_runs_on(guest: Guest) -> None:
    guest.run("sudo canfar_create_user ada && sudo canfar_setup_scratch")
    assert guest.run("stat -c '%a %m' /mnt/scratch") == "1777 /mnt"
    assert guest.run("id -un ada && sudo -l -U ada | tail -n 1").splitlines()[0] == "ada"
    guest.run("sudo canfar_batch_prepare")
    assert guest.run("cat /etc/machine-id") == ""
    assert guest.run("ls /var/lib/cloud") == ""


def test_it_boots_again_by_a_boot_menu_that_it_wrote_itself(guest: Guest) -> None:
    guest.run("sudo update-grub")
    assert "root=UUID=" in guest.run("sudo grep -m 1 -P '^\\s*linux\\s' /boot/grub/grub.cfg")
    before = guest.run("cat /proc/sys/kernel/random/boot_id")
    guest.run("sudo systemd-run --on-active=1 systemctl reboot")
    deadline = time.monotonic() + BOOT_SECONDS
    while guest.run("cat /proc/sys/kernel/random/boot_id") == before:
        assert time.monotonic() < deadline
    assert len(guest.run("cat /etc/machine-id")) == 32
