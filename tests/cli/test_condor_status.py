"""`condor_status` of a pool with more workers than come in one page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, insert
from terminal import Terminal
from whole_platform import FLAVOR, PASSWORD, WholePlatform

from armillary.app.database import make_engine
from armillary.base.ids import WorkerId
from armillary.batch.model import Group, MachineState, Resources
from armillary.batch.store.tables import machines

WHOLE = Resources(cpus=2, memory_mib=2048, disk_kib=2**20)
MANY = 1_100
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
POOLS = count()
"""No worker's name is used twice."""


@pytest.fixture
def records(platform: WholePlatform) -> Iterator[Engine]:
    engine = make_engine(f"sqlite:///{platform.folder}/platform.db", durable=False)
    yield engine
    engine.dispose()


@pytest.fixture
def pool(platform: WholePlatform, records: Engine) -> Iterator[list[str]]:
    """Machines of Vera's project: every tenth boots, one in a hundred is drained, the others are ready; some are gone."""
    assert platform.image.sha512
    name = f"pool{next(POOLS)}"

    def machine(number: int) -> dict[str, object]:
        state = MachineState.READY
        if number % 10 == 1:
            state = MachineState.BOOTING
        elif number % 100 == 2:
            state = MachineState.DRAINING
        return {
            "id": f"{name}-{number:04}",
            "project": platform.project.id,
            "project_name": "rotation",
            "image": platform.image.sha512,
            "flavor": FLAVOR,
            "cloud": "east",
            "vcpus": WHOLE.cpus,
            "memory_mib": WHOLE.memory_mib,
            "disk_kib": WHOLE.disk_kib,
            "state": state.value,
            # several at the same moment: a page may end between them
            "created_at": BEGAN + timedelta(seconds=number // 7),
        }

    rows = [machine(number) for number in range(MANY)]
    gone = [{**machine(MANY + n), "state": MachineState.GONE.value} for n in range(50)]
    with records.begin() as db:
        db.execute(insert(machines), [*rows, *gone])
    yield [str(row["id"]) for row in rows]
    with records.begin() as db:
        db.execute(delete(machines).where(machines.c.id.like(f"{name}-%")))


@pytest.fixture
def busy(vera: Terminal, platform: WholePlatform, pool: list[str], tmp_path: Path) -> Iterator[str]:
    """The worker of the pool that has a job."""
    assert platform.image.sha512
    name = WorkerId(pool[500])
    group = Group(platform.project.id, platform.image.sha512, FLAVOR)
    worker, key = platform.agents.register(
        token=platform.register.invite(name, group),
        server_id="s-500",
        image=platform.image.sha512,
        whole=WHOLE,
        version="1",
    )
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "one.sub").write_text("executable = run.sh\nrequest_memory = 100\nqueue\n")
    vera.at(tmp_path)
    cluster = vera.json("submit", "one.sub", "--image", "my-snapshot", "--flavor", FLAVOR)["cluster"]
    (job,) = platform.agents.claim(platform.agents.session(key), WHOLE).jobs
    assert job.leased.key.job.cluster == cluster
    yield worker
    vera("remove", str(cluster))
    platform.agents.leave(platform.agents.session(key))


def test_a_pool_of_many_workers_is_told_whole_and_once(vera: Terminal, pool: list[str], busy: str):
    found = json.loads(vera("condor", "status", "-json").stdout)
    assert sorted(ad["Machine"] for ad in found) == [f"{name}.east" for name in pool]
    states = Counter(ad["State"] for ad in found)
    assert states == {"Owner": 110, "Drained": 11, "Claimed": 1, "Unclaimed": MANY - 122}
    (claimed,) = (ad for ad in found if ad["State"] == "Claimed")
    assert (claimed["Name"], claimed["Activity"]) == (f"slot1@{busy}.east", "Busy")
    assert claimed["NumDynamicSlots"] == 1

    *_, heads, figures = vera("condor", "status", "-total").stdout.splitlines()
    assert dict(zip(heads.split(), map(int, figures.split()[1:]), strict=True)) == {
        "Total": MANY,
        "Owner": 110,
        "Claimed": 1,
        "Unclaimed": MANY - 122,
        "Matched": 0,
        "Preempting": 0,
        "Drain": 11,
    }


def test_some_of_many_workers(vera: Terminal, pool: list[str], busy: str):
    assert vera("condor", "status", "-run", "-af", "Machine").stdout == f"{busy}.east\n"
    available = vera("condor", "status", "-avail", "-af", "Machine").stdout.split()
    assert len(set(available)) == MANY - 122
    drained = vera("condor", "status", "-constraint", 'State == "Drained"', "-af", "Machine").stdout.split()
    assert sorted(drained) == [f"{name}.east" for name in pool[2::100]]
    newest = vera("condor", "status", "-limit", "3", "-af", "Machine").stdout.split()
    assert newest == [f"{name}.east" for name in (pool[-1], pool[-2], pool[-3])]
    lines = vera("condor", "status").stdout.splitlines()
    assert sum(line.startswith("slot1@pool") for line in lines) == MANY
    (line,) = (line for line in lines if busy in line)
    assert line.split()[3:5] == ["Claimed", "Busy"]


def test_who_is_of_another_project_sees_nothing_of_the_pool(
    vera: Terminal, terminal: Terminal, platform: WholePlatform, pool: list[str]
):
    assert json.loads(vera("condor", "status", "-limit", "1", "-json").stdout)[0]["Machine"].startswith(
        pool[-1]
    )
    terminal("logout")
    platform.accounts.create_person(user_name="henrietta", password=PASSWORD)
    terminal("login", "henrietta", "--url", platform.url, "--password-stdin", stdin=PASSWORD + "\n")
    assert json.loads(terminal("condor", "status", "-json").stdout) == []
