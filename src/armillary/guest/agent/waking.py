"""Waits, in a machine that is nobody yet, to be told who it is, and becomes it.

A cloud that can may boot a machine from a worker's image ahead of time, keep its memory while we wait here, and let
many workers go on from that moment. Each of them has the same identity, clock and random numbers then, and must not
keep any of them. We do for it what its boot would have done: nothing here needs more than the standard library, and
none of it may be used (TLS least of all) before `wait` has returned.

A worker's keeper and its threads are made after this, and so differ from machine to machine.

On the line, the second serial port: we say `waiting`; we are told `wake SECONDS ENTROPY` (the time, and random bytes
in hexadecimal); we say `awake`, or `failed` and why, and then we are booted anew instead. Who we are stands on the
config drive, which is another one by then.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import gzip
import json
import os
import random
import re
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import termios
import time
import tty
from pathlib import Path
from typing import Any

from armillary.guest.agent.basics import Json, say

WORKER_CONFIG = "/etc/armillary/agent.json"
START = "/opt/armillary/start"
PATIENCE = 1800.0
"""Seconds after which a template that nobody keeps or wakes switches itself off."""
_SAY_AGAIN = 1.0
_NETWORK_SECONDS = 25.0
_RNDADDENTROPY, _RNDRESEEDCRNG = 0x40085203, 0x5207
_BLKFLSBUF = 0x1261
_SIOCGIFADDR, _SIOCSIFHWADDR, _ARPHRD_ETHER = 0x8915, 0x8924, 1
_SHOW = """\
systemctl unmask --runtime --quiet ssh.service sshd.service
for kind in ed25519 ecdsa; do ssh-keygen -q -t $kind -N '' -f /etc/ssh/ssh_host_${kind}_key </dev/null; done
for unit in ssh sshd; do
  if systemctl is-enabled -q $unit; then systemctl restart $unit; exit; fi
