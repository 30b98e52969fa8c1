"""What freezing does to images on their clouds, and that letting go leaves what was there before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded_world import World
from test_crates_of_jobs import IMAGE, count, crates_of

from armillary.app.wiring_crates import Crates
from armillary.base.errors import Conflict
from armillary.base.ids import CloudName, ClusterId
from armillary.fleet.model import FleetImage
from armillary.provenance.frozen_store import FrozenStore
from armillary.vospace.paths import VOSPath

EAST = CloudName("east")
CLUSTER = ClusterId(1)


@pytest.fixture
def crates(world: World) -> Crates:
    world.write(world.ada, IMAGE, b"image of m51")
    world.submit()
    count(world)
    return crates_of(world)


def own_image(world: World) -> FleetImage:
    images = world.fleet.images(EAST, world.accounts.project(world.group.project))
    return next(one for one in images if one.owner == world.group.project)


def protect(world: World, *, protected: bool) -> None:
    project = world.accounts.project(world.group.project)
    world.fleet.protect_image(EAST, project, own_image(world).id, protected=protected)


def test_an_image_that_its_owner_had_protected_before_stays_so(world: World, crates: Crates) -> None:
    world.submit()
    second = count(world).cluster
    protect(world, protected=True)
    for cluster in (CLUSTER, second):
        kept = crates.freezes.freeze(world.ada, cluster, to=None, title=None)
        assert kept.image_kept == ["east"], "the cloud refuses to delete it, whoever wanted that"
    for cluster in (CLUSTER, second):
        crates.freezes.unfreeze(world.ada, cluster)
        assert own_image(world).is_protected

    protect(world, protected=False)
    elsewhere = VOSPath.parse("/home/ada/again")
    crates.freezes.freeze(world.ada, CLUSTER, to=elsewhere, title=None)
    assert own_image(world).is_protected
    crates.freezes.unfreeze(world.ada, CLUSTER)
    assert not own_image(world).is_protected, "what was so at an earlier freeze is over"


def test_what_was_protected_by_us_is_known_as_ours_after_a_kill(world: World, crates: Crates) -> None:
    made = crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    store = FrozenStore(database=world.database)
    store.put(replace(made, image_kept=[]))  # the image was protected; that it was is not noted
    with pytest.raises(Conflict, match="frozen already"):
        crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    assert own_image(world).is_protected
    crates.freezes.unfreeze(world.ada, CLUSTER)
    assert not own_image(world).is_protected


def test_what_an_older_version_has_protected_is_let_go_with_the_last(world: World, crates: Crates) -> None:
    world.submit()
    second = count(world).cluster
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    FrozenStore(database=world.database).forget_guards(world.group.project, world.group.image)
    crates.freezes.freeze(world.ada, second, to=None, title=None)
    crates.freezes.unfreeze(world.ada, CLUSTER)
    assert own_image(world).is_protected
    crates.freezes.unfreeze(world.ada, second)
    assert not own_image(world).is_protected


def test_somebody_elses_image_of_the_same_bytes_keeps_no_copy_of_ones_own_from_being_kept(
    world: World, crates: Crates
) -> None:
    world.cloud.add_image("the same, for everybody", b"bytes of the machine")
    kept = crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    assert (kept.image_kept, own_image(world).is_protected) == (["east"], True)
