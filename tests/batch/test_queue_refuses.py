"""When the records cannot take a submit, it is said, and nothing of it is there."""

from __future__ import annotations

import pytest
from batch_world import World

from armillary.base.errors import Invalid, OutOfSpace
from armillary.batch.core.states import Fault, Result

MORE = 300


def count(world: World) -> int:
    with world.database.connect() as db:
        return db.exec_driver_sql("SELECT count(*) FROM batch_jobs").scalar_one()


def set_pages(world: World, most: int) -> None:
    """Bound the database as a full disk would."""
    with world.database.connect() as db:
        db.exec_driver_sql(f"PRAGMA max_page_count = {most}")


def test_a_disk_that_is_full_in_the_middle_of_a_submit_leaves_nothing_of_it(world: World) -> None:
    world.submit(2)
    with world.database.connect() as db:
        pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
    set_pages(world, pages + 4)
    with pytest.raises(OutOfSpace):
        world.submit(5000)
    assert count(world) == 2
    set_pages(world, 2**30)
    assert world.submit(MORE) == 2
    assert count(world) == 2 + MORE


@pytest.mark.parametrize(
    "records_url", [pytest.param("postgresql", marks=pytest.mark.engines)], indirect=True
)
def test_a_text_that_the_records_cannot_hold_is_refused_in_words(world: World) -> None:
    world.submit(1)
    session = world.worker()
    key = world.claim_one(session)
    bad = Result(error=Fault(code="input_invalid", message="nothing\0here"))
    with pytest.raises(Invalid, match="the records can hold"):
        world.leases.finish(session, key, bad, usage={}, brought=[])
    assert world.state("1.0") == "claimed"
    assert world.leases.finish(session, key, Result(exit_code=0), usage={}, brought=[]).state == "completed"