done
"""
"""Makes host keys, which no template has, of the kinds that take no time, and lets ssh answer, which it did not."""


class Failed(Exception):
    """We cannot become who we were told to be."""


class Line:
    """The serial port, line by line."""

    def __init__(self, port: str) -> None:
        # without waiting for a carrier, which no one gives
        self._fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._heard = b""
        if os.isatty(self._fd):
            tty.setraw(self._fd)
            settings = termios.tcgetattr(self._fd)
            settings[2] |= termios.CLOCAL
            termios.tcsetattr(self._fd, termios.TCSANOW, settings)
            termios.tcflush(self._fd, termios.TCIFLUSH)

    def say(self, words: str) -> None:
        """Write a line."""
        rest = words.encode("ascii", "replace")[:1000] + b"\n"
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                select.select([], [self._fd], [], 1.0)

    def hear(self, within: float) -> str:
        """Return the next line, empty if none comes in time."""
        deadline = time.monotonic() + within
        while b"\n" not in self._heard:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                return ""
            with contextlib.suppress(BlockingIOError):
                self._heard += os.read(self._fd, 4096)
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode("ascii", "replace").strip()


def wait(port: str) -> None:
    """Wait at `port` until this machine has become somebody. Does not return in a machine that nobody wakes."""
    _come_to_rest()
    line = Line(port)
    try:
        _card()
    except Failed as error:  # we are not even a template: said now, it costs no worker the time to find out
        line.say(f"failed {error}")
        raise
    began = time.monotonic()
    while True:
        line.say("waiting")
        words = line.hear(_SAY_AGAIN).split()
        if words[:1] == ["wake"]:
            try:
                become(float(words[1]), bytes.fromhex(words[2]))
            except (Failed, OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as error:
                say(f"cannot wake: {type(error).__name__}: {error}")
                line.say(f"failed {type(error).__name__}: {error}")
                continue
            line.say("awake")
            _show_itself()
            return
        if time.monotonic() - began > PATIENCE:
            _run("systemctl", "poweroff")
            began = time.monotonic()


def become(seconds: float, entropy: bytes) -> None:
    """Become who the config drive says that we are."""
    time.clock_settime(time.CLOCK_REALTIME, seconds)  # first: certificates have a beginning
    with read_drive() as drive:
        about, links, document = read_identity(drive)
    _stir(entropy, about)
    old_id = _machine_id()
    _become_machine()
    _rename_journal(old_id)
    _become_host(about)
    _become_instance(about)
    _become_card(links)
    write_files(document)
    environment = {**os.environ, "ARMILLARY_AWAKE": "1"}
    if subprocess.run(["sh", START], env=environment, check=False).returncode:
        raise Failed(f"{START} failed")


def _show_itself() -> None:
    """Let host keys be made and ssh answer, beside us: in a unit of its own, since our control group is about to be
    shared out among jobs, and from a file, since systemd would put something for `${kind}` itself.
    """
    script = Path("/run/armillary-show")
    script.write_text(_SHOW)
    _run("systemd-run", "--quiet", "--no-block", "--collect", "sh", str(script))


# --- before


def _come_to_rest() -> None:
    """Wait until the boot is over, and bring all of it to the disk: it is what every machine after us begins from."""
    for command in (["cloud-init", "status", "--wait"], ["systemctl", "is-system-running", "--wait"]):
        if shutil.which(command[0]):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    for key in Path("/etc/ssh").glob("ssh_host_*_key*"):  # of an image that makes its own
        key.unlink()
    os.sync()


# --- who we are


@contextlib.contextmanager
def read_drive() -> Any:
    """Give the folder of the config drive as it is now, whatever was read from it before."""
    device = Path("/dev/disk/by-label/config-2").resolve()
    with device.open("rb") as file:
        fcntl.ioctl(file, _BLKFLSBUF, 0)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-o", "ro", "-t", "iso9660", str(device), folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def read_identity(drive: Path) -> tuple[Json, list[Json], Json]:
    """Return what a config drive says: about the server, of its cards, and the worker's cloud-config."""
    latest = drive / "openstack" / "latest"
    about: Json = json.loads((latest / "meta_data.json").read_text())
    network: Json = json.loads((latest / "network_data.json").read_text())
    text = (latest / "user_data").read_text()
    if not text.startswith("#cloud-config\n{"):
        raise Failed("the user data are not a worker's")
    document: Json = json.loads(text.split("\n", 1)[1])
    if WORKER_CONFIG not in [entry.get("path") for entry in document.get("write_files") or ()]:
        raise Failed("the user data are not a worker's")
    return about, list(network["links"]), document


def write_files(document: Json, root: Path = Path("/")) -> None:
    """Write the files of a cloud-config, the agent's configuration last: with it we are the worker."""
    entries = list(document["write_files"])
    for entry in sorted(entries, key=lambda entry: bool(entry["path"] == WORKER_CONFIG)):
        content = entry["content"].encode()
        if entry.get("encoding") == "gz+b64":
            content = gzip.decompress(base64.b64decode(content))
        elif entry.get("encoding"):
            raise Failed(f"a file comes as {entry['encoding']}")
        path = root / str(entry["path"]).lstrip("/")
        if path.exists() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        mode = int(entry.get("permissions") or "0644", 8)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
        new.chmod(mode)
        new.replace(path)


# --- becoming it


def _stir(entropy: bytes, about: Json) -> None:
    """Make random numbers those of nobody else: the kernel's, and those that this process may have begun."""
    seed = entropy + base64.b64decode(about.get("random_seed") or "") + str(about["uuid"]).encode()
    with Path("/dev/urandom").open("wb") as pool:
        fcntl.ioctl(pool, _RNDADDENTROPY, struct.pack("ii", len(entropy) * 8, len(seed)) + seed)
        fcntl.ioctl(pool, _RNDRESEEDCRNG)
    fresh = os.urandom(64)
    random.seed(fresh)
    ssl.RAND_add(fresh, 64.0)
    with contextlib.suppress(OSError):  # what systemd would seed the next boot with
        Path("/var/lib/systemd/random-seed").unlink()


def _machine_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/etc/machine-id").read_text().strip()
    return ""


def _become_machine() -> None:
    made = bytearray(os.urandom(16))
    made[6], made[8] = made[6] & 0x0F | 0x40, made[8] & 0x3F | 0x80  # a version 4 UUID: machine-id(5)
    for place in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        if place.is_file() and not place.is_symlink():
            place.write_text(made.hex() + "\n")


