"""The questions that people ask: lists in pages, one job with its history, workers. Only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, true, tuple_
from sqlalchemy import Engine as Database

from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId, PersonId, ProjectId
from armillary.batch.core.hold_codes import number
from armillary.batch.model import Event, Group, JobId, JobState, MachineState, Resources, Wants
from armillary.batch.store.shapes import STATES, shapes
from armillary.batch.store.specs import whole_inputs, whole_spec
from armillary.batch.store.tables import attempts, clusters, jobs, machines, outputs
from armillary.batch.store.worker_rows import jobs_of, worker_query, worker_view
from armillary.batch.views import (
    AttemptView,
    ClusterView,
    EventView,
    ImageView,
    JobDetail,
    JobView,
    KindView,
    OutputView,
    WorkerView,
)

Scope = Sequence[ProjectId] | None
"""The projects that may be seen; None: all."""


class Records:
    """Reads for people. What lies outside of the scope does not exist."""

    def __init__(self, *, database: Database) -> None:
        self._database = database.execution_options(readonly=True)

    def clusters(
        self, scope: Scope, *, limit: int, before: int | None = None, image: str | None = None
    ) -> list[ClusterView]:
        """Return submits, newest first; of those on one image, if its digest is given."""
        query = select(clusters).where(within(clusters.c.project, scope))
        if image is not None:
            query = query.where(clusters.c.image == image)
        if before is not None:
            query = query.where(clusters.c.id < before)
        with self._database.connect() as db:
            return cluster_views(db, db.execute(query.order_by(clusters.c.id.desc()).limit(limit)).all())

    def cluster(self, scope: Scope, cluster: ClusterId) -> ClusterView:
        """Return one submit. Raises NotFound."""
        query = select(clusters).where(clusters.c.id == cluster, within(clusters.c.project, scope))
        with self._database.connect() as db:
            row = db.execute(query).first()
            if row is None:
                raise NotFound(f"there is no job {cluster}", facts={"job": str(cluster)})
            return _cluster(row, _states(db, [cluster]).get(cluster, {}))

    def jobs(
        self,
        scope: Scope,
        *,
        limit: int,
        cluster: ClusterId | None = None,
        states: Sequence[str] = (),
        after: JobId | None = None,
        owner: str | None = None,
        project: str | None = None,
        with_spec: bool = False,
    ) -> list[JobView]:
        """Return jobs in order of their names; those of a person or a project by its name."""
        query = jobs_query().where(within(jobs.c.project, scope))
        if owner is not None:
            query = query.where(clusters.c.owner_name == owner)
        if project is not None:
            query = query.where(or_(clusters.c.project_name == project, clusters.c.project == project))
        if cluster is not None:
            query = query.where(jobs.c.cluster == cluster)
        if states:
            # The counts tell which submits have any such job: nobody reads through a million others for them.
            having = select(shapes.c.cluster).where(
                within(shapes.c.project, scope), or_(*(shapes.c[state] > 0 for state in states))
            )
            query = query.where(jobs.c.state.in_(states), jobs.c.cluster.in_(having))
        if after is not None:
            query = query.where(tuple_(jobs.c.cluster, jobs.c.proc) > tuple_(*after))
        with self._database.connect() as db:
            rows = db.execute(query.order_by(jobs.c.cluster, jobs.c.proc).limit(limit))
            return [job_view(row, with_spec=with_spec) for row in rows]

    def kinds(self, cluster: ClusterId, *, limit: int) -> list[KindView]:
        """Return the kinds of jobs of a submit that wait or are held: those that wait first, then the larger ones."""
        first, many = func.min(jobs.c.proc).label("first"), func.count().label("number")
        stopping = jobs.c.live_attempt.is_not(None)
        query = (
            select(first, many, jobs.c.state)
            .where(jobs.c.cluster == cluster, jobs.c.state.in_((JobState.IDLE.value, JobState.HELD.value)))
            .group_by(jobs.c.state, jobs.c.hold_code, stopping, _asks_alike())
            .order_by(jobs.c.state.desc(), many.desc(), first)
            .limit(limit)
        )
        with self._database.connect() as db:
            return [
                KindView(job=f"{cluster}.{row.first}", jobs=row.number, state=row.state)
                for row in db.execute(query)
            ]

    def job(self, scope: Scope, job: JobId) -> JobDetail:
        """Return one job with its history. Raises NotFound."""
        query = jobs_query().where(
            jobs.c.cluster == job.cluster, jobs.c.proc == job.proc, within(jobs.c.project, scope)
        )
        with self._database.connect() as db:
            row = db.execute(query).first()
            if row is None:
                raise NotFound(f"there is no job {job}", facts={"job": str(job)})
            return JobDetail(
                view=job_view(row),
                spec=whole_spec(row),
                retried=row.retried,
                lost=row.lost,
                committed_attempt=row.committed_attempt,
                live_attempt=row.live_attempt,
                project_id=row.project,
                owner_id=row.owner,
                attempt_list=_attempts(db, job, row.image),
                outputs=_outputs(db, job, row.committed_attempt),
                inputs=whole_inputs(row),
            )

    def asks(self, job: JobId) -> tuple[Resources, Wants]:
        """Return what the job asks of a machine."""
        query = (
            select(shapes)
            .join(jobs, jobs.c.shape == shapes.c.id)
            .where(jobs.c.cluster == job.cluster, jobs.c.proc == job.proc)
        )
        with self._database.connect() as db:
            row = db.execute(query).one()
        asked = Resources(cpus=row.cpus, memory_mib=row.memory_mib, disk_kib=row.disk_kib, gpus=row.gpus)
        return asked, Wants(row.requirements, row.rank, row.attributes)

    def owner_of(self, scope: Scope, cluster: ClusterId) -> tuple[str, ProjectId]:
        """Return (owner's id, project) of a submit. Raises NotFound."""
        query = select(clusters.c.owner, clusters.c.project).where(
            clusters.c.id == cluster, within(clusters.c.project, scope)
        )
        with self._database.connect() as db:
            row = db.execute(query).first()
        if row is None:
            raise NotFound(f"there is no job {cluster}", facts={"job": str(cluster)})
        return row.owner, ProjectId(row.project)

    def project_named(self, scope: Scope, name: str) -> ProjectId:
        """Return the project of that name or id which somebody has submitted to. Raises NotFound."""
        named = or_(clusters.c.project_name == name, clusters.c.project == name)
        with self._database.connect() as db:
            found = db.execute(
                select(clusters.c.project).where(named, within(clusters.c.project, scope)).limit(1)
            ).scalar()
        if found is None:
            raise NotFound(f"there are no jobs in project {name}", facts={"project": name})
        return ProjectId(found)

    def owner_named(self, scope: Scope, name: str) -> PersonId:
        """Return the person of that user name who has submitted jobs. Raises NotFound."""
        with self._database.connect() as db:
            found = db.execute(
                select(clusters.c.owner)
                .where(clusters.c.owner_name == name, within(clusters.c.project, scope))
                .limit(1)
            ).scalar()
        if found is None:
            raise NotFound(f"there are no jobs of {name}", facts={"owner": name})
        return PersonId(found)

    def group_of(self, job: JobId) -> Group:
        """Return what kind of worker runs the job."""
        query = select(jobs.c.project, jobs.c.image, jobs.c.flavor).where(
            jobs.c.cluster == job.cluster, jobs.c.proc == job.proc
        )
        with self._database.connect() as db:
            return Group(*db.execute(query).one())

    def ahead(self, job: JobId, group: Group) -> int:
        """Return how many idle jobs of the group were submitted before this one."""
        kind = and_(
            shapes.c.project == group.project,
            shapes.c.image == group.image,
            shapes.c.flavor == group.flavor,
            shapes.c.waiting > 0,
        )
        earlier = select(func.coalesce(func.sum(shapes.c.waiting), 0)).where(
            kind, shapes.c.cluster < job.cluster
        )
        beside = (
            select(func.count())
            .select_from(jobs)
            .join(shapes, shapes.c.id == jobs.c.shape)
            .where(
                shapes.c.cluster == job.cluster,
                jobs.c.state == JobState.IDLE.value,
                jobs.c.live_attempt.is_(None),
                jobs.c.proc < job.proc,
            )
        )
        with self._database.connect() as db:
            return int(db.execute(earlier).scalar_one()) + db.execute(beside).scalar_one()

    def active(self, cluster: ClusterId) -> int:
        """Return how many jobs of a submit are not over. Held ones wait for a person, and are not over."""
        open_ = shapes.c.idle + shapes.c.claimed + shapes.c.running + shapes.c.held
        query = select(func.coalesce(func.sum(open_), 0)).where(shapes.c.cluster == cluster)
        with self._database.connect() as db:
            return int(db.execute(query).scalar_one())

    def workers(
        self, scope: Scope, *, limit: int, marker: str | None = None, gone: bool = False
    ) -> list[WorkerView]:
        """Return worker machines, newest first; those that are gone only if asked for."""
        query = worker_query().where(within(machines.c.project, scope))
        if not gone:
            query = query.where(machines.c.state != MachineState.GONE.value)
        with self._database.connect() as db:
            if marker is not None:
                start = select(machines.c.created_at, machines.c.id).where(machines.c.id == marker)
                at = db.execute(start).first()
                if at is not None:
                    query = query.where(tuple_(machines.c.created_at, machines.c.id) < tuple_(*at))
            order = (machines.c.created_at.desc(), machines.c.id.desc())
            rows = db.execute(query.order_by(*order).limit(limit)).all()
            busy = jobs_of(db, [row.id for row in rows])
        return [worker_view(row, busy.get(row.id, [])) for row in rows]

    def dress(self, events: Sequence[Event]) -> list[EventView]:
        """Return events with the clouds where they happened."""
        names = {event.worker for event in events if event.worker}
        with self._database.connect() as db:
            rows = db.execute(select(machines.c.id, machines.c.cloud).where(machines.c.id.in_(names)))
            clouds = {row.id: row.cloud for row in rows}
        return [
            EventView(
                seq=event.seq,
                job=str(event.job),
                at=event.at,
                state=event.state.value,
                attempt=event.attempt,
                worker=event.worker,
                cloud=clouds.get(event.worker) if event.worker else None,
                detail=_detail(event),
            )
            for event in events
        ]


def _detail(event: Event) -> Mapping[str, Any]:
    """Return an event's detail; a hold has HTCondor's numbers too."""
    if event.state is not JobState.HELD:
        return event.detail
    code = number(event.detail.get("hold_code"), event.detail.get("hold_subcode"))
    return {**event.detail, "hold_reason_code": code.number, "hold_reason_subcode": code.subcode}


def within(column: ColumnElement[Any], scope: Scope) -> ColumnElement[bool]:
    """Return the condition that a project may be seen."""
    return true() if scope is None else column.in_(scope)


def _asks_alike() -> ColumnElement[int]:
    """What jobs ask for tells those apart that wait; what held ones ask for is not what keeps them."""
    return case((jobs.c.state == JobState.IDLE.value, jobs.c.shape), else_=0)


def _states(db: Connection, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    sums = (func.sum(shapes.c[state]).label(state) for state in STATES)
    query = select(shapes.c.cluster, *sums).where(shapes.c.cluster.in_(ids)).group_by(shapes.c.cluster)
    return {
        row["cluster"]: {state: int(row[state]) for state in STATES if row[state]}
        for row in db.execute(query).mappings()
    }


def cluster_views(db: Connection, rows: Sequence[Row[Any]]) -> list[ClusterView]:
    """Return rows of `clusters` as people see them, with how their jobs stand."""
    states = _states(db, [row.id for row in rows])
    return [_cluster(row, states.get(row.id, {})) for row in rows]


def _cluster(row: Row[Any], states: dict[str, int]) -> ClusterView:
    return ClusterView(
        cluster=row.id,
        batch_name=row.batch_name,
        project=row.project_name,
        owner=row.owner_name,
        image=ImageView(name=row.image_name, sha512=row.image),
        flavor=row.flavor,
        submitted_at=row.submitted_at,
        jobs=row.jobs,
        states=states,
    )


def jobs_query() -> Any:
    """Return the query of jobs with what a `job_view` is made from."""
    named = (clusters.c.batch_name, clusters.c.project_name, clusters.c.owner_name, clusters.c.image_name)
    named = (*named, clusters.c.common, clusters.c.common_inputs)
    last = and_(
        attempts.c.cluster == jobs.c.cluster,
        attempts.c.proc == jobs.c.proc,
        attempts.c.number == jobs.c.attempts,
    )
    return (
        select(jobs, *named, attempts.c.worker, machines.c.cloud.label("cloud"))
        .join(clusters, clusters.c.id == jobs.c.cluster)
        .outerjoin(attempts, last)
        .outerjoin(machines, machines.c.id == attempts.c.worker)
    )


def job_view(row: Row[Any], *, with_spec: bool = False) -> JobView:
    """Return a row of `jobs_query` as people see it."""
    spec = whole_spec(row)
    held = number(row.hold_code, row.hold_subcode) if row.hold_code else None
    return JobView(
        job=f"{row.cluster}.{row.proc}",
        cluster=row.cluster,
        proc=row.proc,
        batch_name=row.batch_name,
        project=row.project_name,
        owner=row.owner_name,
        state=row.state,
        image=ImageView(name=row.image_name, sha512=row.image),
        flavor=row.flavor,
        executable=spec.get("executable", ""),
        arguments=spec.get("arguments", []),
        priority=row.priority,
        attempts=row.attempts,
        exit_code=row.exit_code,
        signal=row.signal,
        succeeded=row.succeeded,
        hold_code=row.hold_code,
        hold_reason_code=held.number if held else None,
        hold_reason_subcode=held.subcode if held else None,
        reason=row.reason,
        worker=row.worker,
        cloud=row.cloud,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        entered_at=row.entered_at,
        spec=spec if with_spec else None,
    )


def _attempts(db: Connection, job: JobId, image: str) -> list[AttemptView]:
    query = (
        select(attempts, machines.c.cloud)
        .outerjoin(machines, machines.c.id == attempts.c.worker)
        .where(attempts.c.cluster == job.cluster, attempts.c.proc == job.proc)
        .order_by(attempts.c.number.desc())
        .limit(1000)
    )
    found = [
        AttemptView(
            attempt=row.number,
            state=row.state,
            worker=row.worker,
            cloud=row.cloud,
            image_sha512=image,
            claimed_at=row.claimed_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            exit_code=row.exit_code,
            signal=row.signal,
            error=row.error,
            usage=row.usage,
        )
        for row in db.execute(query)
    ]
    return found[::-1]


def _outputs(db: Connection, job: JobId, attempt: int | None) -> list[OutputView]:
    query = (
        select(outputs)
        .where(
            outputs.c.cluster == job.cluster, outputs.c.proc == job.proc, outputs.c.attempt == (attempt or 0)
        )
        .order_by(outputs.c.name)
    )
    return [OutputView(name=row.name, sha256=row.sha256, size=row.size) for row in db.execute(query)]
