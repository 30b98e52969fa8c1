"""The records of who waits for which submit. What there is to tell goes to the outbox, in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy import Engine as Database

from armillary.base.clock import to_iso
from armillary.base.ids import new_hex
from armillary.batch.model import JobState, Submission
from armillary.batch.notices.model import Happened, Standing, Wanted
from armillary.batch.store.policy_records import TOLD, WAITING
from armillary.batch.store.shapes import shapes
from armillary.batch.store.tables import TROUBLED, clusters, jobs, notices
from armillary.notices import outbox
from armillary.notices.model import Channel

_CAUSES = 20
FAILING_FROM = 10
"""So many jobs must be over or held before anybody is told that most of them fail."""


def note(db: Connection, cluster: int, submission: Submission) -> None:
    """Remember, in the transaction of a submit, who is to be told of its end."""
    wishes = submission.wishes
    wanted: list[tuple[Channel, str]] = [(Channel.PAGE, "")]
    if wishes.notification != Wanted.NEVER:
        wanted.append((Channel.MAIL, wishes.notify_user or ""))
    if wishes.notify_url:
        wanted.append((Channel.URL, wishes.notify_url))
    db.execute(insert(notices), [_row(cluster, channel, to) for channel, to in wanted])


def _row(cluster: int, channel: Channel, target: str) -> dict[str, Any]:
    return {
        "id": new_hex(),
        "cluster": cluster,
        "kind": channel.value,
        "target": target,
        "state": WAITING,
        "said": "",
    }


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is to be sent, and to whom."""

    target: str
    owner: str
    locale: str
    body: Mapping[str, Any]


def about(cluster: int) -> str:
    """Return what deliveries of a submit are said to be about."""
    return f"cluster/{cluster}"


class NoticeBook:
    """Reads and writes of notices, each call one transaction."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)

    def waiting(self, *, after: str, limit: int) -> Sequence[Any]:
        """Return those who may have something to hear of a submit, each with how its jobs stand (`active`, `held`)."""
        going = shapes.c.idle + shapes.c.claimed + shapes.c.running
        over, count = shapes.c.completed + shapes.c.held, func.count(shapes.c.id)
        query = (
            select(
                notices.c.id,
                notices.c.cluster,
                notices.c.kind,
                notices.c.target,
                notices.c.said,
                clusters.c.owner,
                clusters.c.notification,
                func.coalesce(func.sum(going), 0).label("active"),
                func.coalesce(func.sum(shapes.c.held), 0).label("held"),
                func.coalesce(func.sum(shapes.c.completed), 0).label("completed"),
            )
            .join(clusters, clusters.c.id == notices.c.cluster)
            .outerjoin(shapes, shapes.c.cluster == notices.c.cluster)
            .where(notices.c.state == WAITING, notices.c.id > after)
            .group_by(
                notices.c.id,
                notices.c.cluster,
                notices.c.kind,
                notices.c.target,
                notices.c.said,
                clusters.c.owner,
                clusters.c.notification,
            )
            # most go on by themselves, and there is nothing to tell of them yet
            .having(
                or_(func.sum(going) == 0, notices.c.said != "", func.sum(over) >= FAILING_FROM, count == 0)
            )
            .order_by(notices.c.id)
            .limit(limit)
        )
        with self._reading.connect() as db:
            return db.execute(query).all()

    def mostly_fails(self, row: Any) -> bool:
        """Say whether most jobs of a submit, of whom `waiting` returned, that are over or held did not do well."""
        over = int(row.completed) + int(row.held)
        if over < FAILING_FROM:
            return False
        bad = select(jobs.c.proc).where(jobs.c.cluster == row.cluster, TROUBLED).limit(over // 2 + 1)
        with self._reading.connect() as db:
            return db.execute(select(func.count()).select_from(bad.subquery())).scalar_one() > over // 2

    def tell(self, waiter: str, happened: Happened, *, letter: Told | None, now: datetime) -> None:
        """Write down that something is to be told to a waiter (`letter` None: that it needs not be), once.

        After the end of its submit it waits no more; after a standstill it waits for the end.
        """
        over = happened is Happened.OVER
        with self._database.begin() as db:
            row = db.execute(
                update(notices)
                .where(notices.c.id == waiter, notices.c.state == WAITING, notices.c.said != happened.value)
                .values(state=TOLD if over else WAITING, said=happened.value)
                .returning(notices.c.cluster, notices.c.kind)
            ).first()
            if row is not None and letter is not None:
                outbox.put(
                    db,
                    about=about(row.cluster),
                    kind=f"batch.{happened.value}",
                    channel=Channel(row.kind),
                    target=letter.target,
                    owner=letter.owner,
                    locale=letter.locale,
                    body=letter.body,
                    now=now,
                )

    def goes_on(self, waiter: str) -> None:
        """Forget a standstill: the next one is to be told too."""
        with self._database.begin() as db:
            db.execute(
                update(notices).where(notices.c.id == waiter, notices.c.state == WAITING).values(said="")
            )

    def facts(self, cluster: int, happened: Happened) -> dict[str, Any]:
        """Return what is told of a submit."""
        mine = jobs.c.cluster == cluster
        bad = (jobs.c.exit_code, jobs.c.signal, jobs.c.hold_code)
        # of those that go on by themselves there is nothing to say yet
        badly = TROUBLED if happened is Happened.FAILING else jobs.c.succeeded.is_not(True)
        with self._reading.connect() as db:
            row = db.execute(select(clusters).where(clusters.c.id == cluster)).one()
            standing = db.execute(
                select(jobs.c.state, func.count().label("n")).where(mine).group_by(jobs.c.state)
            )
            states = {one.state: one.n for one in standing}
            well = db.execute(
                select(func.count()).select_from(jobs).where(mine, jobs.c.succeeded.is_(True))
            ).scalar_one()
            ended = db.execute(select(func.max(jobs.c.entered_at)).where(mine)).scalar_one()
            failed = db.execute(select(func.count()).select_from(jobs).where(mine, badly)).scalar_one()
            causes = db.execute(
                select(jobs.c.state, *bad, func.count().label("n"))
                .where(mine, badly)
                .group_by(jobs.c.state, *bad)
                .order_by(func.count().desc())
                .limit(_CAUSES)
            ).all()
        return {
            "event": happened.value,
            "cluster": cluster,
            "batch_name": row.batch_name,
            "project": row.project_name,
            "owner": row.owner_name,
            "image": {"name": row.image_name, "sha512": row.image},
            "flavor": row.flavor,
            "submitted_at": to_iso(row.submitted_at),
            "ended_at": to_iso(ended),
            "jobs": row.jobs,
            "states": states,
            "succeeded": well,
            "failed": failed,
            "causes": [{"cause": _cause(one), "jobs": one.n} for one in causes],
        }


def _cause(row: Any) -> str:
    if row.state == JobState.COMPLETED:
        return f"signal {row.signal}" if row.signal is not None else f"exit code {row.exit_code}"
    return f"held: {row.hold_code}" if row.state == JobState.HELD else row.state


def standing(row: Any) -> Standing:
    """Return how the jobs stand of whom `waiting` returned."""
    return Standing(active=int(row.active), held=int(row.held))
