"""The recipe `debian-12`: a small Debian for clouds, quick to boot, with what astronomers need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from armillary.base.units import Bytes
from armillary.recipes.model import GuestFile, Recipe

_PARTS = Path(__file__).parent / "debian_12"
_HELPERS = Path(__file__).parent.parent / "guest" / "helpers"

_SYSTEM = (
    "linux-image-cloud-amd64 initramfs-tools zstd grub-pc systemd systemd-sysv systemd-resolved "
    "systemd-timesyncd dbus udev kmod e2fsprogs fdisk cloud-init cloud-guest-utils qemu-guest-agent "
    "openssh-server openssh-sftp-server sudo debian-archive-keyring ca-certificates"
)
_COMFORT = (
    "curl wget rsync iproute2 iputils-ping netbase procps less vim-tiny bzip2 xz-utils file tzdata "
    "bash-completion"
)
# the second line is what the VOSpace client stands on; Debian's requests and certifi trust the system's
# certificate store, which is where a worker puts the platform's authority
_PYTHON = (
    "python3 python3-requests python3-certifi python3-urllib3 "
    "python3-lxml python3-distro python3-html2text python3-packaging python3-setuptools"
)


def debian_12() -> Recipe:
    """Return the recipe of the base image."""
    return Recipe(
        name="debian-12",
        version="2",
        title="Debian 12 (bookworm), cloud kernel, BIOS boot",
        suite="bookworm",
        python="3.11",
        packages=tuple(f"{_SYSTEM} {_COMFORT} {_PYTHON}".split()),
        wheels=("vos==3.7", "cadcutils==1.6.2"),
        wheels_from_system=frozenset(
            (
                "requests",
                "certifi",
                "urllib3",
                "charset-normalizer",
                "idna",
                "lxml",
                "distro",
                "html2text",
                "packaging",
                "setuptools",
            )
        ),
        files=dict(_files()),
        setup=(_PARTS / "setup.sh").read_text(encoding="utf-8"),
        size=Bytes(2 * 2**30),
        properties={
            "os_distro": "debian",
            "os_version": "12",
            "os_type": "linux",
            "os_admin_user": "debian",
            "hw_qemu_guest_agent": "yes",
            "hw_disk_bus": "virtio",
            "architecture": "x86_64",
        },
    )


def recipes() -> dict[str, Recipe]:
    """Return every recipe by its name."""
    return {recipe.name: recipe for recipe in (debian_12(),)}


def _files() -> Iterator[tuple[str, GuestFile]]:
    overlay = _PARTS / "overlay"
    for path in sorted(overlay.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(overlay)), GuestFile(content=path.read_bytes())
    yield "root/armillary/initramfs-modules", GuestFile(content=(_PARTS / "initramfs-modules").read_bytes())
    for helper in sorted(_HELPERS.glob("canfar_*.py")):
        yield f"usr/local/bin/{helper.stem}", GuestFile(content=helper.read_bytes(), mode=0o755)
