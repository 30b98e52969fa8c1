"""What people are told of the work of their projects: use, failures, and what was sent about a submit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import ClusterId, PersonId, ProjectId
from armillary.batch.notices.book import about
from armillary.batch.ports import People
from armillary.batch.seeing import scope_of
from armillary.batch.store.records import Records
from armillary.batch.store.usage_records import DIMENSIONS, UsageFilter, UsageRecords, UsageRow
from armillary.notices.outbox import Outbox
from armillary.notices.webhook import key_of

MOST_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class UsageLine:
    """What was used, in hours. Dimensions that were not asked for are None; `image` is a digest."""

    day: str | None
    project: str | None
    owner: str | None
    cloud: str | None
    image: str | None
    jobs: int
    """that were completed"""
    failed: int
    """of them, those that did not end as they should"""
    attempts: int
    core_hours: float
    """asked for: cores times the time on a worker"""
    cpu_hours: float
    """that processors worked for it"""
    memory_gib_hours: float
    wait_seconds: float | None
    """from the submit to the first worker, on the average; None when no job has had its first one"""
    failures: Mapping[str, int]
    """attempts that did not do well, by cause"""


class Reports:
    """Answers about use and notices. Members see their projects, people themselves, administrators all."""

    def __init__(
        self, *, usage: UsageRecords, outbox: Outbox, secret: bytes, records: Records, people: People
    ) -> None:
        self._usage = usage
        self._outbox = outbox
        self._secret = secret
        self._records = records
        self._people = people

    def usage(
        self, who: Principal, chosen: UsageFilter, *, by: Sequence[str], limit: int
    ) -> tuple[list[UsageLine], bool]:
        """Return lines by the dimensions asked for, and whether there are more. Raises Invalid, Forbidden."""
        wrong = [name for name in by if name not in DIMENSIONS]
        if wrong:
            raise Invalid(
                f"use is not counted by {wrong[0]}",
                facts={"field": "by", "known": list(DIMENSIONS)},
                remedy=f"Ask by some of: {', '.join(DIMENSIONS)}.",
            )
        scope = scope_of(who, self._people)
        bound = who.token is not None and who.token.project_id is not None
        own = None if bound else who.person.id
        order = [name for name in DIMENSIONS if name in by]
        rows = self._usage.report(scope, own, chosen, by=order, limit=limit + 1)
        names = _Names(self._people)
        return [_line(row, names) for row in rows[:limit]], len(rows) > limit

    def notices(self, who: Principal, cluster: ClusterId) -> list[Any]:
        """Return what was sent, or is to be sent, about a submit. Raises NotFound."""
        self._records.owner_of(scope_of(who, self._people), cluster)
        return self._outbox.about(about(cluster))

    def notify_key(self, who: Principal) -> str:
        """Return the key that signs what is sent to the caller's `notify_url`."""
        scope_of(who, self._people)
        return key_of(self._secret, who.person.user_name)


class _Names:
    """Names of people and projects, each looked up once; whoever is gone keeps the id."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._known: dict[tuple[str, str], str] = {}

    def of(self, kind: str, value: str) -> str:
        look: dict[str, Callable[[], str]] = {
            "project": lambda: self._people.project(ProjectId(value)).name,
            "owner": lambda: self._people.person(PersonId(value)).user_name,
        }
        if kind not in look:
            return value
        if (kind, value) not in self._known:
            try:
                self._known[kind, value] = look[kind]()
            except NotFound:
                self._known[kind, value] = value
        return self._known[kind, value]


def _line(row: UsageRow, names: _Names) -> UsageLine:
    key = {name: names.of(name, value) for name, value in row.key.items()}
    sums = row.sums
    return UsageLine(
        day=key.get("day"),
        project=key.get("project"),
        owner=key.get("owner"),
        cloud=key.get("cloud"),
        image=key.get("image"),
        jobs=int(sums["jobs"]),
        failed=int(sums["failed"]),
        attempts=int(sums["attempts"]),
        core_hours=round(sums["core_seconds"] / 3600, 4),
        cpu_hours=round(sums["cpu_seconds"] / 3600, 4),
        memory_gib_hours=round(sums["memory_mib_seconds"] / 1024 / 3600, 4),
        wait_seconds=round(sums["wait_seconds"] / sums["waits"], 1) if sums["waits"] else None,
        failures=row.failures,
    )
