"""GRUB in front of a disk, as its own installer would put it there."""

from __future__ import annotations

import struct

import pytest

from armillary.recipes.bootloader import FIRST_PARTITION, SECTOR, boot_area

BOOT = bytes(range(1, 255)).ljust(510, b"\x01") + b"\x55\xaa"
CORE = b"\xeb\x10" + b"c" * 30_000
DISK_SECTORS = 4 * 2**20


def area(*, boot: bytes = BOOT, core: bytes = CORE) -> bytes:
    return boot_area(boot_img=boot, core_img=core, disk_sectors=DISK_SECTORS, signature=0xCAFE1234)


def test_it_fills_the_gap_to_the_first_partition() -> None:
    assert len(area()) == FIRST_PARTITION * SECTOR == 2**20


def test_the_one_partition_is_bootable_linux_and_takes_the_rest() -> None:
    sector = area()[:SECTOR]
    flag, kind = sector[0x1BE], sector[0x1C2]
    start, length = struct.unpack_from("<II", sector, 0x1C6)
    assert (flag, kind) == (0x80, 0x83)
    assert (start, start + length) == (FIRST_PARTITION, DISK_SECTORS)
    assert sector[0x1CE:0x1FE] == bytes(48)
    assert struct.unpack_from("<I", sector, 0x1B8) == (0xCAFE1234,)
    assert sector[-2:] == b"\x55\xaa"


def test_the_boot_sector_loads_the_core_from_sector_one_and_checks_the_drive() -> None:
    sector = area()[:SECTOR]
    assert struct.unpack_from("<Q", sector, 0x5C) == (1,)
    assert sector[0x66:0x68] == b"\x90\x90"
    assert sector[:0x5C] == BOOT[:0x5C]


def test_the_core_knows_where_its_other_sectors_are() -> None:
    made = area()
    start, length, segment = struct.unpack_from("<QHH", made, 2 * SECTOR - 12)
    assert (start, segment) == (2, 0x820)
    assert length == -(-len(CORE) // SECTOR) - 1
    assert made[2 * SECTOR : SECTOR + len(CORE)] == CORE[SECTOR:]


@pytest.mark.parametrize(
    ("boot", "core"),
    [(BOOT[:-1], CORE), (BOOT[:-2] + b"\0\0", CORE), (BOOT, b"c" * 100), (BOOT, b"c" * 2**20)],
)
def test_what_is_not_grub_or_does_not_fit_is_refused(boot: bytes, core: bytes) -> None:
    with pytest.raises(ValueError, match=r"boot\.img|core\.img"):
        area(boot=boot, core=core)
