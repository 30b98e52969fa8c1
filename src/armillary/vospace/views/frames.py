"""What the platform and a process that makes views say to each other, over a socket and a pipe.

Frames: one letter, the length in four bytes, and so many bytes.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from contextlib import suppress

HEAD = struct.Struct(">cI")
SPAN = struct.Struct(">QQ")
MAX_FRAME = 64 << 20

JOB = b"J"
"""to the process: JSON with the parameters, the size of the file and the limits; and whether the open file comes with
it, in the next byte"""
WANT = b"R"
"""from it: pairs of numbers, the ranges of bytes it needs next"""
BYTES = b"B"
"""to it: those bytes, one range behind the other"""
DATA = b"D"
"""from it: a piece of the answer"""
DONE = b"F"
"""from it: that was all; it waits for the next job"""
NOTHING = b"N"
"""from it: the file has none of what was asked for; it waits"""
REFUSED = b"X"
"""from it: JSON with the refusal; it waits"""


_PIPE = 1 << 20
"""Bytes in a pipe: with the usual 64 KiB, the two processes would wake each other all the time."""


def widen(pipe: int) -> None:
    """Give a pipe more room, where the system has that, and as far as it allows."""
    if command := getattr(fcntl, "F_SETPIPE_SZ", None):
        with suppress(OSError):
            fcntl.fcntl(pipe, command, _PIPE)


def send(pipe: int, kind: bytes, payload: bytes = b"") -> None:
    """Write a frame.

    Raises:
        OSError: nobody reads any more.
    """
    written = os.writev(pipe, [HEAD.pack(kind, len(payload)), payload]) - HEAD.size
    assert written >= 0, "pipes take a few bytes at once"
    with memoryview(payload) as view:
        while written < len(view):
            written += os.write(pipe, view[written:])


def take(pipe: int, count: int, wait: Callable[[], None] = lambda: None) -> bytes:
    """Return exactly so many bytes of a pipe; `wait` is called before each look, and may raise.

    Raises:
        EOFError: nobody writes any more.
    """
    found = bytearray(count)
    with memoryview(found) as view:
        got = 0
        while got < count:
            wait()
            read = os.readv(pipe, [view[got:]])
            if not read:
                raise EOFError
            got += read
    return bytes(found)


def unpack(take: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """Return the kind and the payload of the next frame; `take` gives exactly so many bytes, or raises.

    Raises:
        ValueError: this is no frame.
    """
    kind, length = HEAD.unpack(take(HEAD.size))
    if length > MAX_FRAME:
        raise ValueError("a frame that long")
    return kind, take(length)
