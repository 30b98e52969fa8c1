"""The smallest machine: a boot sector that says one line on the serial console and waits.

It boots in a tenth of a second even without KVM, so that promises about machines can be tried out quickly.
"""

from __future__ import annotations

SAYS = b"armillary boot sector alive"
_SECTOR = 512
_LOADED_AT = 0x7C00
_SERIAL_PORT = 0x3F8


def boot_sector() -> bytes:
    """Return a bootable raw disk of 1 MiB (16-bit code of the IBM PC, loaded by the BIOS at 0x7c00)."""
    setup = bytes.fromhex("fa 31c0 8ed8 be")  # cli; xor ax, ax; mov ds, ax; mov si, (text)
    say = bytes.fromhex("ac 84c0 7406 ba") + _SERIAL_PORT.to_bytes(
        2, "little"
    )  # lodsb; test al, al; jz wait; mov dx
    say += bytes.fromhex("ee ebf5")  # out dx, al; jmp say
    wait = bytes.fromhex("fb f4 ebfc")  # sti; hlt; jmp wait
    text = _LOADED_AT + len(setup) + 2 + len(say) + len(wait)
    code = setup + text.to_bytes(2, "little") + say + wait + SAYS + b"\r\n\0"
    return (code.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa").ljust(2**20, b"\0")
