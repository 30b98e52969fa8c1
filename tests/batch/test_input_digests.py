"""A worker that asks for each of its jobs' inputs has their lists read once, and still gets only what is its jobs'."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from batch_world import World
from sqlalchemy import event

from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.input_digests import InputDigests
from armillary.batch.model import InputFile
from outside_engines import ON_BOTH


@pytest.fixture
def lists_read(world: World) -> Iterator[list[str]]:
    """The statements that read lists of inputs, as they come."""
    seen: list[str] = []

    def look(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT") and "inputs" in statement:
            seen.append(statement)

    event.listen(world.database, "before_cursor_execute", look)
    yield seen
    event.remove(world.database, "before_cursor_execute", look)


def files(count: int, name: str = "file") -> tuple[InputFile, ...]:
    return tuple(
        InputFile(path=f"{name}-{n}", sha256=hashlib.sha256(f"{name} {n}".encode()).hexdigest(), size=1)
        for n in range(count)
    )


@ON_BOTH
def test_many_inputs_cost_no_more_reading_than_few(world: World, lists_read: list[str]) -> None:
    reads: list[int] = []
    for number, count in enumerate((5, 500)):
        world.submit(inputs=files(count, f"submit{number}"))
        session = world.worker(f"w{number}")
        world.claim_one(session)
        lists_read.clear()
        assert all(world.leases.may_read(session, file.sha256) for file in files(count, f"submit{number}"))
        reads.append(len(lists_read))
    assert reads == [2, 2], "the job's own list, and that of its submit"


def test_what_jobs_have_alike_is_read_once_for_all_of_them(world: World, lists_read: list[str]) -> None:
    world.submit(2, inputs=files(4))
    session = world.worker()
    for _ in range(2):
        world.claim_one(session)
    lists_read.clear()
    assert not world.leases.may_read(session, "0" * 64)
    assert len([one for one in lists_read if "common_inputs" in one]) == 1
    lists_read.clear()
    assert not world.leases.may_read(session, "0" * 64)
    assert lists_read == []


def test_a_job_that_is_over_opens_nothing_though_its_list_is_known(world: World) -> None:
    (file,) = files(1)
    world.submit(inputs=(file,))
    session = world.worker()
    key = world.claim_one(session)
    assert world.leases.may_read(session, file.sha256)
    assert not world.leases.may_read(world.worker("w2"), file.sha256)
    world.leases.finish(session, key, Result(exit_code=0), usage={}, brought=[])
    assert not world.leases.may_read(session, file.sha256)


def test_no_more_is_kept_than_it_may_be_and_all_is_found_again(world: World, lists_read: list[str]) -> None:
    kept = InputDigests(most=10)
    for number in range(3):
        world.submit(inputs=files(8, f"submit{number}"))
    lists_read.clear()
    with world.database.connect() as db:
        for _round in range(2):
            for number in range(3):
                (*_, last) = files(8, f"submit{number}")
                assert kept.have(db, [(number + 1, 0)], last.sha256)
        assert len(lists_read) > 6, "the third list drove out the first"
        before = len(lists_read)
        assert kept.have(db, [(3, 0)], files(8, "submit2")[0].sha256)
        assert len(lists_read) == before, "the last one is kept"
