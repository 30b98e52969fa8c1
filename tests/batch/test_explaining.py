"""Why a job waits: every reason, cloud by cloud, with what would make it start."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from batch_world import SMALL, TERMS, WHOLE, World

from armillary.accounts.model import Project
from armillary.base.ids import CloudName, ProjectId
from armillary.batch.core.budget import Prices
from armillary.batch.core.states import Result
from armillary.batch.model import JobId, JobSpec, Refusal, Resources, Submission, Wishes
from armillary.batch.reserve import Reserve
from armillary.batch.scaler import ScalerSettings
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetImage


def submit(
    world: World,
    count: int = 1,
    *,
    flavor: str = "auto",
    resources: Resources = SMALL,
    wishes: Wishes | None = None,
    **spec: Any,
) -> int:
    """Queue jobs whose spec says more than those of the world."""
    owner = world.ada.person
    return world.queue.submit(
        Submission(
            group=world.group._replace(flavor=flavor),
            owner=owner.id,
            owner_name=owner.user_name,
            project_name="galaxies",
            image_name="my-snapshot",
            batch_name=None,
            submit_text="queue",
            jobs=tuple(
                JobSpec(proc=n, resources=resources, data={"executable": "run.sh", **spec})
                for n in range(count)
            ),
            idempotency_key=None,
            request_hash="h",
            wishes=wishes or Wishes(),
        )
    )


def reasons(world: World, job: str = "1.0") -> list[Refusal]:
    return world.service.explain(world.ada, JobId.parse(job))[1]


def messages(found: Sequence[Refusal]) -> str:
    return "\n".join(refusal.message for refusal in found)


def test_requirements_that_never_match_name_the_part_that_fails_on_each_cloud(world: World) -> None:
    submit(world, requirements='TARGET.Memory >= 1024 && TARGET.CloudName == "south"')
    world.scaler.tick()
    assert world.servers() == []
    found = [refusal for refusal in reasons(world) if refusal.code == "requirements_match_nothing"]
    assert [refusal.cloud for refusal in found] == ["east", "west"]
    assert found[0].facts["failing"] == ['TARGET.CloudName == "south"']
    assert found[0].remedy


def test_requirements_choose_the_cloud_and_the_worker_that_matches_takes_the_job(world: World) -> None:
    submit(world, 2, requirements='TARGET.CloudName == "west"', resources=replace(SMALL, memory_mib=900))
    world.scaler.tick()
    (server,) = world.servers()
    assert server.cloud == "west"
    (machine,) = world.fleet_records.machines()
    session = world.report_as(server, machine)
    assert [str(one.key.job) for one in world.leases.claim(session, machine.size).jobs] == ["1.0", "1.1"]


def test_a_worker_that_does_not_match_takes_no_job(world: World) -> None:
    world.submit(2)
    world.scaler.tick()
    (server,) = world.servers()
    session = world.report(server)
    for leased in world.leases.claim(session, WHOLE).jobs:
        world.leases.finish(session, leased.key, Result(exit_code=0), usage={}, brought=[])
    other = "west" if server.cloud == "east" else "east"
    submit(world, 1, flavor=world.group.flavor, requirements=f'TARGET.CloudName == "{other}"')
    world.scaler.tick()
    assert world.leases.claim(session, WHOLE).jobs == ()
    assert [s.cloud for s in world.servers()].count(other) == 1


def test_a_rank_is_followed_where_there_is_room(world: World) -> None:
    submit(world, rank='ifThenElse(TARGET.CloudName == "west", 10, 0)')
    world.scaler.tick()
    assert [server.cloud for server in world.servers()] == ["west"]


def test_its_own_attributes_stand_in_requirements(world: World) -> None:
    submit(world, requirements="TARGET.CloudName == MY.Home", attributes={"Home": '"west"'})
    world.scaler.tick()
    assert [server.cloud for server in world.servers()] == ["west"]


def test_a_boot_that_is_waited_for_says_how_long_it_usually_takes(world: World) -> None:
    world.west.silent = True
    world.submit(2)
    world.scaler.tick()
    (server,) = world.east.servers(world.project)
    world.later(60)
    world.report(server)
    world.scaler.tick()
    world.submit(4)
    world.scaler.tick()
    world.later(40)
    world.scaler.tick()
    assert "boots on east for 40 s, usually 60 s" in messages(reasons(world, "2.3"))


class Slow(FakeCloud):
    """A cloud on which something happens while an image arrives."""

    during: Callable[[], None]

    def upload(self, project: Project, like: FleetImage, chunks: Iterator[bytes]) -> FleetImage:
        first = next(chunks)
        self.during()
        return super().upload(project, like, chain([first], chunks))


def test_a_slow_copy_is_told_in_per_cent_and_jobs_do_not_wait_for_it(tmp_path: Path) -> None:
    world = World(folder=tmp_path, defer=True)
    world.people.change_project(world.project, allocation=replace(world.project.allocation, batch_cores=64))
    world.west = slow = Slow(name="west", clock=world.clock)
    world.image = world.east.add_image("large", b"0" * 40960, project=world.project)
    world.restart()
    seen: list[str] = []

    def while_it_is_copied() -> None:
        for seconds in (61, 2):
            world.later(seconds)
            world.scaler.tick()
            world.run_deferred()
        seen.extend(machine.cloud for machine in world.fleet_records.machines())
        seen.append(messages(reasons(world, "1.19")))

    slow.during = while_it_is_copied
    world.submit(20)
    world.scaler.tick()
    assert {machine.cloud for machine in world.fleet_records.machines()} == {"east", "west"}
    world.run_deferred()
    assert set(seen[:-1]) == {"east"}
    assert "the image is being copied to west: 10 %, for 63 s" in seen[-1]
    world.later(2)
    world.scaler.tick()
    assert {machine.cloud for machine in world.fleet_records.machines()} == {"east", "west"}


def test_a_reserve_waits_for_jobs_that_have_not_come(world: World) -> None:
    world.settings = ScalerSettings(
        reserve=(
            Reserve(
                project="galaxies",
                image="my-snapshot",
                flavor="c2-2gb-10",
                workers=2,
                cloud=CloudName("west"),
            ),
        )
    )
    world.restart()
    for _ in range(2):
        world.scaler.tick()
    assert [server.cloud for server in world.servers()] == ["west", "west"]
    for server in world.servers():
        world.report(server)
    for _ in range(5):
        world.later(60)
        world.scaler.tick()
    assert len(world.servers()) == 2


def test_a_budget_stops_boots_before_it_is_passed_and_says_so(world: World) -> None:
    world.settings = ScalerSettings(budgets={"galaxies": 9.0}, prices=Prices(of={"east": 2.0, "west": 2.0}))
    world.restart()
    world.submit(20)
    for _ in range(3):
        world.scaler.tick()
    assert len(world.servers()) == 2  # two cores each, at 2 an hour, for an hour ahead: 8 of 9
    assert "8.0 of its budget of 9" in messages(reasons(world, "1.19"))


def test_what_is_explained_survives_as_json(world: World) -> None:
    submit(world, requirements="TARGET.Memory > 1000000")
    world.scaler.tick()
    assert json.dumps([refusal.as_dict() for refusal in reasons(world)])
    assert world.group.project == ProjectId(world.project.id)


def test_a_bounded_submit_says_how_many_of_it_run(world: World) -> None:
    submit(world, 3, flavor=world.group.flavor, wishes=Wishes(max_materialize=1))
    world.scaler.tick()
    (server,) = world.servers()
    session = world.report(server)
    assert len(world.leases.claim(session, WHOLE).jobs) == 1
    assert "1 jobs of its submit are on workers, and max_materialize lets 1" in messages(
        reasons(world, "1.2")
    )


def test_a_submit_that_lets_few_jobs_wait_for_workers_says_so(world: World) -> None:
    submit(world, 3, flavor=world.group.flavor, wishes=Wishes(max_idle=2))
    told = "2 jobs of its submit wait before it, and max_idle lets 2 ask for workers"
    assert told in messages(reasons(world, "1.2"))
    assert told not in messages(reasons(world, "1.1"))


def test_a_concurrency_limit_is_told_with_its_figures(tmp_path: Path) -> None:
    world = World(folder=tmp_path, terms=replace(TERMS, limits={"licence": 2}))
    submit(world, 3, flavor=world.group.flavor, concurrency_limits={"licence": 2})
    world.scaler.tick()
    session = world.report(world.servers()[0])
    assert len(world.leases.claim(session, WHOLE).jobs) == 1
    assert "concurrency limit licence: 2/2 are taken; the job takes 2" in messages(reasons(world, "1.2"))


def test_who_shares_the_workers_is_told(world: World) -> None:
    grace = world.people.add("grace", world.project)
    world.submit(5, who=grace)
    world.submit(1)
    assert "5 job(s) of 1 other(s) wait for the same workers" in messages(reasons(world, "2.0"))
