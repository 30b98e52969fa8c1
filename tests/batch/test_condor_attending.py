"""What stands beside a job in a pool may do with the job's key, and what it may not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from large_bodies import LARGE, post
from sqlalchemy import Engine as Database
from sqlalchemy import select, update

from armillary.accounts.api.errors import install_error_handlers
from armillary.app.database import make_engine
from armillary.base.bell import Bell
from armillary.base.clock import VirtualClock
from armillary.base.errors import Unauthorized
from armillary.base.ids import ClusterId, PersonId, ProjectId, Sha512
from armillary.base.job_ads import IDLE, RUNNING
from armillary.batch.api import pool_job_router
from armillary.batch.calls import Calls
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.htcondor.admitting import Admission
from armillary.batch.engines.htcondor.attending import Attending
from armillary.batch.engines.htcondor.engine import CondorEngine
from armillary.batch.engines.htcondor.following import Follower
from armillary.batch.engines.htcondor.keys import JobKeys
from armillary.batch.engines.htcondor.ports import Pool, Site
from armillary.batch.engines.htcondor.secrets import Secrets
from armillary.batch.logs import LogFolder
from armillary.batch.model import Group, JobId, JobSpec, Resources, Selection, Submission, WrongState
from armillary.batch.ports import Credential
from armillary.batch.spool import FolderSpool
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.tables import attempts, create_all, jobs

BEGAN = 1_800_000_000
SPEC = {
    "executable": "x",
    "transfer_input_files": ["notes.txt", "vos:ada/m51.fits", "https://example.org/y"],
    "environment": {"BAND": "r"},
}


class Issuer:
    """Issues numbered credentials for two hours, and notes what is taken back."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.issued = 0
        self.revoked: list[str] = []

    def issue(self, owner: PersonId, *, label: str, job: str = "") -> Credential:
        assert label.startswith(f"job {job.rpartition('.')[0]} ")
        self.issued += 1
        return Credential(
            token="t",
            certificate_pem="pem",
            vospace="here:443",
            owner="ada",
            expires=self._clock.now() + timedelta(hours=2),
            reference=f"r{self.issued}",
        )

    def hand_on(self, credential: Credential, *, job: str) -> Credential:
        raise AssertionError(f"{job}: each job of a pool has a credential of its own")

    def revoke(self, owner: PersonId, reference: str) -> None:
        self.revoked.append(reference)


