"""A console's log, handed out piece by piece to somebody who has the beginning already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_ANCHOR_LINES = 6


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What is new in a log.

    Attributes:
        whole: whether it replaces everything before; else it is to be added.
        text: complete lines.
        partial: the line that is being written; it takes the place of the one before.
        anchor: what to show to get what comes next.
    """

    whole: bool
    text: str
    partial: str
    anchor: str


def piece_after(log: str, anchor: str) -> Piece:
    """Return what a log has after the place that an anchor marks; all of it when the place is not in it any more.

    Clouds give away the end of a log, without saying where in it that begins. So the place is found by the digest of the
    few lines before it, the last ones that have it.
    """
    *lines, partial = log.split("\n")
    marks = [_mark(lines[max(0, end - _ANCHOR_LINES) : end]) for end in range(len(lines) + 1)]
    known = next((end for end in range(len(lines), 0, -1) if marks[end] == anchor), None)
    new = lines[known or 0 :]
    return Piece(
        whole=known is None, text="".join(f"{line}\n" for line in new), partial=partial, anchor=marks[-1]
    )


def _mark(lines: list[str]) -> str:
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=9).hexdigest()
