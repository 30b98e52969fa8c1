"""What the tests of the scaler do to its world, and what they read from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batch_world import WHOLE, World

from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import JobId, Machine, Refusal
from armillary.fleet.fake import FakeCloud


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


def world_selection(cluster: int) -> Any:
    from armillary.base.ids import ClusterId
    from armillary.batch.model import Selection

    return Selection(cluster=ClusterId(cluster))
