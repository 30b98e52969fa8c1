"""What stands beside running jobs of a pool may do, by their keys: act for their owner, and show what they print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Connection, Row, and_, select, update

from armillary.base.bell import Bell
from armillary.base.ids import ClusterId, PersonId, WorkerId
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.engines.htcondor.keys import JobKeys
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.translate import ours_to_fetch
from armillary.batch.logs import LogFolder
from armillary.batch.model import JobId, WrongState
from armillary.batch.ports import Credential, Credentials
from armillary.batch.store.hardware_records import HardwareRecords
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.specs import whole_spec
from armillary.batch.store.tables import attempts, clusters, jobs


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What a job that begins on a machine is to know."""

    job: JobId
    attempt: int
    cpus: int
    fetch: Sequence[str]
    """inputs that HTCondor cannot bring"""
    given: Sequence[str]
    """the variables that its submit file sets, and that nobody else does"""
    credential: Credential | None


@dataclass(frozen=True, kw_only=True)
class Attended:
    """A running attempt."""

    job: JobId
    attempt: int
    worker: WorkerId


class Attending:
    """By keys of jobs, each call: Unauthorized for a key that is none, WrongState `job_not_begun` for one that is not,
    or not yet, that of a running job.
    """

    def __init__(
        self,
        *,
        site: Site,
        keys: JobKeys,
        logs: LogFolder,
        bell: Bell,
        credentials: Credentials | None = None,
        hardware: HardwareRecords | None = None,
        renew_before: timedelta = timedelta(hours=1),
    ) -> None:
        self._database = site.database
        self._clock = site.clock
        self._keys = keys
        self._logs = logs
        self._bell = bell
        self._credentials = credentials
        self._hardware = hardware
        self._renew_before = renew_before

    def begin(self, key: str, *, run: int, machine: Mapping[str, str] | None = None) -> Begun:
        """Take note that a job begins, with a credential of its owner. `run` is when, as the schedd's clock has it."""
        row = self._running(key)
        if row.run != run:
            raise _not_begun(JobId(row.cluster, row.proc))  # we have heard of an earlier attempt only
        if self._hardware and machine:
            self._hardware.note(WorkerId(row.worker), machine)
        with self._database.begin() as db:
            # A program that ends before the schedd is asked again has begun, too.
            db.execute(update(attempts).where(_attempt(row)).values(started_at=moment(db, self._clock)))
        spec = whole_spec(row)
        environment = cast("Mapping[str, Any]", spec.get("environment") or {})
        credential = self._issue(row)
        if self._credentials and row.credential:  # the answer was lost
            self._credentials.revoke(PersonId(row.owner), row.credential)
        return Begun(
            job=JobId(row.cluster, row.proc),
            attempt=row.live_attempt,
            cpus=row.cpus,
            fetch=ours_to_fetch(spec),
            given=sorted(environment),
            credential=credential,
        )

    def renew(self, key: str, *, attempt: int) -> Credential | None:
        """Return a new credential when the old one ends soon."""
        row = self._running(key, attempt)
        ends = row.credential_expires
        if ends is not None and ends - self._clock.now() >= self._renew_before:
            return None
        # The old one stays good until it ends: the job may be using it at this moment.
        return self._issue(row)

    def fail(self, key: str, *, run: int, why: str) -> None:
        """Take note of why a job cannot begin. It will end, and be put on hold for it."""
        row = self._running(key)
        if row.run == run:
            with self._database.begin() as db:
                db.execute(update(attempts).where(_attempt(row)).values(error=why))

    def log(self, key: str, stream: str, *, attempt: int, offset: int, data: bytes) -> int:
        """Take bytes of a stream; returns the size it has now. Raises LogGap."""
        row = self._running(key, attempt)
        job = JobId(row.cluster, row.proc)
        size = self._logs.append(job, attempt, stream, offset=offset, data=data)
        self._bell.ring(("log", job))
        return size

    def attended(self, key: str) -> Attended:
        """Return the running attempt of a key."""
        row = self._running(key)
        return Attended(
            job=JobId(row.cluster, row.proc), attempt=row.live_attempt, worker=WorkerId(row.worker)
        )

    def _running(self, key: str, attempt: int | None = None) -> Row[Any]:
        cluster, proc, turn = self._keys.read(key)
        live = and_(
            attempts.c.cluster == jobs.c.cluster,
            attempts.c.proc == jobs.c.proc,
            attempts.c.number == jobs.c.live_attempt,
        )
        query = (
            select(
                *(jobs.c.cluster, jobs.c.proc, jobs.c.spec, jobs.c.inputs, jobs.c.owner, jobs.c.cpus),
                *(jobs.c.live_attempt, clusters.c.common, clusters.c.common_inputs, pool_jobs.c.run),
                *(attempts.c.worker, attempts.c.credential, attempts.c.credential_expires),
            )
            .join(pool_jobs, and_(pool_jobs.c.cluster == jobs.c.cluster, pool_jobs.c.proc == jobs.c.proc))
            .join(clusters, clusters.c.id == jobs.c.cluster)
            .join(attempts, live)
            .where(
                jobs.c.cluster == cluster,
                jobs.c.proc == proc,
                pool_jobs.c.turn == turn,
                pool_jobs.c.done.is_(False),
            )
        )
        with self._reading() as db:
            row: Any = db.execute(query).first()
        if row is None or attempt not in (None, row.live_attempt):
            raise _not_begun(JobId(ClusterId(cluster), proc))
        return row

    def _issue(self, row: Row[Any]) -> Credential | None:
        if self._credentials is None:
            return None
        job = JobId(row.cluster, row.proc)
        issued = self._credentials.issue(
            PersonId(row.owner),
            label=f"job {job} attempt {row.live_attempt}",
            job=f"{job}.{row.live_attempt}",
        )
        with self._database.begin() as db:
            db.execute(
                update(attempts)
                .where(_attempt(row))
                .values(credential=issued.reference, credential_expires=issued.expires)
            )
        return issued

    def _reading(self) -> Connection:
        return self._database.execution_options(readonly=True).connect()


def _attempt(row: Row[Any]) -> Any:
    return and_(
        attempts.c.cluster == row.cluster,
        attempts.c.proc == row.proc,
        attempts.c.number == row.live_attempt,
    )


def _not_begun(job: JobId) -> WrongState:
    return WrongState(
        f"no attempt of job {job} is known to run now",
        code="job_not_begun",
        facts={"job": str(job)},
        remedy="Ask again in a second: the schedd says it in time.",
    )
