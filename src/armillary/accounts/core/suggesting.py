"""What an administrator is advised to grant: by what is asked for, what is used, and what there is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from armillary.accounts.core.rules import LIMITS
from armillary.accounts.model import Allocation
from armillary.base.units import GiB, MiB

FIGURES = tuple(LIMITS)
USUAL = Allocation(cores=16, ram=MiB(65536), disk=GiB(500), storage=GiB(1000), batch_cores=64)
"""What a new project may have without further questions."""
WELL_USED = 0.5
"""of what it has: a project that uses less has no need of more"""
SHARE = 0.5
"""of what is free on the largest cloud: no project gets more of it at once"""


class Why(StrEnum):
    """What a suggested figure comes from."""

    AS_ASKED = "as_asked"
    LESS = "less"
    """less is asked for than there is: that is never refused"""
    USUAL = "usual"
    """a new project begins with no more than this"""
    LITTLE_USED = "little_used"
    """what it has is not half used"""
    DOUBLED = "doubled"
    """it grows by no more than twice at a time"""
    CAPACITY = "capacity"
    """the clouds have not so much"""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """An allocation, and where each figure comes from."""

    allocation: Allocation
    why: Mapping[str, Why]


def suggest(
    requested: Allocation,
    *,
    present: Allocation | None = None,
    used: Mapping[str, int] | None = None,
    free: Mapping[str, int] | None = None,
) -> Suggestion:
    """Suggest what to grant.

    `present` is what the project has (None: it is new), `used` the most that it uses of a figure now, as far as that
    is known, and `free` what the largest cloud has left of one. All in the units of an allocation.
    """
    figures: dict[str, int] = {}
    why: dict[str, Why] = {}
    for name in FIGURES:
        figures[name], why[name] = _figure(
            getattr(requested, name),
            usual=getattr(USUAL, name),
            has=None if present is None else getattr(present, name),
            used=(used or {}).get(name),
            free=(free or {}).get(name),
            least=LIMITS[name][0],
        )
    return Suggestion(
        allocation=Allocation(
            cores=figures["cores"],
            ram=MiB(figures["ram"]),
            disk=GiB(figures["disk"]),
            storage=GiB(figures["storage"]),
            batch_cores=figures["batch_cores"],
        ),
        why=why,
    )


def _figure(
    asked: int, *, usual: int, has: int | None, used: int | None, free: int | None, least: int
) -> tuple[int, Why]:
    if has is not None and asked <= has:
        return asked, Why.LESS if asked < has else Why.AS_ASKED
    granted, reason = asked, Why.AS_ASKED
    if has is None:
        if granted > usual:
            granted, reason = usual, Why.USUAL
    else:
        if used is not None and used < WELL_USED * has:
            return has, Why.LITTLE_USED
        if granted > max(2 * has, usual):
            granted, reason = max(2 * has, usual), Why.DOUBLED
    if free is not None and granted - (has or 0) > SHARE * free:
        granted, reason = max(has or least, (has or 0) + int(SHARE * free)), Why.CAPACITY
    return granted, reason
