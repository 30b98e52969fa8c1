"""Files that a job sends in pieces: their SHA-256 is known when they are there, as that of any file that it writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from recorded_world import World
from sqlalchemy import select

from armillary.accounts.model import Principal
from armillary.batch.model import JobId
from armillary.crates.canonical import digest
from armillary.crates.record import JobRecord
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.pieces import Asked
from armillary.vospace.store.tables import digests

OUT = VOSPath.parse("/home/ada/out")
DATA = bytes(range(256)) * 40
HALF = len(DATA) // 2

Send = Callable[[World, Principal], None]


def piece(world: World, who: Principal, upload: str, data: bytes, offset: int) -> None:
    """Send one piece, as a request does."""
    sent = world.space.resumable.piece(who, upload, Asked(offset=offset, length=len(data)))
    sent.write(data)
    sent.end()


def by_tus(world: World, who: Principal) -> None:
    upload = world.space.resumable.create(who, OUT, length=len(DATA))
    piece(world, who, upload.id, DATA[:HALF], 0)
    piece(world, who, upload.id, DATA[HALF:], HALF)


def in_segments(world: World, who: Principal) -> None:
    upload = world.space.resumable.create(who, OUT, length=len(DATA), in_segments=True)
    piece(world, who, upload.id, DATA[:HALF], 0)
    piece(world, who, upload.id, DATA[HALF:], HALF)
    world.space.resumable.commit(who, upload.id)


def over_a_restart(world: World, who: Principal) -> None:
    upload = world.space.resumable.create(who, OUT, length=len(DATA))
    piece(world, who, upload.id, DATA[:HALF], 0)
    world.restart()
    piece(world, who, upload.id, DATA[HALF:], HALF)


def begun_by_its_owner(world: World, who: Principal) -> None:
    upload = world.space.resumable.create(world.ada, OUT, length=len(DATA))
    piece(world, world.ada, upload.id, DATA[:HALF], 0)
    piece(world, who, upload.id, DATA[HALF:], HALF)


def recorded(world: World, job: JobId) -> JobRecord:
    world.clerk.tick()
    return world.provenance.record(world.ada, job)[0].record


@pytest.mark.parametrize("send", [by_tus, in_segments, over_a_restart, begun_by_its_owner])
def test_what_was_written_over_before_it_was_recorded_keeps_its_sha256(world: World, send: Send) -> None:
    world.submit()
    job = world.run(world.worker(), lambda who: send(world, who))
    assert world.read(world.ada, str(OUT)) == DATA
    world.write(world.ada, str(OUT), b"somebody else's")
    [written] = recorded(world, job).writes
    assert (written.sha256, written.size) == (digest(DATA), len(DATA))


def test_what_people_send_in_pieces_is_added_up_only_when_somebody_asks(world: World) -> None:
    by_tus(world, world.ada)
    with world.database.connect() as db:
        assert db.execute(select(digests.c.sha256)).all() == []
