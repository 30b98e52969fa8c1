"""The first mebibyte of a BIOS disk: a partition table, and GRUB in the gap before the first partition.

It does what `grub-bios-setup` does, without a block device to do it on. Layouts after GRUB 2.06,
`include/grub/i386/pc/boot.h` and `grub-core/boot/i386/pc/{boot,diskboot}.S`.
"""

from __future__ import annotations

import struct

SECTOR = 512
FIRST_PARTITION = 2048
"""The first partition's sector: at 1 MiB, where every partitioner aligns it."""

_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_DISK_SIGNATURE = 0x1B8
_TABLE = 0x1BE
_BLOCKLIST = SECTOR - 12
_KERNEL_SEGMENT = 0x820
_NOPS = b"\x90\x90"
_LINUX = 0x83
_BOOTABLE = 0x80
_ANY_CHS = b"\xfe\xff\xff"


def boot_area(*, boot_img: bytes, core_img: bytes, disk_sectors: int, signature: int) -> bytes:
    """Return the first `FIRST_PARTITION` sectors of a disk whose one partition takes all the rest.

    Args:
        boot_img: GRUB's `boot.img`, one sector.
        core_img: what `grub-mkimage -O i386-pc` made; its prefix names where the rest of GRUB is.
        disk_sectors: the size of the whole disk, in sectors of 512 bytes.
        signature: the disk's 32-bit identifier in the partition table.

    Raises:
        ValueError: the images are not GRUB's, or the core does not fit before the partition.
    """
    if len(boot_img) != SECTOR or boot_img[-2:] != b"\x55\xaa":
        raise ValueError("boot.img is not one boot sector")
    core = core_img + bytes(-len(core_img) % SECTOR)
    if len(core) < 2 * SECTOR or len(core) > (FIRST_PARTITION - 1) * SECTOR:
        raise ValueError(f"core.img of {len(core_img)} bytes does not fit before the first partition")
    area = _master_boot_record(boot_img, disk_sectors, signature) + _with_blocklist(core)
    return area + bytes(FIRST_PARTITION * SECTOR - len(area))


def _master_boot_record(boot_img: bytes, disk_sectors: int, signature: int) -> bytes:
    sector = bytearray(boot_img)
    struct.pack_into("<Q", sector, _KERNEL_SECTOR, 1)
    # boot.img jumps over the check of the drive number for floppies; a hard disk wants the check
    sector[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _NOPS
    struct.pack_into("<IH", sector, _DISK_SIGNATURE, signature, 0)
    sector[_TABLE : _TABLE + 64] = bytes(64)
    length = disk_sectors - FIRST_PARTITION
    # CHS addresses that say "ask for LBA"
    entry = struct.pack("<B3sB3sII", _BOOTABLE, _ANY_CHS, _LINUX, _ANY_CHS, FIRST_PARTITION, length)
    sector[_TABLE : _TABLE + 16] = entry
    return bytes(sector)


def _with_blocklist(core: bytes) -> bytes:
    """Tell the core's first sector where its others are: right behind it, from sector 2."""
    patched = bytearray(core)
    struct.pack_into("<QHH", patched, _BLOCKLIST, 2, len(core) // SECTOR - 1, _KERNEL_SEGMENT)
    return bytes(patched)
