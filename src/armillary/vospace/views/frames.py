"""What the platform and a process that makes views say to each other over two pipes.

Frames: one letter, the length in four bytes, and so many bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

HEAD = struct.Struct(">cI")
SPAN = struct.Struct(">QQ")
MAX_FRAME = 64 << 20

JOB = b"J"
"""to the process: JSON with the parameters, the size of the file and the limits"""
WANT = b"R"
"""from it: two numbers, the range of bytes it needs next"""
BYTES = b"B"
"""to it: those bytes"""
DATA = b"D"
"""from it: a piece of the answer"""
DONE = b"F"
"""from it: that was all; it waits for the next job"""
NOTHING = b"N"
"""from it: the file has none of what was asked for; it waits"""
REFUSED = b"X"
"""from it: JSON with the refusal; it waits"""


def pack(kind: bytes, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return HEAD.pack(kind, len(payload)) + payload


def unpack(take: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """Return the kind and the payload of the next frame; `take` gives exactly so many bytes, or raises.

    Raises:
        ValueError: this is no frame.
    """
    kind, length = HEAD.unpack(take(HEAD.size))
    if length > MAX_FRAME:
        raise ValueError("a frame that long")
    return kind, take(length)