def _rename_journal(old: str) -> None:
    """Let the journal be found under the new machine id; who writes it has its files open."""
    for place in ("/run/log/journal", "/var/log/journal"):
        if old and Path(f"{place}/{old}").is_dir():
            Path(f"{place}/{old}").rename(f"{place}/{_machine_id()}")


def _become_host(about: Json) -> None:
    name = str(about.get("hostname") or about.get("name") or "worker").split(".")[0]
    old = socket.gethostname()
    socket.sethostname(name)
    Path("/etc/hostname").write_text(name + "\n")
    hosts = Path("/etc/hosts")
    if old not in ("localhost", name):
        hosts.write_text(re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-])", name, hosts.read_text()))


def _become_instance(about: Json) -> None:
    """Let cloud-init find, at a later boot, that it has set this instance up."""
    data, new = Path("/var/lib/cloud/data/instance-id"), str(about["uuid"])
    with contextlib.suppress(OSError):
        old = data.read_text().strip()
        cloud = Path("/var/lib/cloud")
        (cloud / "instances" / old).rename(cloud / "instances" / new)
        for stale in ("obj.pkl", "user-data.txt", "user-data.txt.i"):
            with contextlib.suppress(OSError):
                (cloud / "instances" / new / stale).unlink()
        (cloud / "instance").unlink()
        (cloud / "instance").symlink_to(cloud / "instances" / new)
        data.write_text(new + "\n")
        for told in Path("/run/cloud-init").glob("instance-data*.json"):
            told.unlink()
        with contextlib.suppress(OSError):
            Path("/run/cloud-init/.instance-id").write_text(new + "\n")


# --- the network card


def _card() -> str:
    """Return the name of the one card that we know how to give another address."""
    cards = [path.parent.name for path in Path("/sys/class/net").glob("*/device")]
    if len(cards) != 1:
        raise Failed(f"there are {len(cards)} network cards")
    if not Path("/run/systemd/netif").is_dir():
        raise Failed("the network is not systemd-networkd's")
    return cards[0]


def _become_card(links: list[Json]) -> None:
    if len(links) != 1:
        raise Failed(f"the config drive has {len(links)} cards")
    name, (link,) = _card(), links
    old = Path(f"/sys/class/net/{name}/address").read_text().strip()
    new = str(link["ethernet_mac_address"]).lower()
    _run("ip", "addr", "flush", "dev", name)
    _set_mac(name, new)
    for pattern in (
        "/etc/systemd/network/*",
        "/run/systemd/network/*",
        "/etc/netplan/*",
        "/etc/udev/rules.d/*",
    ):
        for path in Path("/").glob(pattern.lstrip("/")):
            if path.is_file() and old in (text := path.read_text(errors="surrogateescape")):
                path.write_text(text.replace(old, new), errors="surrogateescape")
    for lease in Path("/run/systemd/netif/leases").glob("*"):
        lease.unlink()
    # anew, because it remembers who it was: its identifier in DHCP comes from the machine id
    _run("systemctl", "restart", "systemd-networkd")
    _await_network(name)


def _set_mac(name: str, mac: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        octets = bytes.fromhex(mac.replace(":", ""))
        request = struct.pack("16sH14s", name.encode(), _ARPHRD_ETHER, octets)
        fcntl.ioctl(door, _SIOCSIFHWADDR, request.ljust(40, b"\0"))


def _await_network(name: str) -> None:
    deadline = time.monotonic() + _NETWORK_SECONDS
    while time.monotonic() < deadline:
        if _has_address(name) and _has_way_out():
            return
        time.sleep(0.05)
    raise Failed(f"{name} has no address and way out after {_NETWORK_SECONDS:.0f} s")


def _has_address(name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        try:
            fcntl.ioctl(door, _SIOCGIFADDR, struct.pack("256s", name.encode()))
        except OSError:
            return False
        return True


def _has_way_out() -> bool:
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    return any(route[1] == "00000000" for route in routes)


def _run(*command: str) -> None:
    with contextlib.suppress(OSError):
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
