"""What was used, and who may see it: sums that are kept up with each attempt that ends."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from batch_world import World
from pydantic import ValidationError
from sqlalchemy import insert

from armillary.accounts.model import Principal, Role
from armillary.base.ids import WorkerId
from armillary.batch.api.wire_agent import FinishIn
from armillary.batch.core.states import Fault, Result
from armillary.batch.model import Resources
from armillary.batch.store.tables import usage
from armillary.batch.store.usage_records import UsageFilter
from outside_engines import ON_BOTH

GOOD = Result(exit_code=0)
HOUR = 3600.0
TWO_CORES = Resources(cpus=2, memory_mib=1024, disk_kib=1024)


def run(
    world: World, result: Result = GOOD, *, hours: float = 1, wait: float = 0, worker: str = "w1", **more: Any
) -> None:
    """Submit a job, let it wait, and run it so long on a worker of its own."""
    world.submit(resources=TWO_CORES, **more)
    world.later(wait)
    session = world.worker(worker, group=more.get("group"))
    (leased,) = world.leases.claim(session, TWO_CORES).jobs
    world.later(hours * HOUR)
    used = {"user_seconds": hours * HOUR, "system_seconds": 0.0}
    world.leases.finish(session, leased.key, result, usage=used, brought=[])


def ask(world: World, who: str = "ada", **query: Any) -> list[dict[str, Any]]:
    answer = world.client().get(
        "/api/v1/batch/usage", params=query, headers={"Authorization": f"Bearer {who}"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["usage"]


@ON_BOTH
def test_hours_waits_and_failures_are_summed(world: World) -> None:
    run(world, hours=1, wait=60)
    run(world, Result(exit_code=3), hours=0.5, wait=120, worker="w2")
    run(world, Result(error=Fault(code="memory_exceeded", message="too much")), worker="w3")
    (line,) = ask(world)
    assert (line["project"], line["owner"], line["day"], line["cloud"]) == ("galaxies", "ada", None, None)
    assert (line["jobs"], line["failed"], line["attempts"]) == (2, 1, 3)
    assert (line["core_hours"], line["cpu_hours"], line["memory_gib_hours"]) == (5.0, 2.5, 2.5)
    assert line["wait_seconds"] == 60.0
    assert line["failures"] == {"exit_code": 1, "memory_exceeded": 1}


@ON_BOTH
def test_sums_are_told_by_day_cloud_and_image(world: World) -> None:
    run(world, hours=1)
    world.later(86_400)
    run(world, hours=2, worker="w2")
    by_day = ask(world, by="day")
    assert [line["core_hours"] for line in by_day] == [2.0, 4.0]
    days = [line["day"] for line in by_day]
    assert days == sorted(days)
    assert [line["core_hours"] for line in ask(world, by="day", since=days[1])] == [4.0]
    assert [line["core_hours"] for line in ask(world, by="day", until=days[0])] == [2.0]
    (line,) = ask(world, by=["cloud", "image"])
    assert (line["cloud"], line["image"]) == ("unknown", world.group.image)
    assert ask(world, by="image", image=world.group.image[:12])[0]["core_hours"] == 6.0
    assert ask(world, cloud="west") == []


def test_everything_together_is_one_line_and_nothing_none(world: World) -> None:
    assert ask(world, by="") == []
    run(world)
    (line,) = ask(world, by="")
    assert (line["project"], line["core_hours"]) == (None, 2.0)


def test_an_attempt_that_was_lost_has_used_its_cores_too(world: World) -> None:
    world.submit(resources=TWO_CORES)
    session = world.worker()
    world.leases.claim(session, TWO_CORES)
    world.later(HOUR)
    assert world.queue.expire() == 1
    (line,) = ask(world)
    assert (line["jobs"], line["attempts"], line["core_hours"]) == (0, 1, 2.0)
    assert line["failures"] == {"lost": 1}


def test_a_cause_that_an_agent_makes_up_makes_no_new_row(world: World) -> None:
    for number in range(3):
        run(world, Result(error=Fault(code=f"made_up_{number}", message="?")), worker=f"w{number}")
    assert ask(world)[0]["failures"] == {"other": 3}


def test_finishing_again_counts_once(world: World) -> None:
    world.submit(resources=TWO_CORES)
    session = world.worker()
    (leased,) = world.leases.claim(session, TWO_CORES).jobs
    for _ in range(2):
        world.leases.finish(session, leased.key, GOOD, usage={}, brought=[])
    assert ask(world)[0]["attempts"] == 1


@pytest.fixture
def crowd(world: World) -> World:
    """Ada and bob in galaxies; eve in quasars, where ada has worked once; an administrator."""
    quasars = world.people.add_project("quasars")
    bob = world.people.add("bob", world.project, Role.READER)
    eve = world.people.add("eve", quasars)
    world.people.add("root", admin=True)
    there = world.group._replace(project=quasars.id)
    run(world)
    run(world, who=bob, worker="w2")
    run(world, who=eve, group=there, worker="w3")
    run(world, who=world.ada, group=there, worker="w4")
    return world


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("ada", [("galaxies", "ada"), ("galaxies", "bob"), ("quasars", "ada")]),
        ("bob", [("galaxies", "ada"), ("galaxies", "bob")]),
        ("eve", [("quasars", "ada"), ("quasars", "eve")]),
        ("root", [("galaxies", "ada"), ("galaxies", "bob"), ("quasars", "ada"), ("quasars", "eve")]),
    ],
)
def test_members_see_their_projects_and_people_themselves(
    crowd: World, who: str, seen: list[tuple[str, str]]
) -> None:
    assert sorted((line["project"], line["owner"]) for line in ask(crowd, who)) == seen


def test_a_filter_never_widens_what_is_seen(crowd: World) -> None:
    assert ask(crowd, "eve", project="galaxies") == []
    assert [line["owner"] for line in ask(crowd, "root", project="galaxies", owner="bob")] == ["bob"]
    assert ask(crowd, "eve", owner="bob") == []


def test_a_dimension_that_is_not_counted_is_refused_by_name(world: World) -> None:
    answer = world.client().get("/api/v1/batch/usage", params={"by": "weather"})
    assert answer.status_code == 400
    assert answer.json()["error"]["facts"]["field"] == "by"


def test_a_report_over_many_sums_is_quick_and_says_when_there_is_more(world: World) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    zero = {column.name: 1 for column in usage.c if not column.primary_key}
    rows = [
        {
            "day": (start + timedelta(days=day)).date().isoformat(),
            "project": world.project.id,
            "owner": f"{owner:032}",
            "cloud": cloud,
            "image": world.group.image,
            "slot": slot,
            **zero,
        }
        for day in range(100)
        for owner in range(20)
        for cloud in ("east", "west")
        for slot in range(4)
    ]
    with world.database.begin() as db:
        db.execute(insert(usage), rows)
    admin = Principal(person=world.people.add("root", admin=True).person)
    began = time.process_time()
    lines, more = world.reports.usage(admin, UsageFilter(), by=["day", "cloud"], limit=150)
    assert time.process_time() - began < 5
    assert (len(lines), more, lines[0].attempts) == (150, True, 80)


def test_the_cloud_is_that_of_the_machine(world: World) -> None:
    world.submit(resources=TWO_CORES)
    world.scaler.tick()
    machine = next(iter(world.fleet_records.machines()))
    session = world.worker(WorkerId(machine.id))
    (leased,) = world.leases.claim(session, TWO_CORES).jobs
    world.leases.finish(session, leased.key, GOOD, usage={}, brought=[])
    (line,) = ask(world, by="cloud")
    assert line["cloud"] == machine.cloud


@pytest.mark.parametrize("told", [float("inf"), float("nan"), -5.0, 1e300])
def test_an_agent_cannot_spoil_the_sums(world: World, told: float) -> None:
    world.submit(resources=TWO_CORES)
    session = world.worker()
    (leased,) = world.leases.claim(session, TWO_CORES).jobs
    world.later(HOUR)
    world.leases.finish(session, leased.key, GOOD, usage={"user_seconds": told}, brought=[])
    (line,) = ask(world)
    assert 0 <= line["cpu_hours"] <= 1024


@pytest.mark.parametrize("told", ["Infinity", "NaN", "-1", "1e300"])
def test_what_is_no_figure_is_refused_where_it_comes_in(told: str) -> None:
    text = f'{{"job": "1.0", "attempt": 1, "lease_secret": "s", "exit_code": 0, "usage": {{"x": {told}}}}}'
    with pytest.raises(ValidationError):
        FinishIn.model_validate_json(text)
