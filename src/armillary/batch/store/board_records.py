"""What the board shows of a submit: its jobs as cells, its failures by cause, and the jobs that a filter leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, func, literal, or_, select, tuple_
from sqlalchemy import Engine as Database

from armillary.base.ids import ClusterId
from armillary.batch.core.picture import LETTERS, OTHER
from armillary.batch.looking import CauseView, JobFilter, SubmitFilter
from armillary.batch.model import InputFile, JobId, JobState
from armillary.batch.store.records import Scope, cluster_views, job_view, jobs_query, within
from armillary.batch.store.selecting import selected
from armillary.batch.store.shapes import shapes
from armillary.batch.store.specs import whole_inputs
from armillary.batch.store.tables import TROUBLED, attempts, clusters, events, jobs, machines
from armillary.batch.views import ClusterView, JobView

MOST_CAUSES = 200
_HELD, _FAILED = JobState.HELD.value, JobState.COMPLETED.value


class BoardRecords:
    """Reads of one submit at a time."""

    def __init__(self, *, database: Database) -> None:
        self._database = database.execution_options(readonly=True)

    def latest(self, cluster: ClusterId) -> int:
        """Return the sequence number of the submit's last change."""
        query = select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.cluster == cluster)
        with self._database.connect() as db:
            return int(db.execute(query).scalar_one())

    def changed(self, cluster: ClusterId, *, after: int, most: int) -> list[int] | None:
        """Return the numbers of jobs that changed since a sequence number; None: more than `most`."""
        query = (
            select(events.c.proc)
            .where(events.c.cluster == cluster, events.c.seq > after)
            .order_by(events.c.seq)
            .limit(most + 1)
        )
        with self._database.connect() as db:
            found = db.execute(query).scalars().all()
        return None if len(found) > most else sorted(set(found))

    def cells(self, chosen: JobFilter, *, only: Sequence[int] | None = None) -> list[tuple[int, str]]:
        """Return (number, letter) of all jobs, or `only` of some, in order."""
        query = select(jobs.c.proc, _letter(chosen)).where(jobs.c.cluster == chosen.cluster)
        if only is not None:
            query = query.where(jobs.c.proc.in_(only))
        with self._database.connect() as db:
            return [(row[0], row[1]) for row in db.execute(query.order_by(jobs.c.proc))]

    def bins(
        self, chosen: JobFilter, *, width: int, only: Sequence[int] | None = None
    ) -> list[tuple[int, str, int]]:
        """Return how many jobs of each `width` that follow each other have a letter."""
        number = (jobs.c.proc // width).label("bin")
        letter = _letter(chosen).label("letter")
        query = select(number, letter, func.count()).where(jobs.c.cluster == chosen.cluster)
        if only is not None:
            # numbers one by one: of ranges in an OR, SQLite reads all that is between them
            query = query.where(jobs.c.proc.in_([n * width + each for n in only for each in range(width)]))
        with self._database.connect() as db:
            rows = db.execute(query.group_by(number, letter).order_by(number, letter))
            return [(row[0], row[1], row[2]) for row in rows]

    def causes(self, cluster: ClusterId) -> list[CauseView]:
        """Return what failed and what is held, by cause, the most jobs first."""
        found = [
            *self._alike(cluster, _HELD, "hold_code"),
            *self._alike(cluster, _FAILED, "exit_code", "signal"),
        ]
        return sorted(found, key=lambda cause: (-cause.jobs, cause.first))[:MOST_CAUSES]

    def _alike(self, cluster: ClusterId, state: str, *keys: str) -> list[CauseView]:
        """Return the troubled jobs of a state by what they have in common, the most jobs first."""
        query = (
            select(
                *(jobs.c[key] for key in keys),
                func.count().label("jobs"),
                func.min(jobs.c.proc).label("first"),
                func.max(jobs.c.memory_mib).label("memory_mib"),
            )
            .where(jobs.c.cluster == cluster, TROUBLED, jobs.c.state == state)
            .group_by(*(jobs.c[key] for key in keys))
            .order_by(func.count().desc(), func.min(jobs.c.proc))
            .limit(MOST_CAUSES)
        )
        empty: dict[str, Any] = {"state": state, "hold_code": None, "exit_code": None, "signal": None}
        with self._database.connect() as db:
            return [CauseView(**{**empty, **row}) for row in db.execute(query).mappings()]

    def find(self, scope: Scope, chosen: JobFilter, *, limit: int, after: JobId | None) -> list[JobView]:
        """Return the jobs that the filter leaves, in order."""
        query = jobs_query().where(
            within(jobs.c.project, scope), jobs.c.cluster == chosen.cluster, _matches(chosen)
        )
        if after is not None:
            query = query.where(tuple_(jobs.c.cluster, jobs.c.proc) > tuple_(*after))
        with self._database.connect() as db:
            rows = db.execute(query.order_by(jobs.c.cluster, jobs.c.proc).limit(limit))
            return [job_view(row) for row in rows]

    def reasons(self, cluster: ClusterId, hold_code: str, *, most: int = 200) -> list[str]:
        """Return what was said of some of the jobs that are held for a cause."""
        query = select(jobs.c.reason).where(
            jobs.c.cluster == cluster,
            TROUBLED,
            jobs.c.state == _HELD,
            jobs.c.hold_code == hold_code,
            jobs.c.reason.is_not(None),
        )
        with self._database.connect() as db:
            return [str(reason) for reason in db.execute(query.limit(most)).scalars()]

    def submits(
        self, scope: Scope, chosen: SubmitFilter, *, limit: int, before: int | None
    ) -> list[ClusterView]:
        """Return the submits that the filter leaves, newest first."""
        query = select(clusters).where(within(clusters.c.project, scope))
        for column, value in (
            (clusters.c.project_name, chosen.project),
            (clusters.c.owner_name, chosen.owner),
        ):
            if value:
                query = query.where(column == value)
        if chosen.image:
            image = clusters.c.image.startswith(chosen.image, autoescape=True)
            query = query.where(or_(image, clusters.c.image_name == chosen.image))
        if chosen.name:
            query = query.where(clusters.c.batch_name.icontains(chosen.name, autoescape=True))
        if chosen.states:
            having = select(shapes.c.cluster).where(or_(*(shapes.c[state] > 0 for state in chosen.states)))
            query = query.where(clusters.c.id.in_(having))
        if before is not None:
            query = query.where(clusters.c.id < before)
        with self._database.connect() as db:
            rows = db.execute(query.order_by(clusters.c.id.desc()).limit(limit)).all()
            return cluster_views(db, rows)

    def inputs(self, cluster: ClusterId, *, most: int) -> list[InputFile]:
        """Return the files that jobs of a submit came with, of at most so many jobs."""
        query = (
            select(clusters.c.common_inputs, jobs.c.inputs)
            .join(clusters, clusters.c.id == jobs.c.cluster)
            .where(jobs.c.cluster == cluster)
            .order_by(jobs.c.proc)
            .limit(most)
        )
        with self._database.connect() as db:
            return list({file.path: file for row in db.execute(query) for file in whole_inputs(row)}.values())

    def submit_text(self, cluster: ClusterId) -> str:
        """Return the submit file of a submit."""
        with self._database.connect() as db:
            return str(
                db.execute(select(clusters.c.submit_text).where(clusters.c.id == cluster)).scalar_one()
            )

    def clouds_of(self, cluster: ClusterId) -> list[str]:
        """Return the clouds on which jobs of the submit have been."""
        workers = select(attempts.c.worker).where(attempts.c.cluster == cluster).distinct()
        query = select(machines.c.cloud).where(machines.c.id.in_(workers)).distinct()
        with self._database.connect() as db:
            return sorted(db.execute(query).scalars())

    def pace(self, cluster: ClusterId, *, last: int = 200) -> tuple[int, datetime, datetime] | None:
        """Return (jobs, from, to): how many of the last changes were ends of jobs, and when the first and last were."""
        lately = (
            select(events.c.at, events.c.state)
            .where(events.c.cluster == cluster)
            .order_by(events.c.seq.desc())
            .limit(last * 10)  # of each job there are a few, and no page waits for a long search
            .subquery()
        )
        ended = select(lately.c.at).where(lately.c.state == JobState.COMPLETED.value).limit(last)
        with self._database.connect() as db:
            moments = db.execute(ended).scalars().all()
        return (len(moments), moments[-1], moments[0]) if len(moments) > 1 else None


def _failed() -> ColumnElement[bool]:
    return and_(jobs.c.state == JobState.COMPLETED.value, jobs.c.succeeded.is_(False))


def _letter(chosen: JobFilter) -> ColumnElement[str]:
    shown = case(
        (_failed(), LETTERS["failed"]),
        *((jobs.c.state == state, letter) for state, letter in LETTERS.items() if state != "failed"),
        else_=OTHER,
    )
    return shown if chosen.whole else case((_matches(chosen), shown), else_=literal(OTHER))


def _matches(chosen: JobFilter) -> ColumnElement[bool]:
    holds: list[Any] = [selected(chosen.chosen)]
    if chosen.cloud or chosen.worker:
        # not correlated: jobs that have not run yet are not looked up one by one
        last = jobs.alias()
        there = and_(
            last.c.cluster == attempts.c.cluster,
            last.c.proc == attempts.c.proc,
            last.c.attempts == attempts.c.number,
        )
        procs = select(attempts.c.proc).join(last, there).where(attempts.c.cluster == chosen.cluster)
        if chosen.worker:
            procs = procs.where(attempts.c.worker.startswith(chosen.worker, autoescape=True))
        if chosen.cloud:
            on_cloud = select(machines.c.id).where(machines.c.cloud == chosen.cloud)
            procs = procs.where(attempts.c.worker.in_(on_cloud))
        holds.append(jobs.c.proc.in_(procs))
    if chosen.text:
        # what all jobs share is looked at once, and not beside each
        shared = select(clusters.c.id).where(
            clusters.c.id == chosen.cluster,
            cast(clusters.c.common, Text).icontains(chosen.text, autoescape=True),
        )
        own = cast(jobs.c.spec, Text).icontains(chosen.text, autoescape=True)
        said = func.coalesce(jobs.c.reason, "").icontains(chosen.text, autoescape=True)
        holds.append(or_(own, said, jobs.c.cluster.in_(shared)))
    return and_(*holds)
