"""What the policies of jobs need to know: which submits have any, and the facts of a job or of a page of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, insert, select, update
from sqlalchemy import Engine as Database

from armillary.base.ids import ClusterId
from armillary.batch.model import JobId, JobSpec, JobState
from armillary.batch.store.tables import attempts, clusters, jobs, machines, notices, policies

WAITING, TOLD = "waiting", "told"
"""of a notice's row: somebody who wants to hear of a submit's end"""
_OPEN = tuple(state.value for state in JobState if state.active or state is JobState.HELD)
_AT_EXIT = ("retry_until", "retry_request_memory_mib", "on_exit_remove", "on_exit_hold", "success_exit_code")
_PERIODIC = ("periodic_hold", "periodic_release", "periodic_remove", "periodic_vacate")
_DURATIONS = ("allowed_execute_seconds", "allowed_job_seconds")


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """One job for its policies. `job` has the fields of a job on the wire, and those of its present attempt."""

    id: JobId
    job: Mapping[str, Any]
    spec: Mapping[str, Any]
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    """of the present attempt"""
    past_seconds: float = 0.0
    """that earlier attempts ran"""
    usage: Mapping[str, float] = field(default_factory=dict[str, float])
    """of the last attempt that told"""
    has_ended: bool = False
    """whether the present attempt has, and is among the earlier ones"""

    @property
    def state(self) -> JobState:
        """The job's state when this was read."""
        return JobState(self.job["state"])

    @property
    def policy(self) -> Mapping[str, Any]:
        """The job's expressions by their names in the submit; empty when it has none."""
        return self.spec.get("policy") or {}


def note(db: Connection, cluster: int, submitted: Iterable[JobSpec]) -> None:
    """Remember, in the transaction of a submit, whether its jobs bring policies along."""
    exits = periodic = False
    before: Any = None
    for job in submitted:
        policy: Mapping[str, Any] | None = job.data.get("policy")
        if policy and policy is not before:  # most jobs share one, as the very same object
            exits = exits or any(policy.get(name) for name in _AT_EXIT)
            periodic = periodic or any(policy.get(name) for name in _PERIODIC)
            before = policy
        periodic = periodic or any(job.data.get(name) for name in _DURATIONS)
    if exits or periodic:
        db.execute(insert(policies).values(cluster=cluster, exits=exits, periodic=periodic, watched=periodic))


def watch_again(db: Connection, chosen: Iterable[int]) -> None:
    """Look again at submits of which a job that was over is to run once more, and tell of their end again."""
    again = set(chosen)
    db.execute(
        update(policies)
        .where(policies.c.cluster.in_(again), policies.c.periodic.is_(True))
        .values(watched=True)
    )
    db.execute(
        update(notices)
        .where(notices.c.cluster.in_(again), notices.c.state == TOLD)
        .values(state=WAITING, said="")
    )


class PolicyRecords:
    """Reads for policies."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)
        # What a submit brings along never changes, and no number is used twice.
        self._known = lru_cache(maxsize=10_000)(self._look_up)

    def decides_at_exit(self, cluster: int) -> bool:
        """Whether jobs of the submit have a policy for their end."""
        return self._known(cluster)

    def _look_up(self, cluster: int) -> bool:
        with self._reading.connect() as db:
            return bool(db.execute(select(policies.c.exits).where(policies.c.cluster == cluster)).scalar())

    def job(self, job: JobId) -> JobFacts | None:
        """Return one job's facts."""
        found = self._facts(and_(jobs.c.cluster == job.cluster, jobs.c.proc == job.proc), limit=1)
        return found[0] if found else None

    def watched(self) -> list[ClusterId]:
        """Return the submits that are to be looked at."""
        with self._reading.connect() as db:
            query = (
                select(policies.c.cluster).where(policies.c.watched.is_(True)).order_by(policies.c.cluster)
            )
            return [ClusterId(cluster) for cluster in db.execute(query).scalars()]

    def page(self, cluster: ClusterId, *, after: int, limit: int) -> list[JobFacts]:
        """Return jobs of a submit that are not over, by their numbers."""
        mine = and_(jobs.c.cluster == cluster, jobs.c.proc > after, jobs.c.state.in_(_OPEN))
        return self._facts(mine, limit=limit)

    def forget(self, cluster: ClusterId) -> None:
        """Look no more at a submit, unless a job of it is not over after all."""
        alive = exists().where(jobs.c.cluster == cluster, jobs.c.state.in_(_OPEN))
        with self._database.begin() as db:
            db.execute(update(policies).where(policies.c.cluster == cluster, ~alive).values(watched=False))

    def _facts(self, chosen: Any, *, limit: int) -> list[JobFacts]:
        """Return the facts of jobs of one submit."""
        now = and_(
            attempts.c.cluster == jobs.c.cluster,
            attempts.c.proc == jobs.c.proc,
            attempts.c.number == jobs.c.live_attempt,
        )
        query = (
            select(
                *_OF_JOB,
                attempts.c.worker,
                attempts.c.claimed_at,
                attempts.c.started_at.label("executed_at"),
                machines.c.cloud,
            )
            .outerjoin(attempts, now)
            .outerjoin(machines, machines.c.id == attempts.c.worker)
            .where(chosen)
            .order_by(jobs.c.cluster, jobs.c.proc)
            .limit(limit)
        )
        with self._reading.connect() as db:
            rows = db.execute(query).all()
            if not rows:
                return []
            # Once, and not with each row: what all jobs of a submit share may be long.
            submit = db.execute(select(*_OF_SUBMIT).where(clusters.c.id == rows[0].cluster)).one()
            past = _past(db, rows)
        return [_fact(row, submit, past.get(row.proc, [])) for row in rows]


_OF_JOB = [column for column in jobs.c if column.name != "inputs"]
_OF_SUBMIT = [
    clusters.c[name] for name in ("batch_name", "project_name", "owner_name", "image_name", "common")
]


def _past(db: Connection, rows: Sequence[Row[Any]]) -> dict[int, list[Any]]:
    """Return the attempts that have ended, of jobs of one submit."""
    query = (
        select(
            attempts.c.proc,
            attempts.c.started_at,
            attempts.c.claimed_at,
            attempts.c.ended_at,
            attempts.c.usage,
        )
        .where(
            attempts.c.cluster == rows[0].cluster,
            attempts.c.proc.between(rows[0].proc, rows[-1].proc),
            attempts.c.live.is_(False),
        )
        .order_by(attempts.c.proc, attempts.c.number)
    )
    found: dict[int, list[Any]] = {}
    for row in db.execute(query):
        found.setdefault(row.proc, []).append(row)
    return found


def _fact(row: Row[Any], submit: Row[Any], past: Sequence[Any]) -> JobFacts:
    seconds = sum((one.ended_at - (one.started_at or one.claimed_at)).total_seconds() for one in past)
    told: list[dict[str, float]] = [one.usage for one in past if one.usage]
    spec = {**submit.common, **row.spec}
    job = {
        **{column.name: getattr(row, column.name) for column in _OF_JOB},
        "worker": row.worker,
        "cloud": row.cloud,
        "batch_name": submit.batch_name,
        "owner": submit.owner_name,
        "project": submit.project_name,
        "image": {"name": submit.image_name, "sha512": row.image},
        "executable": spec.get("executable", ""),
        "arguments": spec.get("arguments", []),
    }
    return JobFacts(
        id=JobId(ClusterId(row.cluster), row.proc),
        job=job,
        spec=spec,
        claimed_at=row.claimed_at,
        started_at=row.executed_at,
        past_seconds=seconds,
        usage=told[-1] if told else {},
    )
