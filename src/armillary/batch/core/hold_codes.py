"""Why jobs are on hold: our names, and HTCondor's numbers for them (HoldReasonCode and HoldReasonSubCode)."""

from __future__ import annotations

from typing import NamedTuple

UNSPECIFIED = 0


class HoldCode(NamedTuple):
    """HTCondor's number of a reason, and its finer one (0: none)."""

    number: int
    subcode: int = 0


_MISSING = 2
"""ENOENT: HTCondor's subcodes of files are numbers of the operating system's errors"""

HOLD_CODES: dict[str, HoldCode] = {
    "held_by_user": HoldCode(1),
    "policy_hold": HoldCode(3),
    "policy_undefined": HoldCode(5),
    "executable_missing": HoldCode(6, _MISSING),
    "job_invalid": HoldCode(6),
    "stdout_invalid": HoldCode(7),
    "stdin_missing": HoldCode(8, _MISSING),
    "output_missing": HoldCode(12, _MISSING),
    "output_invalid": HoldCode(12),
    "too_many_outputs": HoldCode(12),
    "output_send_failed": HoldCode(12),
    "input_invalid": HoldCode(13),
    "input_missing": HoldCode(13, _MISSING),
    "input_fetch_failed": HoldCode(13),
    "submitted_on_hold": HoldCode(15),
    "lost_too_often": HoldCode(26),
    "output_too_large": HoldCode(33),
    "memory_exceeded": HoldCode(34, 102),
    "disk_exceeded": HoldCode(34, 104),
    "checkpoint_missing": HoldCode(36, _MISSING),
    "checkpoint_failed": HoldCode(36),
    "job_time_exceeded": HoldCode(46),
    "time_exceeded": HoldCode(47),
}
"""By our code. Codes of agents that are not here have HTCondor's number 0, unspecified."""


def number(code: str | None, subcode: int | None = None) -> HoldCode:
    """Return HTCondor's numbers of a hold; a `subcode` that a policy gave stands above the table's."""
    known = HOLD_CODES.get(code or "", HoldCode(UNSPECIFIED))
    return known if subcode is None else known._replace(subcode=subcode)


def codes_of(number: int) -> frozenset[str]:
    """Return our codes that have this number of HTCondor's."""
    return frozenset(code for code, known in HOLD_CODES.items() if known.number == number)
