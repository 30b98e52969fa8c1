"""Until when machines run: kept by the platform, told a day and an hour before, ended by a stop and never by a delete."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from armillary.accounts.model import Project
from armillary.base.clock import Clock, from_iso, to_iso
from armillary.base.errors import ArmillaryError, Conflict, Invalid, NotFound, Unavailable
from armillary.base.ids import CloudName, PersonId, ProjectId, ServerId
from armillary.fleet.model import FleetServer
from armillary.fleet.service import FleetService

log = logging.getLogger(__name__)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LONGEST = timedelta(days=366)
AT_ONCE = 200
"""machines of each cloud that one tick tells of"""

metadata = sa.MetaData()
_terms = sa.Table(
    "machine_terms",
    metadata,
    sa.Column("cloud", sa.String(64), primary_key=True),
    sa.Column("server_id", sa.String(64), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("person_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("ends_at", sa.String(40), nullable=False, index=True),
    sa.Column("told", sa.String(8), nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Term:
    """Until when a machine runs."""

    cloud: CloudName
    server_id: ServerId
    project_id: ProjectId
    person_id: PersonId
    """who is told"""
    name: str
    ends_at: datetime
    told: str = ""
    """what its person was told last: nothing, `day`, `hour`, or `ended` when it was stopped"""

    @property
    def is_over(self) -> bool:
        """Whether it was stopped for it."""
        return self.told == "ended"

    def left(self, now: datetime) -> timedelta:
        """How long it still runs; nothing, once it is over."""
        return max(timedelta(0), self.ends_at - now)


@dataclass(frozen=True, kw_only=True)
class TermRules:
    """Until when machines may run."""

    default: int | None = 30
    """days, when nobody says otherwise; None: without an end"""
    longest: int = LONGEST.days
    endless: bool = True
    """whether a machine may run without an end"""

    def check(self, days: int | None) -> str | None:
        """Return what is wrong with a wish for so many days (None: without an end), if something is."""
        if days is None:
            return None if self.endless else "A machine needs an end here."
        if 1 <= days <= self.longest:
            return None
        return "A machine runs for a day at least, and no longer than this platform allows."


Tell = Callable[[Term, str], object]
"""Tells a person of a term that `day` or `hour` is left, or that it `ended`; the same call may come again."""


class Expiry:
    """Keeps the terms of machines. `tick` it every half minute."""

    def __init__(
        self,
        *,
        engine: sa.Engine,
        fleet: FleetService,
        clock: Clock,
        project: Callable[[ProjectId], Project],
        tell: Tell,
        at_once: int = AT_ONCE,
        rules: TermRules | None = None,
    ) -> None:
        self._engine = engine
        self._fleet = fleet
        self._clock = clock
        self._project = project
        self._tell = tell
        self._at_once = at_once
        self.rules = rules or TermRules()

    def create_all(self) -> None:
        """Make the table if it is not there."""
        metadata.create_all(self._engine)

    def set(
        self, server: FleetServer, project: Project, person: PersonId, ends_at: datetime | None
    ) -> Term | None:
        """Let a machine run until `ends_at`, or without an end. What was told is told again for the new time.

        Raises:
            Invalid: code `bad_term`: it lies in the past, or further ahead than the rules allow.
        """
        now = self._clock.now()
        ahead = timedelta(days=self.rules.longest)
        fits = self.rules.endless if ends_at is None else now < ends_at <= now + ahead
        if not fits:
            raise Invalid(
                f"A machine runs until a moment in the coming {self.rules.longest} days.",
                code="bad_term",
                facts={
                    "field": "expires",
                    "ends_at": to_iso(ends_at) if ends_at else None,
                    "longest_days": self.rules.longest,
                },
                remedy="Choose a time that lies ahead, and not too far.",
            )
        here = _key(server.cloud, server.id)
        with self._engine.begin() as connection:
            connection.execute(_terms.delete().where(here))
            if ends_at is None:
                return None
            term = Term(
                cloud=server.cloud,
                server_id=server.id,
                project_id=project.id,
                person_id=person,
                name=server.name,
                ends_at=ends_at.replace(microsecond=0),
            )
            connection.execute(_terms.insert().values(**_row(term)))
            return term

    def extend(self, server: FleetServer, project: Project, person: PersonId, by: timedelta) -> Term:
        """Let a machine run longer: from the end that it has, or from now if that is past.

        Raises:
            Invalid: code `bad_term`: that would be further ahead than the rules allow.
        """
        now, known = self._clock.now(), self.of(server.cloud, server.id)
        begin = max(now, known.ends_at) if known else now
        term = self.set(server, project, person, begin + by)
        assert term
        return term

    def of(self, cloud: CloudName, server_id: ServerId) -> Term | None:
        """The term of a machine, if it has one."""
        found = self._read(_key(cloud, server_id), limit=1)
        return found[0] if found else None

    def of_project(self, project: Project) -> Mapping[tuple[CloudName, ServerId], Term]:
        """The terms of a project's machines."""
        found = self._read(_terms.c.project_id == project.id, limit=5000)
        return {(term.cloud, term.server_id): term for term in found}

    def need_running_term(self, cloud: CloudName, server_id: ServerId) -> None:
        """Refuse to start a machine whose time is over.

        Raises:
            Conflict: code `machine_expired`.
        """
        term = self.of(cloud, server_id)
        if term and (term.is_over or term.ends_at <= self._clock.now()):
            raise Conflict(
                f"The time of {term.name} ended at {to_iso(term.ends_at)}.",
                code="machine_expired",
                facts={"server": term.name, "ends_at": to_iso(term.ends_at)},
                remedy="Extend it first.",
            )

    def forget(self, cloud: CloudName, server_id: ServerId) -> None:
        """The machine is gone."""
        with self._engine.begin() as connection:
            connection.execute(_terms.delete().where(_key(cloud, server_id)))

    def tick(self) -> None:
        """Tell of ends that come near, and stop what has come to its end."""
        now = self._clock.now()
        for cloud in self._fleet.clouds():  # each for itself: one that is away must not hold up the others
            for term in self._read(sa.and_(_terms.c.cloud == cloud, _is_due(now)), limit=self._at_once):
                try:
                    self._reach(term, _stage(term, now))
                except ArmillaryError as error:  # the next tick tries again
                    log.warning(
                        "machine %s on %s: its end cannot be told: %s", term.name, cloud, error.message
                    )
                    if isinstance(error, Unavailable):
                        break  # each of its machines would wait as long for the same answer

    def stop_again(self, running: Mapping[CloudName, Sequence[tuple[str, ServerId]]]) -> None:
        """Stop machines that run though their time is over: somebody started them at the cloud itself."""
        runs = {cloud: frozenset(machines) for cloud, machines in running.items()}
        for term in self._read(_terms.c.told == "ended", limit=5000):
            if (str(term.project_id), term.server_id) not in runs.get(term.cloud, ()):
                continue
            try:
                self._fleet.stop_server(term.cloud, self._project(term.project_id), term.server_id)
            except ArmillaryError as error:
                log.warning("machine %s on %s cannot be stopped: %s", term.name, term.cloud, error.message)

    def _reach(self, term: Term, stage: str) -> None:
        try:
            project = self._project(term.project_id)
            server = self._fleet.server(term.cloud, project, term.server_id)
        except NotFound:  # it was deleted at the cloud itself
            self.forget(term.cloud, term.server_id)
            return
        if stage == "ended" and server.status not in ("SHUTOFF", "ERROR"):
            self._fleet.stop_server(term.cloud, project, term.server_id)
        self._tell(term, stage)
        with self._engine.begin() as connection:
            # unless it was extended meanwhile
            connection.execute(
                _terms.update()
                .where(_key(term.cloud, term.server_id), _terms.c.ends_at == to_iso(term.ends_at))
                .values(told=stage)
            )

    def _read(self, where: sa.ColumnElement[bool], *, limit: int) -> list[Term]:
        query = sa.select(_terms).where(where).order_by(_terms.c.ends_at).limit(limit)
        with self._engine.execution_options(readonly=True).connect() as connection:
            return [_term(row) for row in connection.execute(query)]


