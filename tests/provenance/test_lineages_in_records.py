"""Where a job's image comes from, in its signed record, by what the clouds and our own builds say of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from recorded_world import FLAVOR, World

from armillary.app.wiring_provenance import lineage_by
from armillary.batch.model import Group, JobId
from armillary.crates.record import LineageStep, Person
from armillary.fleet.lineage import Lineages
from armillary.fleet.model import FleetImage
from armillary.provenance.clerk import Clerk

INDEX = [{"suite": "bookworm", "date": "2026-11-22T02:09:05Z", "sha256": "ab" * 32}]


def recorded(world: World, image: FleetImage, built: dict[str, dict[str, Any]]) -> list[LineageStep]:
    """Run a job on an image, write it down as the platform does, and return the signed lineage."""
    assert image.sha512
    world.group = Group(world.project.id, image.sha512, FLAVOR)
    job = JobId.parse(f"{world.submit()}.0")
    world.run(world.worker())
    clerk = Clerk(
        endings=world.ended, store=world.store, witness=world.space.witness, mark=world.space.mark,
        lineage=lineage_by(world.accounts, world.fleet, Lineages(fleet=world.fleet, recipe=built.get)),
        signer=world.keys, clock=world.clock, place=world.place,
    )  # fmt: skip
    clerk.tick()
    _, shared = world.provenance.record(world.ada, job)
    assert world.provenance.is_signed(shared)
    return list(shared.record.image.lineage)


def test_it_goes_from_the_recipe_by_the_base_image_and_a_machine_to_the_snapshot_by_whom_and_when(
    world: World,
) -> None:
    base = world.cloud.add_image("debian-12", b"the base", project=world.project)
    assert base.sha512
    world.clock.advance(timedelta(hours=1))
    said = {"base_image_ref": base.id, "instance_uuid": "m1", "armillary_snapshot_of": "desk"}
    said["armillary_snapshot_by"] = "ada"
    snapshot = world.cloud.add_image("with-software", b"more", project=world.project, properties=said)
    made = {
        "recipe": {"name": "debian-12", "version": "1", "inputs_sha256": "c6" * 32},
        "created": "2026-11-22T20:21:19Z",
        "snapshot": INDEX,
        "lock_sha256": "cd" * 32,
    }
    recipe, first, machine, last = recorded(world, snapshot, {base.sha512: made})
    assert [step.kind for step in (recipe, first, machine, last)] == ["recipe", "base", "machine", "snapshot"]
    assert (recipe.name, recipe.sha256, recipe.at) == (
        "debian-12",
        "c6" * 32,
        datetime(2026, 11, 22, 20, 21, 19, tzinfo=UTC),
    )
    assert (recipe.details["snapshot"], recipe.details["lock_sha256"]) == (INDEX, "cd" * 32)
    assert (first.name, first.sha512, first.cloud, first.at) == (
        "debian-12",
        base.sha512,
        "east",
        base.created_at,
    )
    assert (machine.name, machine.id, machine.by) == ("desk", "m1", Person(name="ada"))
    assert (last.name, last.sha512, last.by) == ("with-software", snapshot.sha512, Person(name="ada"))
    assert last.at == snapshot.created_at == base.created_at + timedelta(hours=1)


def test_of_an_image_that_somebody_brought_it_says_so(world: World) -> None:
    own = world.cloud.add_image("own", b"own", project=world.project, properties={"owner_user_name": "ada"})
    [step] = recorded(world, own, {})
    assert (step.kind, step.name, step.by) == ("upload", "own", Person(name="ada"))


def test_a_cloud_that_does_not_answer_costs_the_lineage_and_not_the_record(world: World) -> None:
    image = world.cloud.add_image("own", b"own", project=world.project)
    world.cloud.silent = True
    assert recorded(world, image, {}) == []
