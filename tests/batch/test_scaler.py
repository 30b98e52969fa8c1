"""The scaler over clouds in memory: every machine has a reason to be there, and every wait has one too."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from batch_world import FLAVOR, WHOLE, World

from armillary.batch.core.states import Result
from armillary.batch.model import JobId


def codes(world: World, job: str = "1.0") -> set[str]:
    _, reasons = world.service.explain(world.ada, JobId.parse(job))
    return {reason.code for reason in reasons}


def grant(world: World, *, batch_cores: int) -> None:
    world.people.change_project(
        world.project, allocation=replace(world.project.allocation, batch_cores=batch_cores)
    )


def worker_states(world: World) -> list[str]:
    return [worker.state for worker in world.records.workers(None, limit=100)]


def test_without_work_there_are_no_workers(world: World) -> None:
    world.scaler.tick()
    assert world.servers() == []


def test_jobs_get_as_many_workers_as_they_need_spread_over_both_clouds(world: World) -> None:
    world.submit(8)  # two fit on a machine
    world.scaler.tick()
    assert (len(world.servers(world.east)), len(world.servers(world.west))) == (2, 2)
    world.scaler.tick()
    assert len(world.servers()) == 4


def test_a_worker_boots_from_the_jobs_digest_with_user_data_within_novas_bound(world: World) -> None:
    world.submit(4)
    world.scaler.tick()
    (server,) = world.servers(world.west)
    images = {image.id: image for image in world.west.images(world.project)}
    assert images[server.image_id].sha512 == world.image.sha512
    assert server.flavor == FLAVOR


def test_workers_that_came_up_do_the_jobs_and_are_retired_when_idle(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (server,) = world.servers()
    session = world.report(server)
    world.scaler.tick()
    assert worker_states(world) == ["ready"]
    for leased in world.leases.claim(session, WHOLE).jobs:
        world.leases.finish(session, leased.key, Result(exit_code=0), usage={}, brought=[])
    world.later(100)
    world.leases.claim(session, WHOLE)
    world.scaler.tick()
    assert worker_states(world) == ["ready"]
    world.later(21)
    world.leases.claim(session, WHOLE)
    world.scaler.tick()
    assert world.leases.claim(session, WHOLE).retire
    for _ in range(3):
        world.scaler.tick()
    assert world.servers() == []
    assert worker_states(world) == []


def test_idle_workers_stay_while_jobs_of_their_kind_wait(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    session = world.report(world.servers()[0])
    world.later(130)
    world.leases.renew(session, [], fading=timedelta(0))
    world.scaler.tick()
    assert worker_states(world) == ["ready"]


def test_batch_cores_bound_the_workers_over_all_clouds_and_the_wait_says_so(world: World) -> None:
    grant(world, batch_cores=4)
    world.submit(20)
    world.scaler.tick()
    assert len(world.servers()) == 2
    world.scaler.tick()
    assert "batch_cores_used" in codes(world)


def test_a_full_cloud_is_passed_by_and_its_quota_is_among_the_reasons(tmp_path: Path) -> None:
    world = World(folder=tmp_path, east_cores=0)
    grant(world, batch_cores=64)
    world.submit(40)
    for _ in range(4):
        world.scaler.tick()
        for server in world.servers():
            if server.metadata["armillary_worker"] not in {r.id for r in world.queue.workers()}:
                world.report(server)
    assert not world.servers(world.east)
    assert len(world.servers(world.west)) == 4
    _, reasons = world.service.explain(world.ada, JobId.parse("1.39"))
    assert {reason.cloud for reason in reasons if reason.cloud} >= {"east", "west"}


def test_a_boot_that_ends_in_error_is_deleted_and_the_cloud_left_alone_for_longer_and_longer(
    world: World,
) -> None:
    world.west.silent = True
    world.submit(1)
    world.scaler.tick()
    (server,) = world.east.servers(world.project)
    world.east.set_status(server.id, "ERROR", fault="the disk could not be made")
    world.scaler.tick()
    assert "boots_failing" in codes(world)
    world.scaler.tick()
    assert world.east.servers(world.project) == []
    world.later(16)
    world.scaler.tick()
    (server,) = world.east.servers(world.project)
    world.east.set_status(server.id, "ERROR", fault="the disk could not be made")
    world.scaler.tick()
    world.later(16)
    world.scaler.tick()
    world.scaler.tick()
    assert world.east.servers(world.project) == []
    world.later(15)
    world.scaler.tick()
    assert len(world.east.servers(world.project)) == 1


def test_a_machine_that_comes_up_ends_the_pause(world: World) -> None:
    world.west.silent = True
    world.submit(1)
    world.scaler.tick()
    (server,) = world.east.servers(world.project)
    world.east.set_status(server.id, "ERROR")
    world.scaler.tick()
    world.later(16)
    world.scaler.tick()
    (server,) = [s for s in world.east.servers(world.project) if s.status != "ERROR"]
    world.report(server)
    world.scaler.tick()
    assert all(record.failures == 0 for record in world.fleet_records.lanes().values())


def test_a_cloud_that_does_not_answer_is_named_and_nothing_on_it_is_given_up(world: World) -> None:
    world.submit(4)
    world.scaler.tick()
    sessions = [world.report(server) for server in world.servers()]
    world.scaler.tick()
    world.east.silent = True
    world.submit(8)
    world.scaler.tick()
    assert worker_states(world).count("ready") == 2
    assert "cloud_unreachable" in codes(world, "2.7")
    assert len(sessions) == 2


def test_a_dead_server_gives_its_jobs_back_at_once(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (server,) = world.servers()
    session = world.report(server)
    world.scaler.tick()
    world.leases.claim(session, WHOLE)
    {"east": world.east, "west": world.west}[server.cloud].set_status(server.id, "SHUTOFF")
    world.scaler.tick()
    assert set(world.states().values()) == {"idle"}
    assert any("SHUTOFF" in (w.reason or "") for w in world.records.workers(None, limit=9))


def test_a_server_that_vanished_gives_its_jobs_back(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (server,) = world.servers()
    session = world.report(server)
    world.scaler.tick()
    world.leases.claim(session, WHOLE)
    world.later(31)
    world.fleet.delete_server(server.cloud, world.project, server.id)
    world.scaler.tick()
    assert set(world.states().values()) == {"idle"}


def test_a_worker_that_never_reports_is_deleted_and_the_reason_kept(world: World) -> None:
    world.submit(1)
    world.scaler.tick()
    world.later(901)
    world.scaler.tick()
    assert "ending" in worker_states(world)
    world.scaler.tick()
    world.scaler.tick()
    gone = world.records.workers(None, limit=9, gone=True)[-1]
    assert gone.state == "gone"
    assert "did not report" in (gone.reason or "")


def test_a_silent_agent_is_taken_for_dead(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    session = world.report(world.servers()[0])
    world.leases.claim(session, WHOLE)
    world.scaler.tick()
    world.later(181)
    world.scaler.tick()
    assert set(world.states().values()) == {"idle"}


def test_a_crash_between_plan_and_create_makes_the_machine_later(tmp_path: Path) -> None:
    world = World(folder=tmp_path, defer=True)
    world.submit(2)
    world.scaler.tick()
    assert world.servers() == []
    world.restart()
    world.scaler.tick()
    world.run_deferred()
    assert len(world.servers()) == 1
    assert len(worker_states(world)) == 1


def test_a_server_whose_create_reply_was_lost_is_found_again(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (server,) = world.servers()
    # As if we had been killed after the cloud made the server and before we wrote that down.
    world.fleet_records.set(
        server.metadata["armillary_worker"], state="planned", server_id=None, booted_at=None
    )
    world.restart()
    world.scaler.tick()
    assert [s.id for s in world.servers()] == [server.id]
    (worker,) = world.records.workers(None, limit=9)
    assert (worker.state, worker.server_id) == ("booting", server.id)


def test_servers_that_stand_for_no_worker_are_deleted_but_not_those_of_others(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (server,) = world.servers()
    image = world.fleet.ensure_image(world.east.name, world.project, world.group.image)
    for metadata in ({**server.metadata}, {**server.metadata, "armillary_deployment": "another"}):
        world.fleet.create_server(
            server.cloud, world.project, name="double", image_id=image if server.cloud == "east" else server.image_id,
            flavor=FLAVOR, metadata=metadata,
        )  # fmt: skip
    world.scaler.tick()
    marks = sorted(s.metadata["armillary_deployment"] == "another" for s in world.servers())
    assert marks == [False, True]


def test_when_all_work_is_done_no_server_of_ours_is_left(world: World) -> None:
    world.submit(8)
    world.scaler.tick()
    sessions = [world.report(server) for server in world.servers()]
    world.scaler.tick()
    for session in sessions:
        for leased in world.leases.claim(session, WHOLE).jobs:
            world.leases.finish(session, leased.key, Result(exit_code=0), usage={}, brought=[])
    world.later(121)
    for session in sessions:
        world.leases.claim(session, WHOLE)
    for _ in range(4):
        world.scaler.tick()
    assert world.servers() == []
    assert {worker.state for worker in world.records.workers(None, limit=99, gone=True)} == {"gone"}


def test_one_large_submit_does_not_take_every_core_from_a_small_one(world: World) -> None:
    grant(world, batch_cores=4)
    other = world.east.add_image("other", b"another machine", project=world.project)
    world.submit(100)
    world.submit(1, group=world.group._replace(image=other.sha512))
    world.scaler.tick()
    names = sorted(worker.image_sha512 for worker in world.records.workers(None, limit=9))
    assert names == sorted([world.group.image, other.sha512])


def test_an_unknown_flavor_is_a_reason(world: World) -> None:
    world.submit(1, group=world.group._replace(flavor="c99"))
    world.scaler.tick()
    assert codes(world) == {"flavor_not_found"}


def test_a_booting_worker_is_a_reason_to_wait(world: World) -> None:
    world.submit(1)
    assert codes(world) == {"not_looked_yet"}
    world.scaler.tick()
    assert codes(world) == {"worker_booting"}
