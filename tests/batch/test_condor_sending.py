"""Jobs and their files on the way to a schedd that is killed at the worst moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from armillary.app.database import make_engine
from armillary.base.bell import Bell
from armillary.base.clock import VirtualClock
from armillary.base.errors import Unavailable
from armillary.base.ids import ClusterId, PersonId, ProjectId, Sha512
from armillary.base.job_ads import COMPLETED, HELD, IDLE, REMOVED, RUNNING
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.htcondor.engine import CondorEngine
from armillary.batch.engines.htcondor.keys import JobKeys
from armillary.batch.engines.htcondor.ports import Pool, Site
from armillary.batch.engines.htcondor.sending import TRIES
from armillary.batch.engines.htcondor.sight import SPOOLING
from armillary.batch.logs import LogFolder
from armillary.batch.model import (
    Group,
    InputFile,
    JobSpec,
    JobState,
    Resources,
    Selection,
    Submission,
    Wishes,
)
from armillary.batch.spool import FolderSpool
from armillary.batch.store.tables import create_all


class Schedd:
    """Keeps what it is given, and forgets that it has the files of the first submit."""

    def __init__(self) -> None:
        self.queue: dict[str, dict[str, Any]] = {}
        self.submits = 0
        self.now = 1
        self.mute: set[str] = set()
        """calls whose next reply is lost: what was asked for is done, and nobody hears of it"""
        self.too_much = 10**9
        """MiB of memory from which on it refuses a job, and with it all of the same submit"""
        self.refusals = 0

    def answers(self, call: str) -> None:
        if call in self.mute:
            self.mute.remove(call)
            raise Unavailable("the reply was lost", code="htcondor_unavailable")

    def ping(self) -> None:
        pass

    def starts_again(self) -> None:
        """A schedd that starts keeps nothing of jobs that were removed, whatever they say of staying."""
        self.queue = {name: ad for name, ad in self.queue.items() if ad["JobStatus"] != REMOVED}

    def submit(self, shared: Mapping[str, str], each: Sequence[Mapping[str, str]]) -> tuple[int, int]:
        asked = [one.get("request_memory") or shared["request_memory"] for one in each]
        if any(int(text.removesuffix("M")) >= self.too_much for text in asked):
            self.refusals += 1
            why = {"reason": "the operator wants no such jobs"}
            raise Unavailable("refused", code="htcondor_unavailable", facts=why)
        self.submits += 1
        forgets = (
            {"JobStatus": HELD, "HoldReasonCode": SPOOLING} if self.submits == 1 else {"JobStatus": IDLE}
        )
        for n, one in enumerate(each):
            said = {**shared, **one}
            names = {k: int(said[f"MY.{k}"]) for k in ("ArmillaryCluster", "ArmillaryProc", "ArmillaryTurn")}
            name = {"ClusterId": self.submits, "ProcId": n}
            asked = {"RequestMemory": int(said["request_memory"].removesuffix("M"))}
            self.queue[f"{self.submits}.{n}"] = {
                **names,
                **name,
                **asked,
                **forgets,
                "EnteredCurrentStatus": 1,
            }
        self.answers("submit")
        return self.submits, 0

    def query(self, constraint: str, projection: Sequence[str]) -> list[dict[str, Any]]:
        self.answers("query")
        spooling = f"HoldReasonCode == {SPOOLING}" in constraint
        return [ad for ad in self.queue.values() if not spooling or ad.get("HoldReasonCode") == SPOOLING]

    def act(self, action: str, jobs: Sequence[str], reason: str) -> int:
        became = {"Remove": {"JobStatus": REMOVED, "RemoveReason": reason}, "Release": {"JobStatus": IDLE}}
        for name in jobs:
            self.moves(name, **became[action], HoldReasonCode=0)
        self.queue = {name: ad for name, ad in self.queue.items() if not self.is_to_go(ad)}
        self.answers("act")
        return len(jobs)

    def is_to_go(self, ad: Mapping[str, Any]) -> bool:
        return ad["JobStatus"] in {COMPLETED, REMOVED} and "ArmillaryDone" in ad

    def moves(self, name: str, **to: Any) -> None:
        self.now += 1
        self.queue[name] |= {"EnteredCurrentStatus": self.now, **to}

    def edit(self, jobs: Sequence[str], attribute: str, value: str) -> None:
        for name in jobs:
            if attribute == "ArmillaryDone":
                self.queue[name][attribute] = True
            else:
                assert self.queue[name]["JobStatus"] == HELD, "the figures first: it may run at once"
                self.queue[name][attribute] = int(value)
        self.queue = {name: ad for name, ad in self.queue.items() if not self.is_to_go(ad)}
        self.answers("edit")

    def machines(self, constraint: str, projection: Sequence[str]) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def schedd() -> Schedd:
    return Schedd()


@pytest.fixture
def spool(tmp_path: Path) -> FolderSpool:
    return FolderSpool(directory=tmp_path / "spool")


@pytest.fixture
def engine(schedd: Schedd, spool: FolderSpool, tmp_path: Path) -> Iterator[CondorEngine]:
    database = make_engine(f"sqlite:///{tmp_path}/records.db", durable=False)
    create_all(database)
    clock = VirtualClock()
    yield CondorEngine(
        site=Site(database=database, clock=clock, pool=cast("Pool", schedd), platform="here"),
        spool=spool,
        keys=JobKeys(secret=b"s" * 32),
        logs=LogFolder(directory=tmp_path / "logs"),
        directory=tmp_path / "staging",
        bell=Bell(),
        queue=EmbeddedQueue(database=database, clock=clock),
    )
    database.dispose()


def submitted(
    engine: CondorEngine,
    jobs: int,
    *,
    inputs: tuple[InputFile, ...] = (),
    memory: Mapping[int, int] | None = None,
    own: bool = False,
    **wishes: int,
) -> ClusterId:
    spec = {"executable": "/bin/true", "transfer_executable": False}
    size = Resources(cpus=1, memory_mib=64, disk_kib=1024)
    specs = (
        JobSpec(
            proc=n,
            resources=replace(size, memory_mib=(memory or {}).get(n, 64)),
            data={**spec, "arguments": [str(n)], **({"attributes": {"Night": str(n)}} if own else {})},
            inputs=inputs,
        )
        for n in range(jobs)
    )
    return engine.submit(
        Submission(
            group=Group(ProjectId("p" * 32), Sha512("a" * 128), "c2-2gb-10"),
            owner=PersonId("o" * 32),
            owner_name="ada",
            project_name="galaxies",
            image_name="my-snapshot",
            batch_name=None,
            submit_text="",
            jobs=tuple(specs),
            wishes=Wishes(**wishes),
        )
    )


def test_jobs_whose_files_the_schedd_has_forgotten_are_sent_anew(
    engine: CondorEngine, schedd: Schedd
) -> None:
    submitted(engine, 2)
    for _ in range(30):
        engine.tick()
    assert [(name, ad["JobStatus"]) for name, ad in schedd.queue.items()] == [("2.0", IDLE), ("2.1", IDLE)]
    assert {event.state for event in engine.changes(after=0)} == {JobState.IDLE}


def ticks(engine: CondorEngine, times: int) -> None:
    """Whatever the pool does not answer is asked for again."""
    for _ in range(times):
        with suppress(Unavailable):
            engine.tick()


@pytest.mark.parametrize("lost", ["act", "edit"])
def test_a_schedd_that_starts_again_while_it_drops_what_it_forgot_loses_no_job(
    engine: CondorEngine, schedd: Schedd, lost: str
) -> None:
    submitted(engine, 2)
    schedd.mute = {lost}
    for _ in range(30):
        ticks(engine, 1)
        schedd.starts_again()
    ticks(engine, 150)
    assert [ad["JobStatus"] for ad in schedd.queue.values()] == [IDLE, IDLE]
    assert {event.state for event in engine.changes(after=0)} == {JobState.IDLE}


@pytest.mark.parametrize("lost", ["act", "edit"])
def test_jobs_that_were_sent_unheard_and_without_their_files_are_sent_anew(
    engine: CondorEngine, schedd: Schedd, lost: str
) -> None:
    """The schedd took them and its answer was lost; what it had of them is removed, and that answer is lost, too."""
    submitted(engine, 2)
    schedd.mute = {"submit", lost}
    for _ in range(4):
        ticks(engine, 1)
        schedd.starts_again()
    ticks(engine, 150)
    assert [ad["JobStatus"] for ad in schedd.queue.values()] == [IDLE, IDLE]
    assert {event.state for event in engine.changes(after=0)} == {JobState.IDLE}


def test_jobs_whose_files_did_not_arrive_are_sent_again_without_asking(
    engine: CondorEngine, schedd: Schedd
) -> None:
    submitted(engine, 2)
    schedd.mute = {"submit"}
    ticks(engine, 2)
    assert [(name, ad["JobStatus"]) for name, ad in schedd.queue.items()] == [("2.0", IDLE), ("2.1", IDLE)]
    ticks(engine, 150)
    assert [ad["JobStatus"] for ad in schedd.queue.values()] == [IDLE, IDLE]
    assert {event.state for event in engine.changes(after=0)} == {JobState.IDLE}


def test_jobs_whose_files_never_arrive_are_held_after_some_tries(
    engine: CondorEngine, schedd: Schedd
) -> None:
    submitted(engine, 1)
    for _ in range(TRIES):
        schedd.submits, schedd.mute = 0, {"submit"}
        assert state(engine) is JobState.IDLE
        ticks(engine, 1)
    assert state(engine) is JobState.HELD
    assert schedd.queue == {}


def test_what_is_tried_again_is_sent_though_the_schedd_did_not_say_that_it_forgets_the_first(
    engine: CondorEngine, schedd: Schedd
) -> None:
    schedd.submits = 1
    cluster = submitted(engine, 1)
    engine.tick()
    assert engine.remove(Selection(cluster=cluster), reason="not this one") == 1
    engine.tick()
    assert schedd.queue["2.0"]["JobStatus"] == REMOVED
    assert engine.retry(Selection(cluster=cluster)) == 1
    schedd.mute = {"edit"}
    ticks(engine, 4)
    assert [(name, ad["JobStatus"]) for name, ad in schedd.queue.items()] == [("3.0", IDLE)]


def state(engine: CondorEngine) -> JobState:
    return engine.changes(after=0)[-1].state


def test_a_held_job_is_released_with_more_memory(engine: CondorEngine, schedd: Schedd) -> None:
    schedd.submits = 1  # it keeps the files of this one
    cluster = submitted(engine, 1)
    engine.tick()
    schedd.moves("2.0", JobStatus=HELD, HoldReasonCode=34, HoldReason="it took too much")
    engine.tick()
    assert state(engine) is JobState.HELD
    assert engine.release(Selection(cluster=cluster), memory_mib=512) == 1
    for _ in range(3):
        engine.tick()
    assert (schedd.queue["2.0"]["JobStatus"], schedd.queue["2.0"]["RequestMemory"]) == (IDLE, 512)
    assert state(engine) is JobState.IDLE


def test_a_job_that_is_only_released_asks_for_what_the_schedd_made_of_it(
    engine: CondorEngine, schedd: Schedd
) -> None:
    """`retry_request_memory` had it ask for more."""
    schedd.submits = 1
    cluster = submitted(engine, 1)
    engine.tick()
    schedd.moves("2.0", JobStatus=HELD, HoldReasonCode=34, HoldReason="it took too much", RequestMemory=128)
    engine.tick()
    assert engine.release(Selection(cluster=cluster)) == 1
    engine.tick()
    assert (schedd.queue["2.0"]["JobStatus"], schedd.queue["2.0"]["RequestMemory"]) == (IDLE, 128)


@pytest.mark.parametrize("bound", ["max_materialize", "max_idle"])
def test_no_more_jobs_of_a_submit_are_sent_than_it_wants_there(
    engine: CondorEngine, schedd: Schedd, bound: str
) -> None:
    schedd.submits = 1
    submitted(engine, 5, **{bound: 2})
    for _ in range(3):
        engine.tick()
    assert list(schedd.queue) == ["2.0", "2.1"]
    schedd.moves("2.0", JobStatus=HELD, HoldReasonCode=34, HoldReason="it took too much")
    for _ in range(3):
        engine.tick()
    assert list(schedd.queue) == ["2.0", "2.1", "3.0"]


def test_a_bounded_submit_keeps_no_other_back(engine: CondorEngine, schedd: Schedd) -> None:
    schedd.submits = 1
    submitted(engine, 3, max_idle=1)
    submitted(engine, 2)
    engine.tick()
    assert len(schedd.queue) == 3


def test_a_job_that_runs_makes_room_for_one_that_waits(engine: CondorEngine, schedd: Schedd) -> None:
    schedd.submits = 1
    submitted(engine, 3, max_idle=1)
    engine.tick()
    schedd.moves("2.0", JobStatus=RUNNING, JobCurrentStartDate=7)
    for _ in range(3):
        engine.tick()
    assert list(schedd.queue) == ["2.0", "3.0"]


@pytest.mark.parametrize(
    "paths", [("a", "./a"), ("a", "a/b"), ("a/b", "a"), (".armillary-key/a",), ("n" * 300,)]
)
def test_inputs_that_cannot_lie_side_by_side_hold_their_job_and_no_other(
    engine: CondorEngine, schedd: Schedd, spool: FolderSpool, paths: tuple[str, ...]
) -> None:
    schedd.submits = 1
    files = tuple(InputFile(path=path, **kept(spool, path.encode())) for path in paths)
    held = submitted(engine, 1, inputs=files)
    submitted(engine, 1)
    engine.tick()
    (event,) = [one for one in engine.changes(after=0) if one.state is JobState.HELD]
    assert (event.job.cluster, event.detail["hold_code"]) == (held, "job_invalid")
    assert len(schedd.queue) == 1


def kept(spool: FolderSpool, data: bytes) -> dict[str, Any]:
    with spool.writer() as writer:
        writer.write(data)
        blob = writer.commit()
    return {"sha256": blob.sha256, "size": blob.size, "mode": 0o644}


def held(engine: CondorEngine) -> list[int]:
    return sorted(event.job.proc for event in engine.changes(after=0) if event.state is JobState.HELD)


def test_a_job_that_the_schedd_refuses_is_held_and_the_others_of_its_submit_run(
    engine: CondorEngine, schedd: Schedd
) -> None:
    """A submit is one transaction of the schedd's: one such job, and it takes none."""
    schedd.submits, schedd.too_much = 1, 9000
    submitted(engine, 100, memory={41: 9999, 42: 9999, 77: 9001})
    for _ in range(3):
        engine.tick()
    assert held(engine) == [41, 42, 77]
    (reason,) = {event.detail["reason"] for event in engine.changes(after=0) if event.detail.get("reason")}
    assert "the operator wants no such jobs" in reason
    assert sorted(ad["ArmillaryProc"] for ad in schedd.queue.values()) == sorted({*range(100)} - {41, 42, 77})


@pytest.mark.parametrize(("own", "refusals"), [(False, 1), (True, 60)])
def test_jobs_that_are_all_refused_are_not_tried_one_by_one(
    engine: CondorEngine, schedd: Schedd, own: bool, refusals: int
) -> None:
    schedd.submits, schedd.too_much = 1, 64
    submitted(engine, 300, own=own)
    engine.tick()
    assert held(engine) == list(range(300))
    assert schedd.refusals <= refusals
