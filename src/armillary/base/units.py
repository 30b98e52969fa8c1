"""Sizes carry their unit in their type."""

from __future__ import annotations

import re
from typing import NewType

Bytes = NewType("Bytes", int)
MiB = NewType("MiB", int)
GiB = NewType("GiB", int)

_FACTORS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?\s*", re.IGNORECASE)


def parse_size(text: str, *, default_unit: str = "B") -> Bytes:
    """Read a size such as `512`, `2GB`, `1.5 GiB` or `300M`.

    All prefixes are binary, as HTCondor and QEMU take them. A bare number is in `default_unit`.

    Raises:
        ValueError: the text is not a size.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"not a size: {text!r} (write it like 512M or 2GiB)")
    number, prefix = match.groups()
    bare = text.strip()[-1:].isdigit() or text.strip().endswith(".")
    unit = default_unit.rstrip("iBb").upper() if bare else prefix.upper()
    return Bytes(int(float(number) * _FACTORS[unit]))


def format_size(octets: int) -> str:
    """Render a number of bytes for a person: `512 B`, `1.5 GiB`."""
    size = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" or size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def mib_up(octets: int) -> MiB:
    """Return the whole mebibytes that hold `octets` bytes, rounded up."""
    return MiB(-(-octets // 2**20))


def gib_up(octets: int) -> GiB:
    """Return the whole gibibytes that hold `octets` bytes, rounded up."""
    return GiB(-(-octets // 2**30))
