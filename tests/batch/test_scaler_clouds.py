"""What clouds do to a scaler: each is a test here, by a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from batch_world import FLAVOR, World
from scaler_hands import codes, come_up, machines, only_east, reasons, ticks, work_off, world_selection

from armillary.base.errors import ArmillaryError, Conflict, Unavailable
from armillary.batch.booting import WORKER_MARK
from armillary.batch.model import Resources
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import ServerRequest


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("Cloud east answered 500", code="cloud_failed"),
        Conflict("Instance is in task_state spawning"),
        Unavailable("Cloud east does not answer: timed out", code="cloud_unreachable"),
    ],
)
def test_an_answer_of_failure_is_told_and_followed_by_another_try(
    world: World, error: ArmillaryError
) -> None:
    east = only_east(world)
    east.faults.creates = [error]
    world.submit(2)
    ticks(world, 2)
    assert error.message in str(reasons(world))
    ticks(world, 4)
    assert east.creates == 1
    ticks(world, 25)
    assert (east.creates, len(east.servers(world.project))) == (2, 1)


def test_after_a_failure_one_machine_tries_the_way_for_all_others(world: World) -> None:
    east = only_east(world)
    east.faults.creates = [Conflict("Instance is in task_state spawning") for _ in range(4)]
    world.submit(8)
    world.scaler.tick()
    assert east.creates == 4
    ticks(world, 40)
    assert len(east.servers(world.project)) == 1
    assert "trying_again" in codes(world)
    for _ in range(2):
        come_up(world)
        ticks(world, 1)
    assert len(east.servers(world.project)) == 4


def test_a_cloud_that_says_when_to_come_back_is_left_alone_until_then(world: World) -> None:
    east = only_east(world)
    east.faults.creates = [Unavailable("Too many", code="cloud_busy", facts={"retry_after": 90})]
    world.submit(1)
    ticks(world, 44)
    assert east.creates == 1
    ticks(world, 4)
    assert east.creates == 2


def test_a_poll_that_says_when_to_come_back_is_not_repeated_before(world: World) -> None:
    asked = []

    class Counting(FakeCloud):
        def servers(self, project: Any) -> list[Any]:
            asked.append(world.clock.now())
            return super().servers(project)

    east = Counting(name="east", clock=world.clock)
    world.east = east
    world.image = east.add_image("my-snapshot", b"bytes of the machine", project=world.project)
    world.restart()
    only_east(world)
    east.faults.calls = [Unavailable("Too many", code="cloud_busy", facts={"retry_after": 60})]
    world.submit(1)
    ticks(world, 29)
    assert len(asked) == 1
    ticks(world, 4)
    assert len(asked) > 1


def test_a_lost_reply_does_not_make_a_second_machine(world: World) -> None:
    east = only_east(world)
    east.faults.lost_replies = 1
    world.submit(2)
    world.scaler.tick()
    (server,) = east.servers(world.project)
    ticks(world, 1)
    (machine,) = machines(world)
    assert (machine.state.value, machine.server_id) == ("booting", server.id)
    ticks(world, 30)
    assert [s.id for s in east.servers(world.project)] == [server.id]
    assert east.creates == 1


def test_a_lost_reply_on_a_cloud_whose_lists_lag_behind_is_adopted_when_it_is_listed(world: World) -> None:
    east = only_east(world)
    east.faults.lost_replies = 1
    east.faults.listed_after = timedelta(seconds=20)
    world.submit(2)
    ticks(world, 12)
    assert east.creates == 1
    (machine,) = machines(world)
    assert machine.state == "booting"


def test_a_server_that_shows_up_after_we_gave_it_up_is_deleted(world: World) -> None:
    east = only_east(world)
    east.faults.lost_replies = 1
    east.faults.listed_after = timedelta(seconds=100)
    world.submit(2)
    ticks(world, 20)
    east.faults.listed_after = timedelta(0)
    ticks(world, 30)
    assert len(east.servers(world.project)) == 1
    (machine,) = machines(world)
    assert [s.metadata[WORKER_MARK] for s in east.servers(world.project)] == [machine.id]


def test_killed_while_the_create_was_under_way_we_look_for_the_server_and_make_no_second_one(
    world: World,
) -> None:
    east = only_east(world)
    world.submit(2)
    world.scaler.tick()
    (machine,) = machines(world)
    # As if we had been killed after the cloud made the server and before we wrote that down.
    world.fleet_records.set(machine.id, state="planned", server_id=None, booted_at=None)
    world.restart()
    world.scaler.tick()
    (found,) = machines(world)
    assert (found.id, found.state.value, found.server_id) == (machine.id, "booting", machine.server_id)
    assert east.creates == 1


def test_a_deleted_server_that_is_still_listed_is_not_a_machine(world: World) -> None:
    east = only_east(world)
    east.faults.listed_deleted = timedelta(seconds=60)
    world.submit(2)
    world.scaler.tick()
    (session,) = come_up(world)
    while work_off(world, session):
        pass
    ticks(world, 24, seconds=10)
    assert machines(world) == []
    assert east.servers(world.project) == []


def test_a_machine_that_is_stuck_in_build_is_given_up_and_the_reason_says_so(world: World) -> None:
    east = only_east(world)
    east.faults.stuck_building = True
    world.submit(1)
    world.scaler.tick()
    world.later(901)
    world.scaler.tick()
    assert "still builds its server after 900 s" in str(reasons(world))
    ticks(world, 2)
    assert [s for s in east.servers(world.project) if s.status == "BUILD"] == []


def test_a_deletion_that_does_not_end_is_asked_for_again_now_and_then(world: World) -> None:
    only_east(world)
    deleted = []

    class Sticky(FakeCloud):
        def act(self, project: Any, server_id: Any, action: str) -> None:
            deleted.append(action)
            super().act(project, server_id, action)

    world.east = Sticky(name="east", clock=world.clock)
    world.image = world.east.add_image("my-snapshot", b"bytes of the machine", project=world.project)
    world.restart()
    world.east.faults.stuck_deleting = True
    world.submit(1)
    world.scaler.tick()
    (machine,) = machines(world)
    world.east.set_status(str(machine.server_id), "ERROR")
    ticks(world, 9, seconds=10)
    assert 2 <= deleted.count("delete") <= 4
    world.east.faults.stuck_deleting = False
    ticks(world, 30)
    assert str(machine.server_id) not in [s.id for s in world.east.servers(world.project)]


def test_a_machine_that_boots_and_never_registers_counts_against_its_image_only(world: World) -> None:
    only_east(world)
    world.submit(1)
    world.scaler.tick()
    world.later(901)
    world.scaler.tick()
    (lane,) = [lane for lane, record in world.fleet_records.lanes().items() if record.failures]
    assert (lane.image, lane.flavor) == (world.group.image, FLAVOR)


def test_a_server_of_another_image_is_ended_before_it_gets_a_job(world: World) -> None:
    class Swapping(FakeCloud):
        def create(self, project: Any, request: ServerRequest) -> Any:
            return super().create(project, replace(request, image_id=other.id))

    world.east = Swapping(name="east", clock=world.clock)
    world.image = world.east.add_image("my-snapshot", b"bytes of the machine", project=world.project)
    other = world.east.add_image("other", b"another machine")
    world.restart()
    only_east(world)
    world.submit(1)
    world.scaler.tick()
    assert {m.reason_code for m in machines(world)} == {"wrong_image"}
    ticks(world, 2)
    assert "booted another image" in str(reasons(world))


def test_two_servers_of_one_worker_become_one(world: World) -> None:
    east = only_east(world)
    world.submit(1)
    world.scaler.tick()
    (server,) = east.servers(world.project)
    world.fleet.create_server(
        east.name, world.project, name="double", image_id=server.image_id, flavor=FLAVOR,
        metadata=dict(server.metadata),
    )  # fmt: skip
    ticks(world, 2)
    assert [s.id for s in east.servers(world.project)] == [server.id]


def test_a_cloud_that_is_taken_out_of_the_settings_strands_no_job(world: World) -> None:
    world.west.silent = True
    world.submit(2)
    world.scaler.tick()
    (machine,) = machines(world)
    world.west.silent = False
    gone, world.east = world.east, FakeCloud(name="north", clock=world.clock)
    world.image = world.west.add_image("my-snapshot", b"bytes of the machine", project=world.project)
    world.restart()
    ticks(world, 4)
    assert {m.cloud for m in machines(world) if m.state == "booting"} <= {"west", "north"}
    assert [m for m in machines(world) if m.state == "booting"]
    assert machine.cloud == gone.name


def test_a_cloud_that_comes_back_into_the_settings_is_swept(world: World) -> None:
    world.west.silent = True
    world.submit(2)
    world.scaler.tick()
    east = world.east
    world.east = FakeCloud(name="north", clock=world.clock)
    world.restart()
    ticks(world, 2)
    world.later(400)
    ticks(world, 2)
    world.later(7200)
    world.service.remove(world.ada, world_selection(1))
    world.east = east
    world.restart()
    ticks(world, 2)
    assert east.servers(world.project) == []


def test_a_worker_that_takes_none_of_the_jobs_that_wait_for_it_is_replaced_but_not_for_ever(
    world: World,
) -> None:
    east = only_east(world)
    world.submit(2)
    world.scaler.tick()
    (session,) = come_up(world)
    for _ in range(80):
        world.later(10)
        world.leases.renew(session, [], fading=timedelta(0))  # it lives, and claims nothing
        world.scaler.tick()
    gone = world.records.workers(None, limit=9, gone=True)
    assert any("took none of the jobs that wait for it" in (worker.reason or "") for worker in gone)
    assert east.creates <= 3


def test_a_job_larger_than_every_machine_boots_nothing_and_says_what_the_largest_has(world: World) -> None:
    world.submit(
        1,
        resources=Resources(cpus=1, memory_mib=64 * 1024, disk_kib=1024),
        group=world.group._replace(flavor="auto"),
    )
    ticks(world, 3)
    assert world.servers() == []
    assert "65536 MiB of memory (largest: 8192)" in str(reasons(world))


def test_a_cloud_that_is_away_for_a_weekend_is_told_of_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.submit(1)
    world.scaler.tick()
    world.west.silent = world.east.silent = True
    for _ in range(5):
        world.later(2)
        world.scaler.tick()
    told = [record.getMessage() for record in caplog.records if "cannot look" in record.getMessage()]
    assert len(told) == len(set(told)) > 0
