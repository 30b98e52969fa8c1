"""A bench of the HTCondor engine: a real schedd, and machines that join its pool by our user data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine as Database

from armillary.base.bell import Bell
from armillary.base.clock import SystemClock
from armillary.base.errors import Unavailable
from armillary.base.ids import CloudName, ProjectId, Sha512, WorkerId, new_hex
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.htcondor.engine import CondorEngine
from armillary.batch.engines.htcondor.joining import CondorEnrolment, PoolTerms
from armillary.batch.engines.htcondor.pool import CondorPool
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.secrets import Secrets
from armillary.batch.logs import LogFolder
from armillary.batch.model import Group, Resources
from armillary.batch.spool import FolderSpool
from armillary.batch.store.tables import create_all
from htcondor_machine import Machine, machine
from htcondor_pool import TRUST_DOMAIN, Pool

WHOLE = Resources(cpus=2, memory_mib=2048, disk_kib=2**20)
PATIENCE = 150
LEASE = timedelta(seconds=120)
_JOB = """\
#!/bin/sh
# Ends when it is told to, as it is told to.
until [ -s "/bench/end-$1" ]; do sleep 0.1; done
exit "$(cat "/bench/end-$1")"
"""


class CondorBench:
    """Moves the pool's machines: they take jobs by themselves, so that a test waits for it."""

    def __init__(
        self, *, database: Database, pool: Pool, folder: Path, stack: ExitStack, lease: timedelta
    ) -> None:
        self.mark = new_hex()
        self.group = Group(ProjectId("p" * 32), Sha512(self.mark * 4), "c2-2gb-10")
        self._pool = pool
        self._stack = stack
        self.machines: dict[str, Machine] = {}
        self.database = database
        create_all(database)
        clock = SystemClock()
        self.queue = EmbeddedQueue(database=database, clock=clock)
        self.door = CondorPool(config=pool.client_config(folder / "client"), patience=60)
        stack.callback(self.door.close)
        secrets = Secrets(
            key_file=pool.signing_key,
            trust_domain=TRUST_DOMAIN,
            token_life=timedelta(hours=1),
            clock=clock,
            new_id=new_hex,
        )
        self.spool = FolderSpool(directory=folder / "spool")
        self.logs = LogFolder(directory=folder / "logs")

        def make(door: Any = None) -> CondorEngine:
            return CondorEngine(
                site=Site(
                    database=database, clock=clock, pool=door or self.door, platform=self.mark, lease=lease
                ),
                spool=self.spool,
                logs=self.logs,
                directory=folder / "staging",
                bell=Bell(),
                queue=self.queue,
            )

        self.make = make
        self.engine = make()
        self.enrolment = CondorEnrolment(
            register=Register(database=database, clock=clock),
            secrets=secrets,
            terms=PoolTerms(
                collector=f"pool.test:{pool.port}",
                trust_domain=TRUST_DOMAIN,
                platform=self.mark,
                hosts={"pool.test": "127.0.0.1"},
                update=timedelta(seconds=2),
            ),
        )
        job = pool.bench / "job"
        job.write_text(_JOB)
        job.chmod(0o755)

    def spec(self, proc: int) -> dict[str, Any]:
        """A job that ends when it is told to."""
        name = f"{self.mark}-$(Cluster).{proc}"
        return {"executable": "/bench/job", "transfer_executable": False, "arguments": [name]}

    def worker_comes(self, name: str) -> None:
        self.boots(name, self.group)
        self.until(lambda: any(report.id == name for report in self.engine.workers()))

    def boots(self, name: str, group: Group) -> Machine:
        """Boot a machine of the group."""
        data = self.enrolment.user_data(WorkerId(name), group=group, cloud=CloudName("east"), size=WHOLE)
        self.machines[name] = self._stack.enter_context(machine(self._pool, name, data))
        return self.machines[name]

    def takes(self, worker: str) -> list[str]:
        def full() -> bool:
            report = next(report for report in self.engine.workers() if report.id == worker)
            return not report.free.cpus or not any(d.jobs for d in self.engine.demand())

        self.until(full)
        state = {str(e.job): e.state for e in self.engine.changes(after=0) if e.worker == worker}
        return sorted(job for job, now in state.items() if now.on_worker)

    def ends(self, worker: str, job: str, *, exit_code: int) -> None:
        self.end(job, exit_code)
        self.until(lambda: not self.state(job).on_worker)

    def end(self, job: str, exit_code: int) -> None:
        """Let a job's program end, now or when it comes to run."""
        (self._pool.bench / f"end-{self.mark}-{job}").write_text(str(exit_code))

    def state(self, job: str) -> Any:
        """The job's state by the last change."""
        return next(
            e.state for e in reversed(self.engine.changes(after=0, limit=10_000)) if str(e.job) == job
        )

    def states(self) -> dict[str, str]:
        """Where all jobs are by the last change."""
        return {str(e.job): e.state.value for e in self.engine.changes(after=0, limit=10_000)}

    def last_words(self) -> str:
        """Our last changes, what the schedd says of its jobs, and the ends of what the daemons have logged."""
        ours = (
            f"{e.at:%T} {e.job} {e.state.value} {dict(e.detail)}"
            for e in self.engine.changes(after=0, limit=10_000)
        )
        queue = self._pool.run("condor_q", "-nobatch", "-allusers").stdout
        machines = (one.logs() for one in self.machines.values())
        return "\n".join((*list(ours)[-40:], queue, self._pool.logs(), *machines))

    def drain_is_known(self, worker: str) -> None:
        def avoided() -> bool:
            mine = f'ArmillaryPlatform == "{self.mark}" && JobStatus == 1'
            ads = self.door.query(mine, ["ArmillaryAvoid"])
            return bool(ads) and all(ad.get("ArmillaryAvoid") == worker for ad in ads)

        self.until(avoided)

    def told_to_go(self, worker: str) -> bool:
        self.drain_is_known(worker)
        return next(report.draining for report in self.engine.workers() if report.id == worker)

    def stops_what_it_was_told_to(self, worker: str) -> None:
        # It would take the job again at once.
        self.engine.drain(WorkerId(worker))
        self.until(lambda: not next(r for r in self.engine.workers() if r.id == worker).jobs)

    def in_the_schedd(self, job: str) -> list[dict[str, Any]]:
        """What the schedd has under the job's name."""
        cluster, _, proc = job.partition(".")
        mine = (
            f'ArmillaryPlatform == "{self.mark}" && ArmillaryCluster == {cluster} && ArmillaryProc == {proc}'
        )
        return self.door.query(mine, ["ClusterId", "ProcId", "JobStatus", "JobPrio"])

    def until(self, holds: Callable[[], bool], *, away: bool = False) -> None:
        """Let time pass until something holds. The pool has no bell, so that it is asked again and again.

        It may be `away` for a while.
        """
        end = time.monotonic() + PATIENCE
        while True:
            with suppress(Unavailable) if away else nullcontext():
                self.engine.tick()
            if holds():
                return
            if time.monotonic() > end:
                pytest.fail(f"it did not come to it: {self.states()}\n{self.last_words()}", pytrace=False)
            time.sleep(0.1)

    def clear(self) -> None:
        """Leave nothing of ours in the pool's queue."""
        ads = self.door.query(f'ArmillaryPlatform == "{self.mark}"', ["ClusterId", "ProcId"])
        names = [f"{ad['ClusterId']}.{ad['ProcId']}" for ad in ads]
        if names:
            self.door.edit(names, "LeaveJobInQueue", "false")
            self.door.act("Remove", names, "the test is over")


@contextmanager
def condor_bench(
    database: Database, pool: Pool, folder: Path, *, lease: timedelta = LEASE
) -> Iterator[CondorBench]:
    """Make a bench, and put everything away after."""
    with ExitStack() as stack:
        bench = CondorBench(database=database, pool=pool, folder=folder, stack=stack, lease=lease)
        try:
            yield bench
        finally:
            bench.clear()
