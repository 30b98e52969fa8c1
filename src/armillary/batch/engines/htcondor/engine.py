"""HTCondor as the engine: people's side is that of our own queue, and a schedd does what our agents do there."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Connection, exists, insert, literal, select

from armillary.base.bell import Bell
from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import ClusterId, WorkerId
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.htcondor.collecting import Collecting
from armillary.batch.engines.htcondor.following import Follower
from armillary.batch.engines.htcondor.keys import JobKeys
from armillary.batch.engines.htcondor.machines import Machines
from armillary.batch.engines.htcondor.orders import Orders
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.sending import Sender
from armillary.batch.engines.htcondor.sending_again import send_again
from armillary.batch.engines.htcondor.staging import Staging
from armillary.batch.logs import LogFolder
from armillary.batch.model import Demand, Event, Selection, Submission, WorkerReport
from armillary.batch.ports import Spool
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.tables import clusters, jobs

log = logging.getLogger(__name__)

LOOK_FOR_STRAYS = 10
"""turns of `tick` between two looks for jobs whose files the schedd has lost"""
LOOK_FOR_MISSING = 150
"""turns of `tick` between two looks for jobs that the schedd has dropped"""


class CondorEngine:
    """The `Engine` port over a schedd. What people ask for is in our records before the schedd hears of it.

    `tick` makes the two agree. Without it everything is recorded and nothing happens, as with a pool that is away.
    """

    def __init__(
        self,
        *,
        site: Site,
        spool: Spool,
        logs: LogFolder,
        directory: Path,
        bell: Bell,
        queue: EmbeddedQueue,
        keys: JobKeys | None = None,
    ) -> None:
        """`directory` is for files on their way; nothing in it needs to be kept. Without `keys` jobs act for nobody."""
        self._database = site.database
        self._bell = bell
        self._queue = queue
        staging = Staging(directory=directory, spool=spool)
        self._sender = Sender(site=site, staging=staging, keys=keys)
        self._follower = Follower(site=site)
        self._collecting = Collecting(site=site, staging=staging, logs=logs)
        self._orders = Orders(site=site)
        self._machines = Machines(site=site)
        self._turns = 0

    # Engine

    def submit(self, submission: Submission) -> ClusterId:
        cluster = self._queue.submit(submission)
        with self._database.begin() as db:
            _admit(db, cluster)
        return cluster

    def changes(self, *, after: int, cluster: ClusterId | None = None, limit: int = 1000) -> list[Event]:
        return self._queue.changes(after=after, cluster=cluster, limit=limit)

    def hold(self, jobs: Selection, *, reason: str) -> int:
        return self._queue.hold(jobs, reason=reason)

    def release(self, jobs: Selection, *, memory_mib: int | None = None) -> int:
        return self._restarted(jobs, self._queue.release(jobs, memory_mib=memory_mib))

    def remove(self, jobs: Selection, *, reason: str) -> int:
        return self._queue.remove(jobs, reason=reason)

    def retry(self, jobs: Selection) -> int:
        return self._restarted(jobs, self._queue.retry(jobs))

    def prioritize(self, chosen: Selection, priority: int) -> int:
        return self._queue.prioritize(chosen, priority)

    # Workforce

    def demand(self) -> list[Demand]:
        return self._queue.demand()

    def workers(self) -> list[WorkerReport]:
        return self._queue.workers()

    def drain(self, worker: WorkerId) -> None:
        self._queue.drain(worker)

    def lost(self, worker: WorkerId, reason: str) -> int:
        count = self._queue.lost(worker, reason)
        try:
            self._machines.forget(worker)
        except ArmillaryError as error:  # `tick` tries again
            log.warning("the pool could not be told that worker %s is gone: %s", worker, error.message)
        return count

    # of this engine only

    def tick(self) -> None:
        """Bring the pool and our records together. Call it every few seconds, from one thread of one process.

        Raises Unavailable when the pool does not answer; the next call goes on.
        """
        if self._turns == 0:
            self._resume()
        refused = self._sender.send()
        if self._turns % LOOK_FOR_STRAYS == 0:
            self._sender.drop_strays()
        moved = self._follower.follow()
        try:
            home = self._collecting.collect()
        except Unavailable:
            self._restart(None)  # some may be home: only that the schedd may forget them did not reach it
            raise
        if home:
            self._restart(home)  # what a person has retried since the schedd was told to remove it
        moved |= home
        self._orders.send()
        self._machines.look()
        self._machines.spare()
        self._turns += 1
        if self._turns % LOOK_FOR_MISSING == 0:
            self._follower.missing()
            self._collecting.dismiss_leftovers()
        if moved or refused:
            self._bell.ring("work", *(("cluster", cluster) for cluster in moved | refused))

    def _resume(self) -> None:
        """Do what a crash may have left undone."""
        with self._database.begin() as db:
            known = exists().where(pool_jobs.c.cluster == clusters.c.id)
            for cluster in db.execute(select(clusters.c.id).where(~known)).scalars().all():
                _admit(db, cluster)
        self._restart(None)
        self._collecting.dismiss_leftovers()
        self._follower.missing()

    def _restarted(self, chosen: Selection, count: int) -> int:
        if count:
            self._restart(None if chosen.cluster is None else {chosen.cluster})
        return count

    def _restart(self, numbers: Collection[int] | None) -> None:
        with self._database.begin() as db:
            send_again(db, numbers)


def _admit(db: Connection, cluster: int) -> None:
    """Note the jobs of a submit as ones that are to be sent."""
    if db.execute(select(pool_jobs.c.proc).where(pool_jobs.c.cluster == cluster).limit(1)).first():
        return
    fresh = {"turn": 1, "seen": "", "status": 1, "entered": 0, "run": 0, "completions": 0, "done": False}
    columns = ["cluster", "proc", "priority", *fresh]
    values = (literal(value).label(name) for name, value in fresh.items())
    chosen = select(jobs.c.cluster, jobs.c.proc, jobs.c.priority, *values).where(jobs.c.cluster == cluster)
    db.execute(insert(pool_jobs).from_select(columns, chosen))
