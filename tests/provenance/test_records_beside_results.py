"""The file of records in the home that a submit's jobs wrote to."""

from __future__ import annotations

import json
from typing import Any

from recorded_world import World

from armillary.accounts.model import Principal
from armillary.batch.model import JobId, Selection
from armillary.crates.canonical import canonical
from armillary.crates.signing import Signature, read_public, verifies

FILE = "/home/ada/.records/cluster-1.jsonl"


def lines(world: World) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.read(world.ada, FILE).splitlines()]


def written(world: World) -> bool:
    return any(node.name == ".records" for node in world.space.children(world.ada, "/home/ada"))


def test_a_submit_that_is_over_has_one_file_that_is_checked_by_itself(world: World) -> None:
    world.submit(2)
    session = world.worker()

    def write(who: Principal) -> None:
        world.write(who, "/home/ada/7.cat", b"7")

    world.run(session, write)
    world.clerk.tick()
    assert world.beside.tick() == 0  # one of its jobs waits
    assert not written(world)
    world.run(session)
    world.clerk.tick()
    assert world.beside.tick() == 1
    assert world.beside.tick() == 0
    key, *records = lines(world)
    assert [one["record"].get("job") for one in records] == [None, "1.0", "1.1"]
    for one in records:
        signature = Signature.model_validate(one["signature"])
        assert verifies(canonical(one["record"]), signature, key=read_public(key["key"]["pem"]))


def test_a_submit_that_wrote_nothing_there_leaves_no_file(world: World) -> None:
    world.submit()
    world.run(world.worker(), files={"out": b"7"})
    world.clerk.tick()
    assert world.beside.tick() == 0
    assert not written(world)


def test_a_job_that_is_tried_again_is_in_the_file_as_it_ended_last(world: World) -> None:
    world.submit()
    world.run(world.worker(), lambda who: world.write(who, "/home/ada/7.cat", b"7"), exit_code=1)
    world.clerk.tick()
    world.beside.tick()
    world.queue.retry(Selection(cluster=JobId.parse("1.0").cluster, proc=0))
    world.run(world.worker(), lambda who: world.write(who, "/home/ada/7.cat", b"8"))
    world.clerk.tick()
    assert world.beside.tick() == 1
    assert [one["record"]["attempt"] for one in lines(world)[2:]] == [2]


def test_a_home_without_room_keeps_nobody_from_anything(world: World) -> None:
    world.submit()
    world.run(world.worker(), lambda who: world.write(who, "/home/ada/7.cat", b"7"))
    world.clerk.tick()
    world.write(world.ada, "/home/ada/.records", b"a file in the way")
    assert world.beside.tick() == 0
    assert world.store.due(10) == []
    world.provenance.record(world.ada, JobId.parse("1.0"))
