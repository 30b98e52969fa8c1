"""HTCondor's job event log, as its own parser reads it: what happened to jobs of the real service."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from batch_world import World

from armillary.base.ids import ClusterId
from armillary.batch.core.states import Fault, Result
from armillary.batch.model import Selection
from armillary.client.eventlog import EventLogs
from armillary.client.notes import Notes

os.environ.setdefault("CONDOR_CONFIG", "/dev/null")  # before htcondor2 is imported: there is no pool here
import htcondor2

Kind = htcondor2.JobEventType
USED = {
    "wall_seconds": 100.0,
    "user_seconds": 93784.0,
    "system_seconds": 61.0,
    "max_rss_kib": 204_900.0,
    "disk_kib": 777.0,
    "sent_bytes": 4096.0,
}


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    return {"log": "logs/job.log", "iwd": str(tmp_path), "request_cpus": 1, "request_memory_mib": 512}


@pytest.fixture
def read(world: World, tmp_path: Path, spec: dict[str, Any]) -> Callable[[], list[Any]]:
    """Write what is new, as a command would that begins anew, and read the whole log with HTCondor's parser."""

    def go() -> list[Any]:
        notes = Notes(directory=tmp_path / "notes")
        logs = EventLogs(notes=notes, platform="here", cluster=1, specs=dict.fromkeys(range(9), spec))
        logs.add_all(world.client().get("/api/v1/batch/clusters/1/events").json()["events"])
        with htcondor2.JobEventLog(str(tmp_path / "logs" / "job.log")) as log:
            return list(log.events(stop_after=0))

    return go


def run(world: World, result: Result, *, started: bool = True, worker: str = "w1") -> None:
    session = world.worker(worker)
    key = world.claim_one(session)
    if started:
        world.leases.renew(session, [key], fading=timedelta(0))
    world.later(100)
    world.leases.finish(session, key, result, usage=USED, brought=[])


def test_a_job_that_ran_well(world: World, read: Callable[[], list[Any]]) -> None:
    world.submit()
    run(world, Result(exit_code=0))
    submit, execute, size, end = read()
    assert [e.type for e in (submit, execute, size, end)] == [
        Kind.SUBMIT, Kind.EXECUTE, Kind.IMAGE_SIZE, Kind.JOB_TERMINATED
    ]  # fmt: skip
    assert (end.cluster, end.proc) == (1, 0)
    assert (submit["SubmitHost"], execute["ExecuteHost"]) == ("<armillary>", "<w1@cloud>")
    assert execute["SlotName"] == "slot1@w1@cloud"
    assert (size["Size"], size["MemoryUsage"], size["ResidentSetSize"]) == (204_900, 201, 204_900)
    assert (end["TerminatedNormally"], end["ReturnValue"]) == (True, 0)
    assert end["RunRemoteUsage"] == "Usr 1 02:03:04, Sys 0 00:01:01"
    assert end["TotalRemoteUsage"] == end["RunRemoteUsage"]
    assert (end["SentBytes"], end["ReceivedBytes"]) == (4096.0, 0.0)
    assert (end["RequestMemory"], end["MemoryUsage"], end["Memory"]) == (512, 201, 512)
    assert (end["RequestCpus"], end["Cpus"], end["DiskUsage"]) == (1, 1, 777)


def test_moments_are_those_of_the_events(world: World, read: Callable[[], list[Any]]) -> None:
    world.submit()
    began = world.clock.now().timestamp()
    run(world, Result(exit_code=0))
    *_, end = read()
    assert end.timestamp == int(began) + 100


def test_a_job_that_was_killed(world: World, read: Callable[[], list[Any]]) -> None:
    world.submit()
    run(world, Result(signal=11), started=False)
    *_, execute, _, end = read()
    assert execute.type == Kind.EXECUTE
    assert (end["TerminatedNormally"], end["TerminatedBySignal"]) == (False, 11)


def test_a_job_that_is_tried_again_was_requeued(world: World, read: Callable[[], list[Any]]) -> None:
    world.submit(max_retries=1)
    run(world, Result(exit_code=3))
    *_, evicted = read()
    assert evicted.type == Kind.JOB_EVICTED
    assert (evicted["TerminatedAndRequeued"], evicted["ReturnValue"]) == (True, 3)
    assert evicted["Reason"] == "tried again after exit code 3"
    assert evicted["RunRemoteUsage"] == "Usr 1 02:03:04, Sys 0 00:01:01"
    run(world, Result(exit_code=0), worker="w2")
    assert [e.type for e in read()][-3:] == [Kind.EXECUTE, Kind.IMAGE_SIZE, Kind.JOB_TERMINATED]


def test_a_job_whose_worker_is_gone_was_evicted(world: World, read: Callable[[], list[Any]]) -> None:
    world.submit()
    session = world.worker()
    world.claim_one(session)
    world.later(100)
    world.queue.expire()
    *_, evicted = read()
    assert (evicted.type, evicted["TerminatedAndRequeued"]) == (Kind.JOB_EVICTED, False)
    assert "silent" in evicted["Reason"]


def test_holds_have_htcondors_numbers(world: World, read: Callable[[], list[Any]]) -> None:
    world.submit(5)
    world.submit()
    world.queue.hold(Selection(cluster=ClusterId(1), proc=4), reason="let me look")
    run(world, Result(error=Fault(code="memory_exceeded", message="600 MiB of 512\n...\nkilled")))
    run(world, Result(error=Fault(code="output_missing", message="no a.fits")), worker="w2")
    run(world, Result(error=Fault(code="of_an_agent", message="")), worker="w3")
    held = [e for e in read() if e.type == Kind.JOB_HELD]
    told = [(e.proc, e["HoldReasonCode"], e["HoldReasonSubCode"], e.get("HoldReason")) for e in held]
    assert told == [
        (4, 1, 0, "let me look"),
        (0, 34, 102, "600 MiB of 512 ... killed"),
        (1, 12, 2, "no a.fits"),
        (2, 0, 0, None),
    ]


def test_what_is_submitted_on_hold_is_released_and_removed(
    world: World, read: Callable[[], list[Any]]
) -> None:
    world.submit(on_hold=True)
    world.queue.release(Selection(cluster=ClusterId(1)))
    world.queue.remove(Selection(cluster=ClusterId(1)), reason="no more")
    submit, held, released, aborted = read()
    assert [e.type for e in (submit, held, released, aborted)] == [
        Kind.SUBMIT, Kind.JOB_HELD, Kind.JOB_RELEASED, Kind.JOB_ABORTED
    ]  # fmt: skip
    assert (held["HoldReasonCode"], aborted["Reason"]) == (15, "no more")


def test_each_event_is_written_once_whoever_comes(
    world: World, read: Callable[[], list[Any]], tmp_path: Path
) -> None:
    world.submit()
    read()
    run(world, Result(exit_code=0))
    assert [e.type for e in read()] == [e.type for e in read()]
    assert (tmp_path / "logs" / "job.log").read_text().count("Job submitted") == 1


def test_the_resources_of_a_job_stand_in_the_table_as_htcondor_writes_it(
    world: World, read: Callable[[], list[Any]], tmp_path: Path, spec: dict[str, Any]
) -> None:
    spec["request_gpus"] = 2
    world.submit()
    run(world, Result(exit_code=0))
    end = read()[-1]
    assert (end["RequestGPUs"], end["GPUs"], end["CpusUsage"]) == (2, 2, 938.45)
    text = (tmp_path / "logs" / "job.log").read_text()
    assert "\tPartitionable Resources :    Usage  Request Allocated \n" in text
    assert "\t   Memory (MB)          :      201      512       512 \n" in text
