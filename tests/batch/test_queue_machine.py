"""The queue under a random walk: every rule holds after every step, through restarts and lost replies."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from batch_world import WHOLE, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from armillary.batch.core.states import Fault, Result
from armillary.batch.engines.embedded.parcels import LeaseKey, OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import JobId, JobState, Selection, StaleAttempt

ENDS = st.sampled_from(
    [
        Result(exit_code=0),
        Result(exit_code=1),
        Result(signal=9),
        Result(error=Fault(code="output_missing", message="no catalogue")),
        Result(error=Fault(code="disk_full", message="full", retry=True)),
    ]
)


class QueueMachine(RuleBasedStateMachine):
    """Agents that renew, crash, lag and lie; people that hold, remove and retry; a platform that is killed."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(folder=Path(self.folder.name))
        self.sessions: list[Session] = []
        self.submitted: set[str] = set()
        self.committed: dict[str, tuple[str, int]] = {}
        self.believed: dict[LeaseKey, Session] = {}
        """attempts whose agents may still run them, by the agents' own clocks"""
        self.until: dict[LeaseKey, datetime] = {}

    def teardown(self) -> None:
        self.world.database.dispose()
        self.folder.cleanup()

    @initialize()
    def workers(self) -> None:
        self.sessions = [self.world.worker(f"w{n}") for n in range(2)]
        for retries in (0, 1):
            self.submit(retries)

    @rule(retries=st.integers(0, 1))
    def submit(self, retries: int) -> None:
        if len(self.submitted) < 8:
            cluster = self.world.submit(2, max_retries=retries)
            self.submitted |= {f"{cluster}.{proc}" for proc in range(2)}

    @rule(target=leases, number=st.integers(0, 1))
    def claim(self, number: int) -> object:
        return self.claim_with(number, reply_lost=False)

    @rule(number=st.integers(0, 1))
    def claim_without_hearing(self, number: int) -> None:
        self.claim_with(number, reply_lost=True)

    def claim_with(self, number: int, *, reply_lost: bool) -> object:
        session = self.sessions[number]
        claimed = self.world.leases.claim(session, WHOLE)
        keys = [leased.key for leased in claimed.jobs]
        for key in keys:
            # Never two at once: nobody may still believe that an earlier attempt of the job is his.
            assert not [k for k in self.believed if k.job == key.job], "two attempts overlap"
        if reply_lost:
            return multiple()
        for key in keys:
            self.believe(key, session)
        return multiple(*keys)

    def believe(self, key: LeaseKey, session: Session) -> None:
        self.believed[key] = session
        self.until[key] = self.world.clock.now() + self.world.terms.lease

    @rule(key=leases)
    def renew(self, key: LeaseKey) -> None:
        session = self.believed.get(key)
        if session is None:
            return
        renewed = self.world.leases.renew(session, [key], fading=timedelta(0))
        if renewed.lost:
            self.forget(key)
        elif not renewed.remove:
            self.believe(key, session)

    @rule(key=leases, result=ENDS, twice=st.booleans())
    def finish(self, key: LeaseKey, result: Result, twice: bool) -> None:
        """Also by agents that have lost their lease long ago."""
        self.finish_with(key, result, twice=twice)

    def finish_with(self, key: LeaseKey, result: Result, *, twice: bool) -> None:
        mine = key in self.believed
        session = self.believed.get(key) or self.sessions[0]
        output = OutputRef(name="out", sha256=f"{key.attempt:064x}", size=1)
        before = self.world.records.job(None, key.job)
        try:
            self.world.leases.add_output(session, key, output)
            brought = [output]
        except StaleAttempt:
            brought = []
        try:
            for _ in range(1 + twice):
                state = self.world.leases.finish(session, key, result, usage={}, brought=brought).state
        except StaleAttempt:
            after = self.world.records.job(None, key.job)
            assert (before.view.state, before.outputs) == (after.view.state, after.outputs)
        else:
            if mine and state is JobState.COMPLETED and before.live_attempt == key.attempt:
                self.committed[str(key.job)] = (output.sha256, key.attempt)
        self.forget(key)

    @rule(key=leases)
    def finish_well_and_again(self, key: LeaseKey) -> None:
        if key in self.believed:
            self.finish_with(key, Result(exit_code=0), twice=True)

    def forget(self, key: LeaseKey) -> None:
        self.believed.pop(key, None)
        self.until.pop(key, None)

    @rule(seconds=st.sampled_from([1, 20, 59, 61, 80]), look=st.booleans())
    def time_passes(self, seconds: int, look: bool) -> None:
        self.world.later(seconds)
        now = self.world.clock.now()
        for key in [key for key, until in self.until.items() if until <= now]:
            self.forget(key)  # the agent has killed it by itself
        if look:
            self.world.queue.expire()

    @rule(number=st.integers(0, 1))
    def a_worker_dies(self, number: int) -> None:
        session = self.sessions[number]
        self.world.queue.lost(session.worker, "its server is gone")
        for key in [key for key, owner in self.believed.items() if owner is session]:
            self.forget(key)
        self.sessions[number] = self.world.worker(f"{session.worker}+")

    @rule(
        pick=st.integers(0, 11),
        act=st.sampled_from(["hold and release", "remove and retry", "hold", "release"]),
    )
    def a_person_acts(self, pick: int, act: str) -> None:
        """Mostly on a job that runs: that is where it hurts."""
        busy = sorted({str(key.job) for key in self.believed}) or sorted(self.submitted)
        if not busy:
            return
        chosen = Selection(cluster=JobId.parse(busy[pick % len(busy)]).cluster)
        queue = self.world.queue
        before = self.world.states()
        if "hold" in act:
            queue.hold(chosen, reason="")
        if "remove" in act:
            queue.remove(chosen, reason="")
        if "retry" in act:
            queue.retry(chosen)
        if "release" in act:
            queue.release(chosen)
        after = self.world.states()
        for job in [job for job in self.committed if after[job] != before[job]]:
            del self.committed[job]

    @rule()
    def kill_9(self) -> None:
        self.world.database.dispose()
        self.world.restart()

    @invariant()
    def nothing_is_lost_and_nothing_counts_twice(self) -> None:
        assert set(self.world.states()) == self.submitted
        for job, (sha256, attempt) in self.committed.items():
            detail = self.world.records.job(None, JobId.parse(job))
            assert detail.view.state == "completed"
            assert detail.committed_attempt == attempt
            assert [output.sha256 for output in detail.outputs] == [sha256]

    @invariant()
    def a_job_has_one_live_attempt_at_most(self) -> None:
        for job in self.submitted:
            detail = self.world.records.job(None, JobId.parse(job))
            live = [a.attempt for a in detail.attempt_list if a.state in ("leased", "running", "stopping")]
            assert live == ([detail.live_attempt] if detail.live_attempt else [])
            if detail.view.state in ("claimed", "running"):
                assert live
            if detail.view.state == "completed":
                assert not live

    @invariant()
    def no_worker_is_overfull(self) -> None:
        for report in self.world.queue.workers():
            assert report.free.cpus >= 0


QueueMachine.TestCase.settings = settings(
    max_examples=8, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestQueue = QueueMachine.TestCase
