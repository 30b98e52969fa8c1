"""What our records say of a job in a pool, whenever we looked: its retries, attempts and end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine as Database
from sqlalchemy import insert

from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.ids import PersonId, ProjectId, Sha512
from armillary.base.job_ads import COMPLETED, HELD, IDLE, RUNNING
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.htcondor.following import Follower
from armillary.batch.engines.htcondor.orders import Orders
from armillary.batch.engines.htcondor.ports import Pool, Site
from armillary.batch.model import Group, JobId, JobSpec, Resources, Submission
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.records import Records
from armillary.batch.store.tables import create_all

GROUP = Group(ProjectId("p" * 32), Sha512("a" * 128), "c2-2gb-10")
Ad = dict[str, Any]
Outcome = Literal["fails", "is evicted"]


class Schedd:
    """Has one job, as it is at the moment."""

    def __init__(self) -> None:
        self.ad: Ad = {}

    def query(self, constraint: str, projection: Sequence[str]) -> list[Ad]:
        return [self.ad]

    def act(self, action: str, jobs: Sequence[str], reason: str) -> int:
        raise AssertionError(f"{action} {jobs}: nobody wants that")


class Followed:
    """A job that the schedd has, and what we know of it."""

    def __init__(self, database: Database) -> None:
        clock = VirtualClock()
        self.schedd = Schedd()
        self._database = database
        site = Site(database=database, clock=clock, pool=cast("Pool", self.schedd), platform="here")
        self._follower = Follower(site=site)
        self._orders = Orders(site=site)
        job = JobSpec(proc=0, resources=Resources(cpus=1, memory_mib=1, disk_kib=1), data={"executable": "x"})
        self.cluster = EmbeddedQueue(database=database, clock=clock).submit(
            Submission(
                group=GROUP,
                owner=PersonId("o" * 32),
                owner_name="ada",
                project_name="galaxies",
                image_name="my-snapshot",
                batch_name=None,
                submit_text="",
                jobs=(job,),
            )
        )
        fresh = {"turn": 1, "seen": "", "status": 1, "entered": 0, "run": 0, "completions": 0, "done": False}
        there = {"schedd_cluster": self.cluster, "schedd_proc": 0, "priority": 0}
        with database.begin() as db:
            db.execute(insert(pool_jobs).values(cluster=self.cluster, proc=0, **there, **fresh))

    def look(self, ad: Ad) -> None:
        names = {"ArmillaryCluster": self.cluster, "ArmillaryProc": 0, "ArmillaryTurn": 1}
        self.schedd.ad = {**names, "ClusterId": self.cluster, "ProcId": 0, **ad}
        self._follower.follow()
        self._orders.send()

    def record(self) -> Any:
        return Records(database=self._database).job(None, JobId(self.cluster, 0))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = make_engine(f"sqlite:///{tmp_path_factory.mktemp('records')}/records.db", durable=False)
    create_all(made)
    yield made
    made.dispose()


class History:
    """All that a schedd says of a job, moment by moment: what its shadows send comes before its state changes."""

    def __init__(self) -> None:
        self.moments: list[Ad] = []
        self._now = 1_800_000_000
        self._ad: Ad = {"NumJobCompletions": 0, "NumJobStarts": 0, "NumHolds": 0}
        self._says(JobStatus=IDLE, EnteredCurrentStatus=self._now)

    def _says(self, **news: Any) -> None:
        self._ad |= news
        self.moments.append(dict(self._ad))

    def runs(self, *, after: int, worker: str = "w1") -> None:
        self._now += after
        self._says(JobStatus=RUNNING, EnteredCurrentStatus=self._now)
        machine = {"MachineAttrArmillaryWorker0": worker, "JobCurrentStartDate": self._now}
        self._says(**machine)
        self._says(JobCurrentStartExecutingDate=self._now, NumJobStarts=self._ad["NumJobStarts"] + 1)

    def ends(self, exit_code: int) -> None:
        """The program ends; its files are on their way, and the schedd has yet to hear what becomes of the job."""
        self._says(
            ExitBySignal=False, ExitCode=exit_code, NumJobCompletions=self._ad["NumJobCompletions"] + 1
        )

    def comes_to(self, status: int, **more: Any) -> None:
        self._says(JobStatus=status, EnteredCurrentStatus=self._now, **more)

    def tries(self, outcome: Outcome, *, after: int) -> None:
        self.runs(after=after)
        if outcome == "fails":
            self.ends(7)
        self.comes_to(IDLE)


def test_a_retry_counts_when_the_programs_end_was_seen_before_its_job_left_the_machine(
    database: Database,
) -> None:
    """So it was in a test once: the end counted, the job still running by its state; then the next attempt."""
    history = History()
    history.tries("fails", after=1)
    history.runs(after=2)
    history.ends(7)
    history.comes_to(COMPLETED)
    job = Followed(database)
    for ad in history.moments:
        job.look(ad)
    assert job.record().retried == 1
    first, _ = job.record().attempt_list
    assert (first.state, first.exit_code) == ("finished", 7)


def test_a_try_that_nobody_saw_counts(database: Database) -> None:
    history = History()
    history.tries("fails", after=1)
    history.tries("fails", after=1)
    history.runs(after=1)
    job = Followed(database)
    job.look(history.moments[-1])
    assert job.record().retried == 2


def test_a_job_that_a_policy_holds_was_not_retried(database: Database) -> None:
    history = History()
    history.tries("fails", after=1)
    history.runs(after=1)
    history.ends(9)
    history.comes_to(HELD, HoldReasonCode=3, HoldReason="looks odd", NumHolds=1)
    job = Followed(database)
    for ad in history.moments:
        job.look(ad)
    record = job.record()
    assert (record.retried, record.view.reason) == (1, "looks odd")
    assert [attempt.state for attempt in record.attempt_list] == ["finished", "finished"]


def test_a_retry_that_nobody_saw_counts_though_periodic_hold_holds_the_next_try(database: Database) -> None:
    history = History()
    history.runs(after=1)
    seen = len(history.moments)
    history.ends(7)
    history.comes_to(IDLE)
    history.runs(after=1)
    history.comes_to(HELD, HoldReasonCode=3, HoldReason="too long", NumHolds=1, OnExitHold=False)
    job = Followed(database)
    for ad in (*history.moments[:seen], history.moments[-1]):
        job.look(ad)
    record = job.record()
    assert (record.retried, record.view.reason) == (1, "too long")
    assert [attempt.state for attempt in record.attempt_list] == ["finished", "failed"]


@given(data=st.data())
def test_retries_are_right_whenever_we_looked(database: Database, data: st.DataObject) -> None:
    outcomes = data.draw(st.lists(st.sampled_from(["fails", "is evicted"]), max_size=4))
    history = History()
    for outcome in outcomes:
        history.tries(cast("Outcome", outcome), after=data.draw(st.integers(0, 2)))
    if data.draw(st.booleans()):
        history.runs(after=data.draw(st.integers(0, 2)))
        history.ends(0)
        history.comes_to(COMPLETED)
    looks = data.draw(st.lists(st.booleans(), min_size=len(history.moments), max_size=len(history.moments)))
    job = Followed(database)
    for ad, looked in zip(history.moments[:-1], looks, strict=False):
        if looked:
            job.look(ad)
    job.look(history.moments[-1])
    assert job.record().retried == outcomes.count("fails")


@given(data=st.data())
def test_who_sees_all_has_each_attempt_as_it_ended(database: Database, data: st.DataObject) -> None:
    outcomes = data.draw(st.lists(st.sampled_from(["fails", "is evicted"]), max_size=4))
    history = History()
    for outcome in outcomes:
        history.tries(cast("Outcome", outcome), after=1)
    job = Followed(database)
    for ad in history.moments:
        job.look(ad)
    states = {"fails": "finished", "is evicted": "lost"}
    record = job.record()
    assert [attempt.state for attempt in record.attempt_list] == [states[one] for one in outcomes]


def test_a_job_that_runs_since_nobody_says_when_is_not_stopped(database: Database) -> None:
    """Once it was: it ran by its state, no attempt of it was on record, so that its machine seemed given up."""
    history = History()
    history.tries("is evicted", after=1)
    history.runs(after=1)
    job = Followed(database)
    for ad in history.moments:
        job.look(ad)  # and nothing is asked of the schedd
    assert [attempt.state for attempt in job.record().attempt_list] == ["lost", "running"]
