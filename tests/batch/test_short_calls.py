"""What an agent says for each job takes a short way: on threads of its own, with no look for a session beforehand."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from batch_world import WHOLE, World
from sqlalchemy import bindparam, create_engine, insert, select

from armillary.base.errors import Unauthorized
from armillary.base.ids import ServerId, WorkerId
from armillary.batch.api import agent_router, shortcuts
from armillary.batch.api.hands import Hands
from armillary.batch.logs import LogFolder
from armillary.batch.model import JobId, Selection
from armillary.batch.store.hardware_records import hardware
from armillary.batch.store.shapes import shares
from armillary.batch.store.swift import Swift
from outside_engines import ON_BOTH

FREE = {"cpus": WHOLE.cpus, "memory_mib": WHOLE.memory_mib, "disk_kib": WHOLE.disk_kib}


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


class ShortAgent:
    """An agent whose calls take the short way."""

    def __init__(self, world: World, portal: BlockingPortal) -> None:
        token = world.register.invite(WorkerId("w1"), world.group)
        _, self.key = world.register.register(
            token, server_id="s1", image=world.group.image, whole=WHOLE, version="1"
        )
        self._portal = portal
        self._apps = shortcuts(agent_router(service=world.agents), world.agents)

    def call(self, name: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path, data = f"/agent/v1/{name}", json.dumps(body).encode()
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        head = [(b"authorization", f"Bearer {self.key}".encode()), (b"content-length", b"%d" % len(data))]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": head}
        self._portal.call(self._apps[path], scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])


def lease(job: dict[str, Any]) -> dict[str, Any]:
    return {name: job[name] for name in ("job", "attempt", "lease_secret")}


@ON_BOTH
def test_an_end_brings_the_next_job(world: World, portal: BlockingPortal) -> None:
    world.submit(2)
    agent = ShortAgent(world, portal)
    one = {**FREE, "cpus": 1}
    (first,) = agent.call("claim", {"free": one})[1]["jobs"]
    status, answer = agent.call("finish", {**lease(first), "exit_code": 0, "free": one})
    assert (status, answer["state"]) == (200, "completed")
    (second,) = answer["jobs"]
    assert agent.call("finish", {**lease(second), "exit_code": 0, "free": one})[1]["jobs"] == []
    assert set(world.states().values()) == {"completed"}


@ON_BOTH
def test_the_end_of_a_worker_that_was_given_up_meanwhile_is_refused(
    world: World, portal: BlockingPortal
) -> None:
    world.submit()
    agent = ShortAgent(world, portal)
    (job,) = agent.call("claim", {"free": FREE})[1]["jobs"]
    world.queue.lost(WorkerId("w1"), "its cloud is gone")
    status, answer = agent.call("finish", {**lease(job), "exit_code": 0, "free": FREE})
    assert (status, answer["error"]["code"]) == (401, "bad_session")
    assert world.states() == {job["job"]: "idle"}
    assert world.records.job(None, JobId.parse(job["job"])).committed_attempt is None


@ON_BOTH
def test_who_was_given_up_says_nothing_of_the_machine_any_more(world: World, portal: BlockingPortal) -> None:
    world.submit()
    agent = ShortAgent(world, portal)
    (job,) = agent.call("claim", {"free": FREE})[1]["jobs"]
    world.register.expect(WorkerId("w1"), ServerId("another-server"))
    body = {**lease(job), "exit_code": 0, "machine": {"cpu_model": "a stranger's"}}
    assert agent.call("finish", body)[0] == 401
    with world.database.connect() as db:
        assert db.execute(select(hardware.c.facts)).all() == []


@ON_BOTH
def test_a_key_that_is_void_by_a_new_one_ends_nothing(world: World, portal: BlockingPortal) -> None:
    world.submit()
    agent = ShortAgent(world, portal)
    (job,) = agent.call("claim", {"free": FREE})[1]["jobs"]
    world.register.expect(WorkerId("w1"), ServerId("another-server"))
    status, answer = agent.call("finish", {**lease(job), "exit_code": 0})
    assert (status, answer["error"]["code"]) == (401, "bad_session")
    assert world.states() == {job["job"]: "claimed"}


@ON_BOTH
def test_a_key_that_nobody_has_shown_is_looked_up(world: World) -> None:
    token = world.register.invite(WorkerId("w1"), world.group)
    _, key = world.register.register(token, server_id="s1", image=world.group.image, whole=WHOLE, version="1")
    assert not world.register.recall(key).recalled
    assert world.register.recall(key).recalled
    with pytest.raises(Unauthorized):
        world.register.recall("no such key")


@ON_BOTH
def test_who_ends_a_job_that_was_removed_and_takes_another_does_not_rest(
    world: World, portal: BlockingPortal
) -> None:
    world.submit(2)
    agent = ShortAgent(world, portal)
    one = {**FREE, "cpus": 1}
    (first,) = agent.call("claim", {"free": one})[1]["jobs"]
    gone = JobId.parse(first["job"])
    world.queue.remove(Selection(cluster=gone.cluster, proc=gone.proc), reason="by its owner")
    body = {**lease(first), "error": "removed", "free": one}
    assert len(agent.call("finish", body)[1]["jobs"]) == 1
    (report,) = world.queue.workers()
    assert report.idle_since is None


def test_hands_carry_more_than_there_are_of_them_and_tell_what_went_wrong() -> None:
    hands, most, busy, lock = Hands(at_most=3), 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal most, busy
        with lock:
            busy += 1
            most = max(most, busy)
        threading.Event().wait(0.01)
        with lock:
            busy -= 1
        if number == 7:
            raise ValueError("seven")
        return number

    async def all_of_them() -> list[Any]:
        calls = [hands.carry(lambda number=number: work(number)) for number in range(20)]
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(all_of_them())
    assert [each for each in found if isinstance(each, int)] == [n for n in range(20) if n != 7]
    assert repr(found[7]) == "ValueError('seven')"
    assert most == 3


def test_what_no_coroutine_can_raise_is_told_all_the_same() -> None:
    def work() -> None:
        raise StopIteration("the end")

    async def one() -> None:
        await asyncio.wait_for(Hands().carry(work), 60)

    with pytest.raises(RuntimeError, match="the end"):
        asyncio.run(one())


def test_hands_that_the_system_did_not_give_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hands, start, refused = Hands(at_most=2), threading.Thread.start, True

    def begin(thread: threading.Thread) -> None:
        if refused and thread.name == "hand":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", begin)
    may_end = threading.Event()

    async def work() -> list[Any]:
        nonlocal refused
        for _ in range(3):
            with pytest.raises(RuntimeError, match="new thread"):
                await hands.carry(lambda: None)
        refused = False
        first = asyncio.ensure_future(hands.carry(lambda: may_end.wait(60)))
        await asyncio.sleep(0)
        refused = True  # one is there: it comes to this when it is free
        second = asyncio.ensure_future(hands.carry(lambda: "second"))
        await asyncio.sleep(0)
        may_end.set()
        return await asyncio.wait_for(asyncio.gather(first, second), 60)

    assert asyncio.run(work()) == [True, "second"]


def test_a_hand_is_used_again() -> None:
    hands = Hands()

    async def one_after_the_other() -> set[int]:
        return {await hands.carry(threading.get_ident) for _ in range(20)}

    assert len(asyncio.run(one_after_the_other())) == 1


def test_who_does_not_wait_any_more_is_not_told() -> None:
    hands, may_end = Hands(), threading.Event()

    async def go_away() -> str:
        waiting = asyncio.ensure_future(hands.carry(lambda: may_end.wait(10)))
        await asyncio.sleep(0.01)
        waiting.cancel()
        may_end.set()
        return await hands.carry(lambda: "still there")

    assert asyncio.run(go_away()) == "still there"


MOMENTS = [
    None,
    datetime(2026, 11, 23, 20, 0, tzinfo=UTC),
    datetime(2026, 11, 23, 20, 0, 0, 7, tzinfo=UTC),
    datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))),
    datetime(1, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("at", MOMENTS)
def test_swift_statements_keep_moments_as_all_others_do(at: datetime | None) -> None:
    table = shares
    values = {"project": "p", "owner": "o", "used": 1.0, "at": datetime(2026, 1, 1, tzinfo=UTC)}
    swift = Swift(insert(table), *values, "served_at")
    read = Swift(select(table.c.served_at).where(table.c.owner == bindparam("of")))
    with closing(create_engine("sqlite://").connect()) as db:
        table.create(db)
        db.execute(insert(table).values(**values | {"owner": "slow"}, served_at=at))
        swift.run(db, **values, served_at=at)
        kept = db.exec_driver_sql("SELECT served_at FROM batch_shares ORDER BY owner").scalars().all()
        assert kept[0] == kept[1]
        assert [read.all(db, of=owner)[0].served_at for owner in ("o", "slow")] == [at, at]
        assert db.execute(select(table.c.served_at)).scalars().all() == [at, at]


def test_what_an_attempt_printed_is_on_the_disk_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, logs = JobId.parse("1.0"), LogFolder(directory=tmp_path)
    logs.append(job, 1, "stderr", offset=0, data=b"text")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    logs.sync(job, 1)
    (stream,) = tmp_path.rglob("0.1.stderr")
    assert synced == [stream.stat().st_ino]