def _stage(term: Term, now: datetime) -> str:
    if term.ends_at <= now:
        return "ended"
    return "hour" if term.ends_at - now <= HOUR else "day"


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    """What has reached a stage that was not told: those that only wait for the next one take no place in a tick."""
    ends, told = _terms.c.ends_at, _terms.c.told
    return sa.or_(
        sa.and_(ends <= to_iso(now), told != "ended"),
        sa.and_(ends <= to_iso(now + HOUR), told.in_(("", "day"))),
        sa.and_(ends <= to_iso(now + DAY), told == ""),
    )


def _key(cloud: CloudName, server_id: ServerId) -> sa.ColumnElement[bool]:
    return sa.and_(_terms.c.cloud == cloud, _terms.c.server_id == server_id)


def _row(term: Term) -> dict[str, Any]:
    return {
        "cloud": term.cloud,
        "server_id": term.server_id,
        "project_id": term.project_id,
        "person_id": term.person_id,
        "name": term.name[:255],
        "ends_at": to_iso(term.ends_at),
        "told": term.told,
    }


def _term(row: Any) -> Term:
    return Term(
        cloud=CloudName(row.cloud),
        server_id=ServerId(row.server_id),
        project_id=ProjectId(row.project_id),
        person_id=PersonId(row.person_id),
        name=row.name,
        ends_at=from_iso(row.ends_at),
        told=row.told,
    )
