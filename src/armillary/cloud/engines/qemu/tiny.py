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


def boot_sector(*, lets_go: bool = True, waits: bool = False, answer: bytes = b"awake") -> bytes:
    """Return a bootable raw disk of 1 MiB (16-bit code of the IBM PC, loaded by the BIOS at 0x7c00).

    Args:
        lets_go: whether it gives up the devices that it is asked for.
        waits: whether it says `waiting` on the second serial port until it is told a line there, where there is one.
        answer: what it says to that line; then it says its own line on the first serial port once more.
    """
    setup = bytes.fromhex("fa 31c0 8ed8 be")  # cli; xor ax, ax; mov ds, ax; mov si, (text)
    # lodsb; test al, al; jz wait; mov dx, (serial port); out dx, al; jmp say
    say = bytes.fromhex("ac 84c0 7406 ba") + _word(_SERIAL_PORT) + bytes.fromhex("ee ebf5")
    if waits:
        before = len(setup) + 2 + len(say)
        waiting = _wait_to_be_told(_LOADED_AT + before, answer)
    else:
        waiting = b""
    wait = bytes.fromhex("fb f4")  # sti; hlt: until the next tick of the BIOS's timer
    if lets_go:
        wait += (
            bytes.fromhex("ba") + _word(_BUS) + bytes.fromhex("6631c0 66ef")
        )  # mov dx; xor eax, eax; out dx, eax
        wait += bytes.fromhex("ba") + _word(_PULLED) + bytes.fromhex("66ed")  # mov dx; in eax, dx
        # test eax, eax; jz (over the next two); mov dx; out dx, eax
        wait += bytes.fromhex("6685c0 7405 ba") + _word(_EJECT) + bytes.fromhex("66ef")
    wait += b"\xeb" + (-len(wait) - 2).to_bytes(1, "little", signed=True)  # jmp wait
    text = _LOADED_AT + len(setup) + 2 + len(say) + len(waiting) + len(wait)
    code = setup + _word(text) + say + waiting + wait + SAYS + b"\r\n\0"
    return (code.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa").ljust(2**20, b"\0")


def _wait_to_be_told(place: int, answer: bytes) -> bytes:
    """Return the code that waits on COM2 and goes on behind itself, for a place in memory."""
    texts = (b"waiting\n\0", answer + b"\n\0", SAYS + b" again\r\n\0")
    length = 0x3D + 2
    first = place + length
    waiting, told, again = (_word(first + sum(map(len, texts[:number]))) for number in range(3))
    code = bytes.fromhex(
        "ba fd02 31c9"  # look: mov dx, (line status of COM2); xor cx, cx
        "ec 3cff 7433"  # poll: in al, dx; cmp al, 0xff: no such port; je done
        "a801 750a e2f5"  # test al, 1: a byte has come; jne got; loop poll
        f"be {waiting.hex()} e81b00 ebe8"  # mov si, (text); call say; jmp look
        "ba f802 ec 3c0a 75e0"  # got: mov dx, COM2; in al, dx; cmp al, 10; jne look
        f"be {told.hex()} e80b00"  # mov si, (text); call say
        f"be {again.hex()} ba f803 e80500 eb0c"  # mov si, (text); mov dx, COM1; call say_to; jmp done
        "ba f802"  # say: mov dx, COM2
        "ac 84c0 7403 ee ebf8 c3"  # say_to: lodsb; test al, al; jz (ret); out dx, al; jmp say_to; ret
    )
    texts_bytes = b"".join(texts)
    return code + b"\xeb" + len(texts_bytes).to_bytes(1, "little") + texts_bytes  # done: jmp (over the texts)


def _word(number: int) -> bytes:
    return number.to_bytes(2, "little")
