"""What went wrong in other systems, and what clouds do: each is a test here, by a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from batch_world import FLAVOR, SMALL, WHOLE, World

from armillary.base.errors import ArmillaryError, Conflict, QuotaExceeded, Unavailable
from armillary.batch.booting import WORKER_MARK
from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import JobId, Machine, Refusal, Resources
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import ServerRequest


def reasons(world: World, job: str = "1.0") -> list[Refusal]:
    return world.service.explain(world.ada, JobId.parse(job))[1]


def codes(world: World, job: str = "1.0") -> set[str]:
    return {reason.code for reason in reasons(world, job)}


def machines(world: World) -> list[Machine]:
    return world.fleet_records.machines()


def grant(world: World, batch_cores: int) -> None:
    world.people.change_project(
        world.project, allocation=replace(world.project.allocation, batch_cores=batch_cores)
    )


def only_east(world: World) -> FakeCloud:
    """Take the west out of the game."""
    world.west.silent = True
    return world.east


def come_up(world: World) -> list[Session]:
    """Have the agents of all machines that boot report."""
    sessions = []
    for machine in machines(world):
        if machine.state == "booting":
            server = next(
                s for s in {"east": world.east, "west": world.west}[machine.cloud].servers(world.project)
                if s.id == machine.server_id
            )  # fmt: skip
            sessions.append(world.report(server))
    world.scaler.tick()
    return sessions


def work_off(world: World, session: Session) -> int:
    leased = world.leases.claim(session, WHOLE).jobs
    for one in leased:
        world.leases.finish(session, one.key, Result(exit_code=0), usage={}, brought=[])
    return len(leased)


def ticks(world: World, count: int, seconds: float = 2) -> None:
    for _ in range(count):
        world.later(seconds)
        world.scaler.tick()


# what went wrong in similar systems


def test_after_a_burst_of_quick_jobs_no_machine_keeps_running_unused(world: World) -> None:
    world.submit(8)
    world.scaler.tick()
    for session in come_up(world):
        while work_off(world, session):
            pass
    ticks(world, 20, seconds=10)
    assert world.servers() == []
    assert machines(world) == []


def test_machines_that_are_going_down_for_ever_do_not_use_up_the_projects_cores(world: World) -> None:
    east = only_east(world)
    grant(world, 2)
    world.submit(1)
    world.scaler.tick()
    (server,) = east.servers(world.project)
    east.faults.stuck_deleting = True
    east.set_status(server.id, "ERROR")
    ticks(world, 3)
    assert "batch_cores_used" in codes(world)
    world.later(301)
    world.scaler.tick()
    assert [m.state.value for m in machines(world)].count("booting") == 1


def test_an_expired_cloud_token_stops_nothing_for_longer_than_it_lasts(world: World) -> None:
    east = only_east(world)
    expired = Unavailable("Cloud east does not accept our credential", code="cloud_sign_in_failed")
    east.faults.calls = [expired] * 5
    world.submit(1)
    for _ in range(5):
        world.scaler.tick()
        assert "cloud_sign_in_failed" in codes(world)
    world.scaler.tick()
    assert len(east.servers(world.project)) == 1


def test_machines_with_less_disk_than_their_flavor_promises_are_not_made_over_and_over(world: World) -> None:
    east = only_east(world)
    world.submit(1, resources=replace(SMALL, disk_kib=15 * 2**20), group=world.group._replace(flavor="auto"))
    for _ in range(24):
        world.scaler.tick()
        for machine in machines(world):
            if machine.state == "booting":
                (server,) = [s for s in east.servers(world.project) if s.id == machine.server_id]
                token = world.register.invite(machine.id, machine.group)
                world.register.expect(machine.id, server.id)
                world.register.register(
                    token,
                    server_id=server.id,
                    image=machine.group.image,
                    whole=replace(machine.size, disk_kib=2**20),
                    version="1",
                )
        ticks(world, 4)
    assert east.creates <= 8
    assert "boots_failing" in codes(world)
    assert "KiB of disk, not" in str(reasons(world))


def test_idle_workers_are_ended_though_there_is_quota_left(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (session,) = come_up(world)
    while work_off(world, session):
        pass
    ticks(world, 14, seconds=10)
    assert world.servers() == []


def test_a_machine_that_its_cloud_calls_shutoff_does_not_count_as_working(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (session,) = come_up(world)
    world.leases.claim(session, WHOLE)
    (machine,) = machines(world)
    {"east": world.east, "west": world.west}[machine.cloud].set_status(str(machine.server_id), "SHUTOFF")
    world.scaler.tick()
    assert set(world.states().values()) == {"idle"}
    assert [m.state.value for m in machines(world) if m.id == machine.id] == ["ending"]


def test_an_impossible_quota_does_not_make_and_delete_machines_for_ever(world: World) -> None:
    east = only_east(world)
    east.faults.creates = [QuotaExceeded("Quota exceeded for instances") for _ in range(100)]
    world.submit(1)
    ticks(world, 60, seconds=10)
    assert east.creates <= 8
    assert "though its limits said that there is room" in str(reasons(world))


def test_a_quota_that_prevents_a_boot_is_told_with_its_figures(tmp_path: Path) -> None:
    world = World(folder=tmp_path, east_cores=1)
    only_east(world)
    world.submit(1)
    world.scaler.tick()
    (quota,) = [reason for reason in reasons(world) if reason.code == "quota_cores"]
    assert quota.message == "quota on east: 0/1 cores; c2-2gb-10 needs 2"
    assert quota.remedy


def test_a_cloud_without_a_host_is_heard_and_the_next_machine_boots_elsewhere(world: World) -> None:
    world.submit(1)
    world.scaler.tick()
    (machine,) = machines(world)
    full, other = (world.east, world.west) if machine.cloud == "east" else (world.west, world.east)
    full.set_status(str(machine.server_id), "ERROR", fault="No valid host was found.")
    ticks(world, 2)
    assert len(other.servers(world.project)) == 1
    lanes = [lane for lane, record in world.fleet_records.lanes().items() if record.failures]
    assert [(lane.cloud, lane.flavor, lane.image) for lane in lanes] == [(full.name, FLAVOR, "")]


def test_no_job_waits_for_a_cloud_on_which_everything_fails(world: World) -> None:
    world.east.faults.dooms = lambda _: "the hypervisor is on fire"
    world.submit(4)
    for _ in range(6):
        ticks(world, 3)
        for session in come_up(world):
            work_off(world, session)
    assert set(world.states().values()) == {"completed"}


def test_a_machine_is_not_destroyed_on_a_list_older_than_itself(tmp_path: Path) -> None:
    """The idle machine whose last state was stale."""
    world = World(folder=tmp_path)
    world.east.faults.listed_after = world.west.faults.listed_after = timedelta(seconds=20)
    world.submit(2)
    world.scaler.tick()
    ticks(world, 9)
    assert [m.state.value for m in machines(world)] == ["booting"]
    ticks(world, 5)
    assert [m.state.value for m in machines(world)] == ["booting"]
    assert world.east.creates + world.west.creates == 1


# weaknesses seen


def test_an_image_that_no_cloud_has_is_a_reason_and_stops_no_other(world: World) -> None:
    missing = world.group._replace(image="f" * 128)
    world.submit(1, group=missing)
    world.submit(1)
    ticks(world, 3)
    assert any("No cloud has an active image" in reason.message for reason in reasons(world))
    assert len(world.servers()) == 1


def test_one_bad_image_does_not_stop_its_clouds(world: World) -> None:
    bad = world.east.add_image("broken", b"no init", project=world.project)
    where = {world.east.add_image("broken", b"no init", project=world.project).id, bad.id}
    world.east.faults.dooms = lambda request: (
        "the guest did not answer" if request.image_id in where else None
    )
    world.west.silent = True
    world.submit(1, group=world.group._replace(image=bad.sha512))
    ticks(world, 3)
    world.submit(4)
    ticks(world, 2)
    assert len([s for s in world.east.servers(world.project) if s.status == "ACTIVE"]) == 2
    assert "image" in str([r for r in reasons(world) if r.code == "boots_failing"])


def test_a_vanished_machine_gives_its_jobs_back_at_the_next_poll(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (session,) = come_up(world)
    world.later(60)
    world.leases.claim(session, WHOLE)
    world.scaler.tick()
    world.later(2)
    (machine,) = machines(world)
    world.fleet.delete_server(machine.cloud, world.project, machine.server_id)
    world.scaler.tick()
    assert set(world.states().values()) == {"idle"}


def test_a_list_that_is_older_than_the_agents_last_word_proves_nothing(world: World) -> None:
    class Blind(FakeCloud):
        """Its list lacks a machine that talks to us meanwhile."""

        session: Session | None = None

        def servers(self, project: Any) -> list[Any]:
            if self.session is None:
                return super().servers(project)
            world.later(1)
            world.leases.renew(self.session, [], fading=timedelta(0))
            return []

    world.east = blind = Blind(name="east", clock=world.clock)
    world.image = blind.add_image("my-snapshot", b"bytes of the machine", project=world.project)
    world.restart()
    only_east(world)
    world.submit(2)
    world.scaler.tick()
    (session,) = come_up(world)
    world.later(60)
    world.leases.claim(session, WHOLE)
    blind.session = session
    world.scaler.tick()
    assert set(world.states().values()) == {"claimed"}


def test_many_workers_are_there_after_a_few_boot_times_and_not_five_at_a_time(tmp_path: Path) -> None:
    world = World(folder=tmp_path)
    world.east = FakeCloud(
        name="east", clock=world.clock, cores=400, ram_mib=400 * 1024, instances=400, number=16
    )
    world.image = world.east.add_image("my-snapshot", b"bytes of the machine", project=world.project)
    world.restart()
    only_east(world)
    grant(world, 200)
    world.submit(200)
    counts = []
    for _ in range(12):
        ticks(world, 1, seconds=30)
        come_up(world)
        counts.append(len(machines(world)))
    assert counts[0] == 8
    assert counts[-1] == 100
    assert counts.index(100) <= 9


# what clouds do


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


def world_selection(cluster: int) -> Any:
    from armillary.base.ids import ClusterId
    from armillary.batch.model import Selection

    return Selection(cluster=ClusterId(cluster))


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
