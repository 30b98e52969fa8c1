"""What a person looks for among jobs, from an address or a form, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.batch.looking import JobFilter
from armillary.batch.model import JobState, Selection

FIELDS = ("state", "hold_code", "exit_code", "signal", "cloud", "worker", "text")
"""of the form, as its address has them"""
STATES = ("idle", "claimed", "running", "completed", "failed", "held", "removed")
"""that one can ask for; `failed` is completed without success"""
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A filter as it was typed."""

    values: Mapping[str, str]
    chosen: JobFilter

    @property
    def query(self) -> str:
        """The same filter as the query of an address; empty for all jobs."""
        return urlencode({name: value for name, value in self.values.items() if value})


def asked(cluster: ClusterId, read: Callable[[str, str], str]) -> Asked:
    """Return the filter of a query or a form, whose `read(name, default)` gives fields. Raises Invalid."""
    values = {name: read(name, "").strip()[:_LONGEST] for name in FIELDS}
    return Asked(
        values=values,
        chosen=JobFilter(
            cluster=cluster,
            chosen=causes_of(values),
            cloud=values["cloud"],
            worker=values["worker"],
            text=values["text"],
        ),
    )


def causes_of(values: Mapping[str, str]) -> Selection:
    """Return the selection by state and cause, of no cluster yet. Raises Invalid."""
    state = values["state"]
    if state and state not in STATES:
        raise Invalid(
            f"There is no state {state}.", code="invalid_field", facts={"field": "state", "known": STATES}
        )
    failed = state == "failed"
    return Selection(
        states=(JobState(state),) if state and not failed else (),
        failed=failed,
        hold_codes=(values["hold_code"],) if values["hold_code"] else (),
        exit_codes=_numbers("exit_code", values["exit_code"]),
        signals=_numbers("signal", values["signal"]),
    )


def words_of(cluster: int, values: Mapping[str, str]) -> str:
    """Return the filter as arguments of `armillary hold`, `retry` and their like."""
    state = values.get("state", "")
    parts = [str(cluster)]
    if state == "failed":
        parts.append("--failed")
    elif state:
        parts.append(f"--state {state}")
    named: Iterable[tuple[str, str]] = (
        ("--hold-code", "hold_code"),
        ("--exit-code", "exit_code"),
        ("--signal", "signal"),
    )
    parts += [f"{option} {values[name]}" for option, name in named if values.get(name)]
    return " ".join(parts)


def _numbers(field: str, text: str) -> tuple[int, ...]:
    if not text:
        return ()
    if not text.removeprefix("-").isdigit() or not text.isascii() or len(text) > 9:
        raise Invalid(
            "This must be a whole number.",
            code="invalid_field",
            facts={"field": field, "errors": {field: "This must be a whole number."}},
            remedy="Correct the marked fields.",
        )
    return (int(text),)
