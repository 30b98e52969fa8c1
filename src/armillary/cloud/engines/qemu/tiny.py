"""The smallest machine: a boot sector that says one line on the serial console, and lets go of pulled devices.

It boots in a tenth of a second even without KVM, so that promises about machines can be tried out quickly.
"""

from __future__ import annotations

SAYS = b"armillary boot sector alive"
_SECTOR = 512
_LOADED_AT = 0x7C00
_SERIAL_PORT = 0x3F8
_PULLED, _EJECT, _BUS = 0xAE04, 0xAE08, 0xAE10
"""Ports of QEMU's ACPI PCI hot plug on the i440FX board (docs/specs/acpi_pci_hotplug): slots that shall go, slots that
may go, and the bus that is meant."""


def boot_sector(*, lets_go: bool = True) -> bytes:
    """Return a bootable raw disk of 1 MiB (16-bit code of the IBM PC, loaded by the BIOS at 0x7c00).

    Args:
        lets_go: whether it gives up the devices that it is asked for.
    """
    setup = bytes.fromhex("fa 31c0 8ed8 be")  # cli; xor ax, ax; mov ds, ax; mov si, (text)
    # lodsb; test al, al; jz wait; mov dx, (serial port); out dx, al; jmp say
    say = bytes.fromhex("ac 84c0 7406 ba") + _word(_SERIAL_PORT) + bytes.fromhex("ee ebf5")
    wait = bytes.fromhex("fb f4")  # sti; hlt: until the next tick of the BIOS's timer
    if lets_go:
        wait += (
            bytes.fromhex("ba") + _word(_BUS) + bytes.fromhex("6631c0 66ef")
        )  # mov dx; xor eax, eax; out dx, eax
        wait += bytes.fromhex("ba") + _word(_PULLED) + bytes.fromhex("66ed")  # mov dx; in eax, dx
        # test eax, eax; jz (over the next two); mov dx; out dx, eax
        wait += bytes.fromhex("6685c0 7405 ba") + _word(_EJECT) + bytes.fromhex("66ef")
    wait += b"\xeb" + (-len(wait) - 2).to_bytes(1, "little", signed=True)  # jmp wait
    text = _LOADED_AT + len(setup) + 2 + len(say) + len(wait)
    code = setup + _word(text) + say + wait + SAYS + b"\r\n\0"
    return (code.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa").ljust(2**20, b"\0")


def _word(number: int) -> bytes:
    return number.to_bytes(2, "little")
