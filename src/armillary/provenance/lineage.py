"""A lineage as records have it: from the first thing to the image itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from armillary.crates.record import LineageStep, Person
from armillary.fleet.lineage import Step

Kind = Literal["recipe", "base", "upload", "machine", "snapshot", "copy"]


def lineage_of(steps: Sequence[Step]) -> list[LineageStep]:
    """Return what the fleet knows of an image, the newest first, as steps in order of time."""
    return [_step(step, _kind(steps, place)) for place, step in reversed(list(enumerate(steps)))]


def _kind(steps: Sequence[Step], place: int) -> Kind:
    step = steps[place]
    if step.kind == "machine":
        return "machine"
    if step.kind != "image":
        return "recipe" if step.kind == "recipe" else "upload"
    before = steps[place + 1].kind if place + 1 < len(steps) else ""
    if before == "machine":
        return "snapshot"
    return "base" if before == "recipe" else "upload"


def _step(step: Step, kind: Kind) -> LineageStep:
    at = datetime.fromisoformat(step.at) if step.at else None
    details: dict[str, Any] = {name: value for name, value in (step.facts or {}).items() if value is not None}
    return LineageStep(
        kind=kind,
        name=step.name,
        id=step.id or None,
        cloud=step.cloud or None,
        sha512=step.sha512 or None,
        sha256=step.id if kind in ("recipe", "upload") and _is_sha256(step.id) else None,
        by=Person(name=step.by) if step.by else None,
        at=at if at is None or at.tzinfo else None,
        details=details,
    )


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)