class World:
    """A job that was sent to a schedd, and runs when a test says so."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = VirtualClock()
        self.database = database
        create_all(database)
        self.issuer = Issuer(self.clock)
        self.keys = JobKeys(secret=b"a secret")
        self.logs = LogFolder(directory=folder / "logs")
        bell = Bell()
        site = Site(database=database, clock=self.clock, pool=cast("Pool", self), platform="here")
        self.queue = EmbeddedQueue(database=database, clock=self.clock)
        self.engine = CondorEngine(
            site=site,
            spool=FolderSpool(directory=folder / "spool"),
            logs=self.logs,
            directory=folder / "staging",
            bell=bell,
            queue=self.queue,
            keys=self.keys,
        )
        self.follower = Follower(site=site)
        self.attending = Attending(
            site=site, keys=self.keys, logs=self.logs, bell=bell, credentials=self.issuer
        )
        self.ads: list[dict[str, Any]] = []
        self.cluster = self._submit()
        self.key = self.keys.of(self.cluster, 0, 1)

    def query(self, constraint: str, projection: list[str]) -> list[dict[str, Any]]:
        return self.ads

    def _submit(self) -> ClusterId:
        job = JobSpec(proc=0, resources=Resources(cpus=2, memory_mib=1, disk_kib=1), data=SPEC)
        cluster = self.engine.submit(
            Submission(
                group=Group(ProjectId("p" * 32), Sha512("a" * 128), "c2-2gb-10"),
                owner=PersonId("o" * 32),
                owner_name="ada",
                project_name="galaxies",
                image_name="my-snapshot",
                batch_name=None,
                submit_text="",
                jobs=(job,),
            )
        )
        with self.database.begin() as db:
            db.execute(update(pool_jobs).values(schedd_cluster=1, schedd_proc=0))
        return cluster

    def schedd_says(self, status: int, *, run: int, worker: str = "w1", executing: int = 0) -> None:
        names = {"ArmillaryCluster": self.cluster, "ArmillaryProc": 0, "ArmillaryTurn": 1, "ClusterId": 1}
        times = {"EnteredCurrentStatus": run, "JobCurrentStartDate": run}
        if executing:
            times["JobCurrentStartExecutingDate"] = executing
        self.ads = [
            {**names, "ProcId": 0, "JobStatus": status, **times, "MachineAttrArmillaryWorker0": worker}
        ]
        self.follower.follow()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = make_engine(f"sqlite:///{tmp_path}/records.db", durable=False)
    yield World(database, tmp_path)
    database.dispose()


def test_a_job_that_begins_gets_a_credential_and_what_htcondor_cannot_bring(world: World) -> None:
    world.schedd_says(RUNNING, run=BEGAN)
    begun = world.attending.begin(world.key, run=BEGAN)
    assert (str(begun.job), begun.attempt, begun.cpus) == (f"{world.cluster}.0", 1, 2)
    assert (begun.fetch, begun.given) == (["vos:ada/m51.fits"], ["BAND"])
    assert begun.credential is not None
    assert begun.credential.reference == "r1"


def test_a_job_has_begun_when_it_says_so_and_not_when_the_schedd_is_asked_next(world: World) -> None:
    world.schedd_says(RUNNING, run=BEGAN)
    world.clock.advance(timedelta(seconds=10))
    begun = world.clock.now()
    world.attending.begin(world.key, run=BEGAN)
    world.clock.advance(timedelta(seconds=1))
    world.schedd_says(RUNNING, run=BEGAN, executing=BEGAN + 9)
    with world.database.connect() as db:
        assert db.execute(select(attempts.c.started_at, attempts.c.state)).one() == (begun, "running")
        assert db.execute(select(jobs.c.started_at)).scalar_one() == begun


def test_a_job_of_which_the_schedd_has_not_said_that_it_runs_waits(world: World) -> None:
    with pytest.raises(WrongState) as refused:
        world.attending.begin(world.key, run=BEGAN)
    assert refused.value.code == "job_not_begun"
    world.schedd_says(RUNNING, run=BEGAN)
    with pytest.raises(WrongState):
        world.attending.begin(world.key, run=BEGAN + 60)  # the next attempt; we know of the first one yet
    assert world.issuer.issued == 0


def test_a_key_that_is_not_ours_or_was_changed_is_refused(world: World) -> None:
    world.schedd_says(RUNNING, run=BEGAN)
    mark = world.key.rpartition(".")[2]
    for key in ("", "x", f"{world.cluster}.1.1.{mark}", f"{world.cluster}.0.2.{mark}", world.key[:-1] + "-"):
        with pytest.raises(Unauthorized):
            world.attending.begin(key, run=BEGAN)
    with pytest.raises(Unauthorized):
        world.attending.begin(JobKeys(secret=b"another").of(world.cluster, 0, 1), run=BEGAN)


def test_an_ended_or_removed_jobs_key_is_worth_nothing(world: World) -> None:
    world.schedd_says(RUNNING, run=BEGAN)
    world.attending.begin(world.key, run=BEGAN)
    world.schedd_says(IDLE, run=BEGAN)
    with pytest.raises(WrongState):
        world.attending.renew(world.key, attempt=1)
    world.engine.remove(Selection(cluster=world.cluster), reason="")
    with pytest.raises(WrongState):
        world.attending.attended(world.key)


def test_a_credential_is_renewed_before_it_ends_and_taken_back_after(world: World) -> None:
    world.schedd_says(RUNNING, run=BEGAN)
    world.attending.begin(world.key, run=BEGAN)
    assert world.attending.renew(world.key, attempt=1) is None
    world.clock.advance(timedelta(minutes=61))
    fresh = world.attending.renew(world.key, attempt=1)
    assert fresh is not None
    assert fresh.reference == "r2"
    world.schedd_says(IDLE, run=BEGAN)
    spent = Leases(database=world.database, clock=world.clock).spent_credentials()
    assert [reference for _, _, reference in spent] == ["r2"]


def test_of_two_answers_to_one_beginning_the_lost_ones_credential_is_taken_back(world: World) -> None:
    world.schedd_says(RUNNING, run=BEGAN)
    for _ in range(2):
        world.attending.begin(world.key, run=BEGAN)
    assert world.issuer.revoked == ["r1"]


def test_what_it_prints_is_seen_at_once_and_of_its_own_attempt_only(world: World) -> None:
    world.schedd_says(RUNNING, run=BEGAN)
    assert world.attending.log(world.key, "stdout", attempt=1, offset=0, data=b"one ") == 4
    assert world.attending.log(world.key, "stdout", attempt=1, offset=4, data=b"two") == 7
    with pytest.raises(WrongState):
        world.attending.log(world.key, "stdout", attempt=2, offset=0, data=b"x")
    job = JobId(world.cluster, 0)
    assert world.logs.read(job, 1, "stdout", offset=0).data == b"one two"


def test_a_large_body_is_read_only_with_the_key_of_a_job_that_runs(world: World) -> None:
    app = FastAPI()
    install_error_handlers(app)
    admission = Admission(
        register=Register(database=world.database, clock=world.clock), secrets=cast("Secrets", None)
    )
    calls = Calls(bell=Bell(), clock=world.clock)
    app.include_router(pool_job_router(attending=world.attending, admission=admission, calls=calls))
    with start_blocking_portal() as portal:
        assert post(portal, app, "/agent/v1/pool/logs", LARGE, "x") == (401, "no_credentials", False)
        assert post(portal, app, "/agent/v1/pool/logs", LARGE, world.key) == (409, "job_not_begun", False)
        world.schedd_says(RUNNING, run=BEGAN)
        assert post(portal, app, "/agent/v1/pool/logs", LARGE, world.key)[1:] == ("invalid_field", True)
