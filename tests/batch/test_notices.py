"""Who is told that a submit is over: by a real HTTP server, at least once, each with its id."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from batch_world import World

from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.base.outward import Outward
from armillary.batch.model import Selection, Wishes
from armillary.notices.model import Channel, Delivery, NoticeKind
from armillary.notices.webhook import Webhook, check_url, key_of, signature
from outside_engines import ON_BOTH

CLUSTER = ClusterId(1)
SECRET = b"secret of the platform"


@dataclass
class Heard:
    """What a server was told. `answers` are the statuses to give, 200 when there are none."""

    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/done?token=1"

    @property
    def events(self) -> list[str]:
        return [json.loads(body)["event"] for _, body in self.posts]


@pytest.fixture
def hook() -> Iterator[Heard]:
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.posts.append(({"path": self.path, **dict(self.headers)}, body))
            self.send_response(heard.answers.pop(0) if heard.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()


def webhook(world: World, *, allowed: tuple[str, ...] = ("127.0.0.1",)) -> Webhook:
    return Webhook(way=Outward(allowed=allowed, setting="there"), secret=SECRET, clock=world.clock)


def test_the_end_of_a_submit_is_posted_once_and_signed(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(3, wishes=Wishes(notify_url=hook.url))
    world.run_all(0, 7)
    world.notices.tick()
    assert hook.posts == []
    world.run_all(0, name="w2")
    world.notices.tick()
    world.notices.tick()
    ((headers, body),) = hook.posts
    told = json.loads(body)
    assert (told["event"], told["cluster"], told["jobs"]) == ("over", 1, 3)
    assert (told["succeeded"], told["failed"], told["states"]) == (2, 1, {"completed": 3})
    assert told["causes"] == [{"cause": "exit code 7", "jobs": 1}]
    assert told["id"] == headers["X-Armillary-Delivery"]
    assert headers["path"] == "/done?token=1"
    key = world.client().get("/api/v1/batch/notify-key").json()["key"]
    assert key == key_of(SECRET, "ada")
    assert headers["X-Armillary-Signature"] == signature(key, headers["X-Armillary-Timestamp"], body)


def test_a_batch_that_mostly_fails_is_told_while_it_runs_and_once(world: World) -> None:
    world.submit(20)
    world.run_all(*[0] * 5, *[7] * 5)

    def told() -> list[tuple[NoticeKind, str, int]]:
        notes = world.telling.notes(world.ada.person.id)
        return [(note.kind, note.facts["event"], note.facts["failed"]) for note in notes]

    world.notices.tick()
    assert told() == [], "half of them is not most of them"
    world.run_all(7, name="w2")
    world.notices.tick()
    assert told() == [(NoticeKind.BATCH_FAILING, "failing", 6)]
    world.run_all(7, name="w3")
    world.restart()
    world.notices.tick()
    assert len(told()) == 1, "once for ever"
    world.run_all(*[0] * 8, name="w4")
    world.notices.tick()
    assert (NoticeKind.BATCH_OVER, "over", 7) in told()


@ON_BOTH
def test_an_address_that_fails_is_tried_again_later_with_the_same_id(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(wishes=Wishes(notify_url=hook.url))
    hook.answers += [503, 500]
    world.run_all(0)
    for pause in (0, 29, 1, 59, 1, 3600):
        world.later(pause)
        world.restart()  # as after kill -9
        world.notices.tick()
    assert len(hook.posts) == 3
    assert len({headers["X-Armillary-Delivery"] for headers, _ in hook.posts}) == 1
    (row,) = world.client().get("/api/v1/batch/clusters/1/notices").json()["notices"]
    assert (row["state"], row["tries"], row["event"]) == ("sent", 3, "over")


def test_a_sender_that_is_killed_in_the_middle_is_followed_by_another(world: World, hook: Heard) -> None:
    world.submit(wishes=Wishes(notify_url=hook.url))
    world.run_all(0)

    def killed(_delivery: Delivery) -> None:
        raise KeyboardInterrupt

    world.senders[Channel.URL] = killed
    with pytest.raises(KeyboardInterrupt):
        world.notices.tick()
    world.senders[Channel.URL] = webhook(world)
    world.restart()
    world.notices.tick()
    assert hook.posts == [], "whoever took it may be at it still"
    world.later(301)
    world.notices.tick()
    assert hook.events == ["over"]


def test_we_do_not_post_into_our_own_house(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world, allowed=())
    world.submit(wishes=Wishes(notify_url=hook.url))
    world.run_all(0)
    world.notices.tick()
    assert hook.posts == []
    (row,) = world.outbox.about("cluster/1")
    assert row.state == "given_up"
    assert "does not go to 127.0.0.1" in row.said


def test_after_a_while_nobody_tries_any_more(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(wishes=Wishes(notify_url=hook.url))
    hook.answers += [500] * 100
    world.run_all(0)
    for _ in range(100):
        world.notices.tick()
        world.later(3600)
    assert len(hook.posts) == 15
    assert world.outbox.about("cluster/1")[0].state == "given_up"


def test_a_notice_that_breaks_whoever_sends_it_is_given_up_in_the_end(world: World, hook: Heard) -> None:
    world.submit(wishes=Wishes(notify_url=hook.url))
    world.run_all(0)
    tries: list[int] = []

    def broken(delivery: Delivery) -> None:
        tries.append(delivery.tries)
        raise KeyError("owner")

    world.senders[Channel.URL] = broken
    for _ in range(30):
        with contextlib.suppress(KeyError):
            world.notices.tick()
        world.later(301)
    assert tries == list(range(1, 16))
    assert world.outbox.about("cluster/1")[0].state == "given_up"


def test_old_notices_are_forgotten(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(wishes=Wishes(notify_url=hook.url))
    world.run_all(0)
    world.notices.tick()
    world.later(31 * 86_400)
    world.notices.tick()
    assert world.outbox.about("cluster/1") == []


@ON_BOTH
def test_a_standstill_is_told_and_then_the_end(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(2, wishes=Wishes(notify_url=hook.url))
    world.run_all(0)
    world.queue.hold(Selection(cluster=CLUSTER), reason="let me look")
    world.notices.tick()
    world.notices.tick()
    world.queue.release(Selection(cluster=CLUSTER))
    world.notices.tick()
    world.queue.hold(Selection(cluster=CLUSTER), reason="once more")
    world.notices.tick()
    world.queue.remove(Selection(cluster=CLUSTER), reason="enough")
    world.notices.tick()
    assert hook.events == ["held", "held", "over"]


def test_a_retry_is_told_of_too(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(wishes=Wishes(notify_url=hook.url))
    world.run_all(1)
    world.notices.tick()
    world.queue.retry(Selection(cluster=CLUSTER))
    world.notices.tick()
    world.run_all(0, name="w2")
    world.notices.tick()
    assert [json.loads(body)["failed"] for _, body in hook.posts] == [1, 0]


@pytest.mark.parametrize(
    "url", ["ftp://x.org/", "http://me:secret@x.org/", "x.org", "http:///x", "http://x.org:0/"]
)
def test_what_is_no_address_is_refused_with_the_submit(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url)
    assert refused.value.code == "bad_notify_url"


def test_others_projects_notices_are_not_there(world: World) -> None:
    world.submit(wishes=Wishes(notify_url="http://x.org/"))
    world.people.add("eve")
    answer = world.client().get("/api/v1/batch/clusters/1/notices", headers={"Authorization": "Bearer eve"})
    assert answer.status_code == 404
