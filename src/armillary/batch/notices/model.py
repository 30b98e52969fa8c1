"""What a notice is. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How somebody is told."""

    MAIL = "mail"
    URL = "url"


class Wanted(StrEnum):
    """HTCondor's `notification`: when mail is wanted."""

    NEVER = "NEVER"
    COMPLETE = "COMPLETE"
    ERROR = "ERROR"
    ALWAYS = "ALWAYS"


class Happened(StrEnum):
    """What a notice is about."""

    OVER = "over"
    """every job is completed or removed"""
    HELD = "held"
    """all that is left waits for a person to release it"""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the jobs of a submit stand."""

    active: int
    held: int

    @property
    def happened(self) -> Happened | None:
        """What there is to tell; None while jobs go on by themselves."""
        if self.active:
            return None
        return Happened.HELD if self.held else Happened.OVER


def wants(wanted: Wanted, happened: Happened, *, failed: int) -> bool:
    """Whether mail is wanted: ERROR when a job did not do well, COMPLETE at the end, ALWAYS also when all is held."""
    if wanted is Wanted.NEVER:
        return False
    if wanted is Wanted.ALWAYS:
        return True
    if happened is Happened.HELD:
        return wanted is Wanted.ERROR
    return wanted is Wanted.COMPLETE or failed > 0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One notice on its way. The id is the same at each try."""

    id: str
    kind: Kind
    target: str
    tries: int
    """this one included"""
    body: Mapping[str, Any]


def letter(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return subject and text of a mail."""
    name = body["batch_name"] or f"cluster {body['cluster']}"
    over = body["event"] == Happened.OVER
    failed, held = body["failed"], body["states"].get("held", 0)
    if not over:
        subject = f"{name}: {held} job(s) are on hold"
    elif failed:
        subject = f"{name}: over, {failed} of {body['jobs']} job(s) did not do well"
    else:
        subject = f"{name}: over, all {body['jobs']} job(s) did well"
    machine = f"{body['image']['name']} ({body['flavor']})"
    lines = [
        f"Cluster {body['cluster']} of project {body['project']}, submitted {body['submitted_at']} on {machine}:",
        "",
        f"  did well  {body['succeeded']}",
        *(f"  {state:<9} {count}" for state, count in sorted(body["states"].items()) if state != "completed"),
    ]
    if body["causes"]:
        lines += ["", "What went wrong:"]
        lines += [f"  {cause['jobs']} job(s): {cause['cause']}" for cause in body["causes"]]
    lines += [
        "",
        f"Look:   armillary queue {body['cluster']}",
        f"Fetch:  armillary fetch {body['cluster']}",
    ]
    return subject, "\n".join(lines) + "\n"
