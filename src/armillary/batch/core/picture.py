"""Jobs as one picture: a letter for each, equal neighbours together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LETTERS: Mapping[str, str] = {
    "idle": "i",
    "claimed": "c",
    "running": "r",
    "completed": "d",
    "failed": "f",
    "held": "h",
    "removed": "x",
}
"""What a cell shows; `failed` are the completed jobs that did not end as they should."""
OTHER = "-"
"""a job that the filter leaves out"""
NOBODY = "."
"""a number that no job has"""


def run_lengths(cells: Iterable[tuple[int, str]]) -> str:
    """Return cells in order, from number 0 on, as letters with how often each is repeated: `d120f1i30`."""
    parts: list[str] = []
    letter, count, following = "", 0, 0
    for number, found in cells:
        if number > following:
            if count:
                parts.append(f"{letter}{count}")
            letter, count = NOBODY, number - following
        following = number + 1
        if found == letter:
            count += 1
            continue
        if count:
            parts.append(f"{letter}{count}")
        letter, count = found, 1
    if count:
        parts.append(f"{letter}{count}")
    return "".join(parts)


def bins(counts: Iterable[tuple[int, str, int]]) -> dict[int, str]:
    """Return of each bin how many jobs of it are in which state: `{0: "d98f2"}`, by counts of (bin, letter)."""
    found: dict[int, list[str]] = {}
    for number, letter, count in counts:
        found.setdefault(number, []).append(f"{letter}{count}")
    return {number: "".join(parts) for number, parts in found.items()}
