"""A cloud that is drained gets no new workers, says so, and is in use again at a word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from batch_world import World

from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import CloudName

EAST, WEST = CloudName("east"), CloudName("west")


def operator(world: World):
    return world.people.add("root", admin=True)


def test_workers_boot_elsewhere_while_a_cloud_is_drained(world: World) -> None:
    root = operator(world)
    world.draining.drain(root, EAST, reason="new disks")
    world.submit(1)
    world.scaler.tick()
    assert {machine.cloud for machine in world.fleet_records.machines()} == {WEST}
    (drained,) = world.draining.drained().values()
    assert (drained.cloud, drained.by, drained.reason) == (EAST, "root", "new disks")


def test_a_job_that_waits_for_it_says_so_and_starts_when_it_is_in_use_again(world: World) -> None:
    root = operator(world)
    for cloud in (EAST, WEST):
        world.draining.drain(root, cloud, reason="new disks")
    world.submit(1)
    decisions = world.scaler.tick()
    refusals = [refusal for decision in decisions for refusal in decision.refusals]
    assert {(refusal.cloud, refusal.code) for refusal in refusals} >= {
        (EAST, "cloud_drained"),
        (WEST, "cloud_drained"),
    }
    assert "new disks" in refusals[0].message
    world.draining.resume(root, WEST)
    world.restart()
    world.scaler.tick()
    assert {machine.cloud for machine in world.fleet_records.machines()} == {WEST}


def test_only_administrators_drain_and_only_what_there_is(world: World) -> None:
    with pytest.raises(Forbidden):
        world.draining.drain(world.ada, EAST)
    with pytest.raises(NotFound):
        world.draining.drain(operator(world), CloudName("north"))
    limited = replace(operator(world), scopes=frozenset({"batch:read"}))
    with pytest.raises(Forbidden):
        world.draining.resume(limited, EAST)
