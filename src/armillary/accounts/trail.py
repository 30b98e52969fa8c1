"""The audit trail: who did what, when, to what, from where, and how it went. It is only ever added to."""

from __future__ import annotations

from collections.abc import Generator, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy import Engine as Database
from starlette.requests import HTTPConnection

from armillary.base.clock import Clock
from armillary.columns import Moment

WHO = "armillary.who"
"""In the scope of a request: a box for the name of who is seen to ask."""
_SWEEP_EVERY = 1000
"""entries"""
_LONGEST = 500

metadata = MetaData()
_trail = Table(
    "accounts_trail",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("who", String(255), nullable=False),
    Column("act", String(255), nullable=False),
    Column("target", String(_LONGEST), nullable=False),
    Column("origin", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("said", String(_LONGEST), nullable=False, server_default=""),  # what became of which figure
    Index("accounts_trail_at", "at"),
    Index("accounts_trail_who", "who", "id"),
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that somebody did, or tried. `status` is HTTP's: 400 and more were refused."""

    id: int
    at: datetime
    who: str
    act: str
    target: str
    origin: str
    status: int
    said: str = ""
    """what was changed, from what to what"""

    @property
    def refused(self) -> bool:
        """Whether it came to nothing."""
        return self.status >= 400


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which entries are asked for; empty: any. `words` are looked for in what was done and to what."""

    who: str = ""
    words: str = ""
    origin: str = ""
    refused: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


class Trail:
    """Keeps the entries of `kept`, at most `most` of them. Nothing in here changes one."""

    def __init__(self, *, database: Database, clock: Clock, kept: timedelta, most: int) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)
        self._clock = clock
        self._kept = kept
        self._most = most
        self._since_sweep = _SWEEP_EVERY

    def create_all(self) -> None:
        """Make the table if it is not there yet."""
        metadata.create_all(self._database)

    def note(self, *, who: str, act: str, target: str, origin: str, status: int, said: str = "") -> None:
        """Add an entry."""
        now = self._clock.now()
        with self._database.begin() as db:
            db.execute(
                insert(_trail).values(
                    at=now,
                    who=who[:255],
                    act=act[:255],
                    target=_printable(target)[:_LONGEST],
                    origin=origin[:64],
                    status=status,
                    said=_printable(said)[:_LONGEST],
                )
            )
            self._since_sweep += 1
            if self._since_sweep >= _SWEEP_EVERY:
                self._since_sweep = 0
                db.execute(delete(_trail).where(_trail.c.at < now - self._kept))
                last = db.scalar(select(func.max(_trail.c.id))) or 0
                db.execute(delete(_trail).where(_trail.c.id <= last - self._most))

    def entries(self, asked: Asked, *, before: int | None = None, limit: int) -> list[Entry]:
        """Return what is asked for, the newest first; `before` is the last one's id of the page before."""
        query = select(_trail).order_by(_trail.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_trail.c.id < before)
        for condition in _conditions(asked):
            query = query.where(condition)
        with self._reading.connect() as db:
            return [Entry(**dict(row)) for row in db.execute(query).mappings()]

    def all(self, asked: Asked, *, page: int = 1000) -> Iterator[Entry]:
        """Yield everything that is asked for, the newest first, page by page."""
        before: int | None = None
        while found := self.entries(asked, before=before, limit=page):
            yield from found
            before = found[-1].id


_changes: ContextVar[list[str] | None] = ContextVar("what the request has changed", default=None)


@contextmanager
def gathering() -> Generator[list[str]]:
    """Gather what `changed` is told while a request is answered, in whichever of its threads."""
    found: list[str] = []
    mark = _changes.set(found)
    try:
        yield found
    finally:
        _changes.reset(mark)


def changed(what: str, before: object, after: object) -> None:
    """Say what a figure was and what it is now, for the trail; outside of requests nobody listens."""
    gathered = _changes.get()
    if gathered is not None and before != after:
        gathered.append(f"{what}: {'' if before is None else before} → {'' if after is None else after}")


def changed_figures(what: str, before: object, after: object) -> None:
    """Say which fields of a value became what; `before` and `after` are of one dataclass."""
    for name, old in vars(before).items():
        changed(f"{what} {name}", old, vars(after)[name])


def origin_of(request: HTTPConnection) -> str:
    """Return the network address that a request comes from, as far as our proxies tell; empty if it is not known."""
    return request.client.host if request.client else ""


def see(scope: MutableMapping[str, Any], user_name: str) -> None:
    """Say who makes a request, for the trail."""
    box = scope.get(WHO)
    if isinstance(box, list):
        box[:] = [user_name]


def _conditions(asked: Asked) -> Sequence[Any]:
    found: list[Any] = []
    if asked.who:
        found.append(_trail.c.who == asked.who)
    if asked.origin:
        found.append(_trail.c.origin == asked.origin)
    if asked.words:
        found.append(
            _trail.c.target.icontains(asked.words, autoescape=True)
            | _trail.c.act.icontains(asked.words, autoescape=True)
            | _trail.c.said.icontains(asked.words, autoescape=True)
        )
    if asked.refused is not None:
        found.append(_trail.c.status >= 400 if asked.refused else _trail.c.status < 400)
    if asked.since is not None:
        found.append(_trail.c.at >= asked.since)
    if asked.until is not None:
        found.append(_trail.c.at < asked.until)
    return found


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
