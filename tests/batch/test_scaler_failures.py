"""What went wrong in systems like this one: each is a test here, by a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from batch_world import FLAVOR, SMALL, WHOLE, World
from scaler_hands import codes, come_up, grant, machines, only_east, reasons, ticks, work_off

from armillary.base.errors import QuotaExceeded, Unavailable
from armillary.batch.engines.embedded.register import Session
from armillary.fleet.fake import FakeCloud

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
