"""The key that signs: made once, readable by its owner alone, changed when somebody wants to."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from recorded_world import World

from armillary.base.errors import Unavailable
from armillary.batch.model import JobId
from armillary.provenance.keys import PlatformKeys


def test_it_is_made_at_the_first_start_and_found_at_the_next(world: World) -> None:
    [first] = world.keys.public()
    world.restart()
    assert [key.id for key in world.keys.public()] == [first.id]
    folder = world.folder / "keys"
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_a_new_key_signs_at_once_everywhere_and_what_the_old_one_signed_stays_good(world: World) -> None:
    world.submit(2)
    session = world.worker()
    world.run(session)
    world.clerk.tick()
    other = PlatformKeys(folder=world.folder / "keys", published=world.store, clock=world.clock)
    new = other.rotate()
    world.run(session)
    world.clerk.tick()
    old, fresh = (world.provenance.record(world.ada, JobId.parse(f"1.{n}"))[0] for n in (0, 1))
    assert old.signature.key != fresh.signature.key == new.id
    assert world.provenance.is_signed(old)
    assert world.provenance.is_signed(fresh)
    assert [key.current for key in world.provenance.published_keys()] == [False, True]


def test_whoever_is_second_to_make_the_first_key_takes_the_one_that_is_there(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    both = [PlatformKeys(folder=folder, published=world.store, clock=world.clock) for _ in range(2)]
    assert both[0].sign(b"{}") == both[1].sign(b"{}")


@pytest.mark.parametrize("lost", ["*.pem", "current"])
def test_a_key_that_is_lost_is_missed_by_name_and_its_remedy_works(world: World, lost: str) -> None:
    world.submit()
    world.run(world.worker())
    world.clerk.tick()
    signed, _ = world.provenance.record(world.ada, JobId.parse("1.0"))
    for file in (world.folder / "keys").glob(lost):
        file.unlink()
    keys = PlatformKeys(folder=world.folder / "keys", published=world.store, clock=world.clock)
    if lost != "current":
        with pytest.raises(Unavailable) as refused:
            keys.sign(b"{}")
        assert refused.value.code == "signing_key_missing"
    new = keys.rotate()
    assert keys.sign(b"{}").key == new.id
    world.restart()
    assert world.provenance.is_signed(signed), "the public half is in the records"


def test_a_platform_that_runs_says_that_its_key_was_taken_away(world: World) -> None:
    for file in (world.folder / "keys").iterdir():
        file.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        world.keys.sign(b"{}")
