"""Files that jobs read in VOSpace go back to their places, all that can, or nothing is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from recorded_world import World
from test_crates_of_jobs import crates_of

from armillary.accounts.model import Principal
from armillary.app.wiring_crates import Crates
from armillary.base.errors import Conflict, NotFound, QuotaExceeded
from armillary.crates.layout import Crate
from armillary.provenance.exporting import Target
from armillary.provenance.importing import Imported
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.freezing import Freezing

FIRST, SECOND = "/home/ada/open/first.fits", "/home/ada/raw/night/second.fits"
BYTES = {FIRST: b"first image", SECOND: b"second image"}
RAW = VOSPath.parse("/home/ada/raw")


@pytest.fixture
def crates(world: World) -> Crates:
    return crates_of(world)


@pytest.fixture
def crate(world: World, crates: Crates) -> Crate:
    """A job that read two files, which are not there any more; its crate was sent here."""

    def act(who: Principal) -> None:
        for path in BYTES:
            world.read(who, path)

    for path, data in BYTES.items():
        world.space.make_container(world.ada, VOSPath.parse(path).parent, parents=True)
        world.write(world.ada, path, data)
        world.keep(data)
    world.submit()
    job = world.run(world.worker(), act)
    crate = crates.exports.crate(world.ada, Target(cluster=job.cluster))
    for paper in [crate.cluster, *crate.jobs]:
        world.keep(paper.data)
    world.space.delete(world.ada, "/home/ada/open")
    world.space.delete(world.ada, str(RAW))
    return crate


def bring(world: World, crates: Crates, crate: Crate) -> Imported:
    return crates.imports.take(
        world.ada,
        cluster=crate.cluster.signature,
        jobs=[job.signature for job in crate.jobs],
        keys=crate.keys,
    )


def nothing_is_there(world: World) -> bool:
    try:
        world.space.node(world.ada, "/home/ada/open")
    except NotFound:
        return world.space.node(world.ada, "/home/ada").used == 0
    return False


def test_what_does_not_fit_is_refused_with_figures_before_anything_is_written(
    world: World, crates: Crates, crate: Crate
) -> None:
    world.space.set_properties(world.admin, VOSPath.parse("/home/ada"), Change(quota=12))  # one, not both
    with pytest.raises(QuotaExceeded) as full:
        bring(world, crates, crate)
    assert full.value.code == "no_room_to_import"
    assert full.value.facts == {"home": "/home/ada", "needed": "23 B", "room": "12 B"}
    assert nothing_is_there(world)
    assert crates.imports.of(world.ada, limit=9) == []

    world.space.set_properties(world.admin, VOSPath.parse("/home/ada"), Change(quota=23))
    brought = bring(world, crates, crate)
    assert len(brought.written) == 2
    assert {path: world.read(world.ada, path) for path in BYTES} == BYTES
    assert bring(world, crates, crate).number == brought.number, "again is fine, though the home is full now"


def frozen(world: World) -> None:
    world.space.make_container(world.ada, RAW)
    Freezing(space=world.space).freeze(world.ada, RAW, "7")


def frozen_where_the_file_goes(world: World) -> None:
    world.space.make_container(world.ada, RAW / "night", parents=True)
    Freezing(space=world.space).freeze(world.ada, RAW, "7")


def locked(world: World) -> None:
    world.space.make_container(world.ada, RAW / "night", parents=True)
    world.space.set_properties(world.ada, RAW / "night", Change(is_locked=True))


def a_file(world: World) -> None:
    world.write(world.ada, str(RAW), b"")


def a_folder_of_its_name(world: World) -> None:
    world.space.make_container(world.ada, VOSPath.parse(SECOND), parents=True)


def a_link(world: World) -> None:
    world.space.make_link(world.ada, RAW, "https://example.org/raw")


@pytest.mark.parametrize(
    ("in_the_way", "reason"),
    [
        (frozen, "node_frozen"),
        (frozen_where_the_file_goes, "node_frozen"),
        (locked, "node_locked"),
        (a_file, "duplicate_node"),
        (a_folder_of_its_name, "duplicate_node"),
        (a_link, "link_found"),
    ],
)
def test_what_is_in_the_way_of_one_file_is_named_before_any_is_written(
    world: World, crates: Crates, crate: Crate, in_the_way: Callable[[World], None], reason: str
) -> None:
    in_the_way(world)
    with pytest.raises(Conflict) as refused:
        bring(world, crates, crate)
    assert refused.value.code == "places_closed"
    assert (refused.value.facts["files"], refused.value.facts["reason"]) == (1, reason)
    assert refused.value.facts["first"].endswith(SECOND)
    assert nothing_is_there(world)
    assert crates.imports.of(world.ada, limit=9) == []


def test_where_one_may_not_write_nothing_is_refused_but_the_place(
    world: World, crates: Crates, crate: Crate
) -> None:
    sent = [*BYTES.values(), *[paper.data for paper in [crate.cluster, *crate.jobs]]]
    for data in [*sent, b"#!/bin/sh\n", b"pixels"]:
        with world.batch.files.writer(world.eve) as writer:
            writer.write(data)
            writer.commit()
    world.space.make_container(world.ada, "/home/ada/open")
    world.space.set_properties(world.ada, VOSPath.parse("/home/ada"), Change(is_public=True))
    eve = crates.imports.take(
        world.eve,
        cluster=crate.cluster.signature,
        jobs=[job.signature for job in crate.jobs],
        keys=crate.keys,
    )
    assert (eve.written, len(eve.refused)) == ([], 2)
