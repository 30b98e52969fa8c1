"""From the file of an image to the bytes of its disk."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from armillary.base.errors import Invalid
from armillary.disks.qcow2 import MAGIC, Qcow2
from armillary.disks.sources import RawFile, Source

_OTHERS = {b"KDMV": "vmdk", b"conectix": "vhd", b"vhdxfile": "vhdx", b"\x7fELF": "a program"}


@contextmanager
def open_disk(path: Path, *, backing: Sequence[Path] = ()) -> Generator[Source]:
    """Open a qcow2 or raw image; `backing` are the files that it stands on, the nearest first, and no others are read.

    Raises:
        Invalid: `image_unreadable`, `image_needs_backing`, `image_has_no_backing`, `image_format`.
    """
    with ExitStack() as closing:
        disk: Source | None = None
        for place in reversed((path, *backing)):
            file = RawFile(path=place)
            closing.callback(file.close)
            disk = _disk(file, disk)
        assert disk is not None
        yield disk


def _disk(file: RawFile, below: Source | None) -> Source:
    start = file.at(0, min(8, file.size))
    if start[:4] == MAGIC:
        return Qcow2(file=file, backing=below)
    for magic, kind in _OTHERS.items():
        if start.startswith(magic):
            raise Invalid(
                f"The image is {kind}, and qcow2 and raw disks are read.",
                code="image_format",
                facts={"format": kind},
                remedy="Convert it: qemu-img convert -O qcow2 IN OUT",
            )
    if below is not None:
        raise Invalid("A raw disk stands on no other one.", code="image_has_no_backing")
    return file
