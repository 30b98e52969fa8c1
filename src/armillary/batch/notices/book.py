"""The records of notices: who waits for which submit, and what is on its way. Nothing is told that is not here first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy import Engine as Database

from armillary.base.clock import to_iso
from armillary.base.ids import new_hex
from armillary.batch.model import JobState, Submission
from armillary.batch.notices.model import Delivery, Happened, Kind, Standing, Wanted
from armillary.batch.store.policy_records import TOLD, WAITING
from armillary.batch.store.shapes import shapes
from armillary.batch.store.tables import clusters, jobs, notices

DUE, SENT, GIVEN_UP = "due", "sent", "given_up"
"""of a delivery"""
_CAUSES = 20


def note(db: Connection, cluster: int, submission: Submission, now: datetime) -> None:
    """Remember, in the transaction of a submit, who is to be told of its end."""
    wishes = submission.wishes
    wanted: list[tuple[Kind, str]] = []
    if wishes.notification != Wanted.NEVER:
        wanted.append((Kind.MAIL, wishes.notify_user or ""))
    if wishes.notify_url:
        wanted.append((Kind.URL, wishes.notify_url))
    if wanted:
        db.execute(insert(notices), [_row(cluster, kind, to, WAITING, {}, now) for kind, to in wanted])


def _row(
    cluster: int, kind: Kind, target: str, state: str, body: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    return {
        "id": new_hex(),
        "cluster": cluster,
        "kind": kind.value,
        "target": target,
        "state": state,
        "body": dict(body),
        "tries": 0,
        "next_at": now,
        "said": "",
    }


class NoticeBook:
    """Reads and writes of notices, each call one transaction."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)

    def waiting(self, *, after: str, limit: int) -> Sequence[Any]:
        """Return those who wait to hear of a submit, each with how its jobs stand (`active`, `held`)."""
        going = shapes.c.idle + shapes.c.claimed + shapes.c.running
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
            .order_by(notices.c.id)
            .limit(limit)
        )
        with self._reading.connect() as db:
            return db.execute(query).all()

    def tell(
        self, waiter: str, happened: Happened, *, target: str, body: Mapping[str, Any] | None, now: datetime
    ) -> None:
        """Write down that something is to be told to a waiter (`body` None: that it needs not be), once.

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
            if row is not None and body is not None:
                made = _row(row.cluster, Kind(row.kind), target, DUE, body, now)
                made["body"]["id"] = made["id"]
                db.execute(insert(notices).values(made))

    def goes_on(self, waiter: str) -> None:
        """Forget a standstill: the next one is to be told too."""
        with self._database.begin() as db:
            db.execute(
                update(notices).where(notices.c.id == waiter, notices.c.state == WAITING).values(said="")
            )

    def take_due(self, *, now: datetime, again: timedelta, limit: int) -> list[Delivery]:
        """Return deliveries to try now. Unless one is settled it is due once more `again` from now."""
        query = select(notices).where(notices.c.state == DUE, notices.c.next_at <= now)
        with self._reading.connect() as db:
            found = db.execute(query.order_by(notices.c.next_at).limit(limit)).all()
        taken: list[Delivery] = []
        for row in found:
            with self._database.begin() as db:
                mine = db.execute(
                    update(notices)
                    .where(notices.c.id == row.id, notices.c.state == DUE, notices.c.tries == row.tries)
                    .values(tries=row.tries + 1, next_at=now + again)
                )
            if mine.rowcount:
                taken.append(
                    Delivery(
                        id=row.id, kind=Kind(row.kind), target=row.target, tries=row.tries + 1, body=row.body
                    )
                )
        return taken

    def settle(self, delivery: Delivery, state: str, *, said: str, next_at: datetime) -> None:
        """Write down how a try went."""
        with self._database.begin() as db:
            db.execute(
                update(notices)
                .where(notices.c.id == delivery.id, notices.c.state == DUE)
                .values(state=state, said=said[:1000], next_at=next_at)
            )

    def sweep(self, *, before: datetime) -> None:
        """Forget deliveries that were settled before."""
        with self._database.begin() as db:
            db.execute(
                delete(notices).where(notices.c.state.in_((SENT, GIVEN_UP)), notices.c.next_at < before)
            )

    def of(self, cluster: int) -> list[Row[Any]]:
        """Return the deliveries about a submit, the oldest first."""
        query = select(notices).where(
            notices.c.cluster == cluster, notices.c.state.in_((DUE, SENT, GIVEN_UP))
        )
        with self._reading.connect() as db:
            return list(db.execute(query.order_by(notices.c.next_at).limit(1000)).all())

    def facts(self, cluster: int, happened: Happened) -> dict[str, Any]:
        """Return what is told of a submit."""
        mine = jobs.c.cluster == cluster
        bad = (jobs.c.exit_code, jobs.c.signal, jobs.c.hold_code)
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
            causes = db.execute(
                select(jobs.c.state, *bad, func.count().label("n"))
                .where(mine, jobs.c.succeeded.is_not(True))
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
            "failed": sum(states.values()) - well,
            "causes": [{"cause": _cause(one), "jobs": one.n} for one in causes],
        }


def _cause(row: Any) -> str:
    if row.state == JobState.COMPLETED:
        return f"signal {row.signal}" if row.signal is not None else f"exit code {row.exit_code}"
    return f"held: {row.hold_code}" if row.state == JobState.HELD else row.state


def standing(row: Any) -> Standing:
    """Return how the jobs stand of whom `waiting` returned."""
    return Standing(active=int(row.active), held=int(row.held))
