"""Which machines of a pool are workers of ours, by what the collector says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import event, select

from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.ids import ProjectId, Sha512, WorkerId
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.htcondor.machines import Machines
from armillary.batch.engines.htcondor.ports import Pool, Site
from armillary.batch.model import Group
from armillary.batch.store.tables import create_all, workers

GROUP = Group(ProjectId("p" * 32), Sha512("a" * 128), "c2-2gb-10")


class Collector:
    """Says what a test tells it to, and notes what it is told."""

    def __init__(self) -> None:
        self.ads: list[dict[str, Any]] = []
        self.forgotten: list[str] = []
        self.edits: list[tuple[str, str]] = []

    def machines(self, constraint: str, projection: Sequence[str]) -> list[dict[str, Any]]:
        return self.ads

    def forget(self, constraint: str) -> None:
        self.forgotten.append(constraint)

    def edit_where(self, constraint: str, attribute: str, value: str) -> None:
        self.edits.append((attribute, value))


def ad(name: str, **more: Any) -> dict[str, Any]:
    return {
        "ArmillaryWorker": name,
        "ArmillaryImage": GROUP.image,
        "AuthenticatedIdentity": f"{name}@pool",
        "PartitionableSlot": True,
        "LastHeardFrom": 1_800_000_000,
        "TotalSlotCpus": 2,
        "TotalSlotMemory": 2048,
        "TotalSlotDisk": 4096,
        **more,
    }


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = make_engine(f"sqlite:///{tmp_path}/records.db", durable=False)
    create_all(made)
    yield made
    made.dispose()


class Bench:
    def __init__(self, database: Database) -> None:
        clock = VirtualClock()
        self.collector = Collector()
        site = Site(database=database, clock=clock, pool=cast("Pool", self.collector), platform="m")
        self.machines = Machines(site=site)
        self.queue = EmbeddedQueue(database=database, clock=clock)
        Register(database=database, clock=clock).invite(WorkerId("w1"), GROUP)

    def sees(self, *ads: dict[str, Any]) -> list[str]:
        """Look while these ads are there; returns the workers."""
        self.collector.ads = list(ads)
        self.machines.look()
        return [report.id for report in self.queue.workers()]


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


def test_an_invited_machine_registers_by_its_ad(bench: Bench) -> None:
    assert bench.sees(ad("w1")) == ["w1"]
    (report,) = bench.queue.workers()
    assert (report.free.cpus, report.free.memory_mib, report.idle_since) == (2, 2048, report.registered_at)


def test_which_htcondor_a_machine_runs_is_on_record(bench: Bench, database: Database) -> None:
    bench.sees(ad("w1", CondorVersion="$CondorVersion: 23.9.6 2026-07-12 PackageID: 23.9.6+dfsg-2.1 $"))
    with database.connect() as db:
        assert db.execute(select(workers.c.agent_version)).scalars().all() == ["HTCondor 23.9.6"]


def test_a_machine_that_has_said_nothing_new_is_not_written_down_again(
    bench: Bench, database: Database
) -> None:
    bench.sees(ad("w1"))
    said: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *call: said.append(call[2]))
    bench.machines.look()
    assert [one for one in said if one.startswith("UPDATE")] == []
    bench.sees(ad("w1", LastHeardFrom=1_800_000_030))
    assert len([one for one in said if one.startswith("UPDATE")]) == 1


def test_nobody_is_a_worker_uninvited(bench: Bench) -> None:
    assert bench.sees(ad("w2")) == []


def test_a_machine_cannot_speak_for_another(bench: Bench) -> None:
    assert bench.sees(ad("w1", AuthenticatedIdentity="w7@pool")) == []
    assert bench.collector.forgotten == ['ArmillaryWorker == "w1"']


def test_a_machine_of_another_image_is_no_worker(bench: Bench) -> None:
    assert bench.sees(ad("w1", ArmillaryImage="f" * 128)) == []


def test_slots_that_were_carved_out_are_no_machines(bench: Bench) -> None:
    assert bench.sees(ad("w1", PartitionableSlot=False)) == []


def test_a_machine_that_was_given_up_does_not_come_back(bench: Bench) -> None:
    bench.sees(ad("w1"))
    bench.queue.lost(WorkerId("w1"), "its server is gone")
    assert bench.sees(ad("w1")) == []
    assert bench.collector.forgotten == ['ArmillaryWorker == "w1"']


def test_jobs_are_told_once_which_workers_to_avoid(bench: Bench) -> None:
    bench.sees(ad("w1"))
    bench.machines.spare()
    assert bench.collector.edits == []
    bench.queue.drain(WorkerId("w1"))
    bench.machines.spare()
    bench.machines.spare()
    assert bench.collector.edits == [("ArmillaryAvoid", '"w1"')]
