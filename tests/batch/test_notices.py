"""Who is told that a submit is over: by a real mail server and a real HTTP server, at least once, each with its id."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from batch_world import World

from armillary.accounts.certificates import Authority
from armillary.base.clock import VirtualClock
from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.base.outward import Outward
from armillary.batch.core.states import Result
from armillary.batch.model import Selection, Wishes
from armillary.batch.notices.model import Happened, Wanted, wants
from armillary.notices.mail import Mail, MailServer, compose
from armillary.notices.model import Channel, Delivery, NoticeKind
from armillary.notices.webhook import Webhook, check_url, key_of, signature
from armillary.portal.letters import Letters as Wording
from outside_engines import ON_BOTH
from post_office import Letters, PostOffice, port_of

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


@pytest.fixture
def post_office() -> Iterator[tuple[Letters, Controller]]:
    letters = Letters()
    controller = PostOffice(letters, hostname="127.0.0.1", port=0)
    controller.start()
    yield letters, controller
    controller.stop()


def webhook(world: World, *, allowed: tuple[str, ...] = ("127.0.0.1",)) -> Webhook:
    return Webhook(way=Outward(allowed=allowed, setting="there"), secret=SECRET, clock=world.clock)


def run_all(world: World, *codes: int, name: str = "w1") -> None:
    session = world.worker(name)
    for code in codes:
        world.leases.finish(session, world.claim_one(session), Result(exit_code=code), usage={}, brought=[])


# by a POST


def test_the_end_of_a_submit_is_posted_once_and_signed(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(3, wishes=Wishes(notify_url=hook.url))
    run_all(world, 0, 7)
    world.notices.tick()
    assert hook.posts == []
    run_all_left(world)
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
    run_all(world, *[0] * 5, *[7] * 5)

    def told() -> list[tuple[NoticeKind, str, int]]:
        notes = world.telling.notes(world.ada.person.id)
        return [(note.kind, note.facts["event"], note.facts["failed"]) for note in notes]

    world.notices.tick()
    assert told() == [], "half of them is not most of them"
    run_all(world, 7, name="w2")
    world.notices.tick()
    assert told() == [(NoticeKind.BATCH_FAILING, "failing", 6)]
    run_all(world, 7, name="w3")
    world.restart()
    world.notices.tick()
    assert len(told()) == 1, "once for ever"
    run_all(world, *[0] * 8, name="w4")
    world.notices.tick()
    assert (NoticeKind.BATCH_OVER, "over", 7) in told()


def run_all_left(world: World) -> None:
    session = world.worker("w2")
    world.leases.finish(session, world.claim_one(session), Result(exit_code=0), usage={}, brought=[])


@ON_BOTH
def test_an_address_that_fails_is_tried_again_later_with_the_same_id(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(wishes=Wishes(notify_url=hook.url))
    hook.answers += [503, 500]
    run_all(world, 0)
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
    run_all(world, 0)

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
    run_all(world, 0)
    world.notices.tick()
    assert hook.posts == []
    (row,) = world.outbox.about("cluster/1")
    assert row.state == "given_up"
    assert "does not go to 127.0.0.1" in row.said


def test_after_a_while_nobody_tries_any_more(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(wishes=Wishes(notify_url=hook.url))
    hook.answers += [500] * 100
    run_all(world, 0)
    for _ in range(100):
        world.notices.tick()
        world.later(3600)
    assert len(hook.posts) == 15
    assert world.outbox.about("cluster/1")[0].state == "given_up"


def test_a_notice_that_breaks_whoever_sends_it_is_given_up_in_the_end(world: World, hook: Heard) -> None:
    world.submit(wishes=Wishes(notify_url=hook.url))
    run_all(world, 0)
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
    run_all(world, 0)
    world.notices.tick()
    world.later(31 * 86_400)
    world.notices.tick()
    assert world.outbox.about("cluster/1") == []


@ON_BOTH
def test_a_standstill_is_told_and_then_the_end(world: World, hook: Heard) -> None:
    world.senders[Channel.URL] = webhook(world)
    world.submit(2, wishes=Wishes(notify_url=hook.url))
    run_all(world, 0)
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
    run_all(world, 1)
    world.notices.tick()
    world.queue.retry(Selection(cluster=CLUSTER))
    world.notices.tick()
    run_all_left(world)
    world.notices.tick()
    assert [json.loads(body)["failed"] for _, body in hook.posts] == [1, 0]


@pytest.mark.parametrize(
    "url", ["ftp://x.org/", "http://me:secret@x.org/", "x.org", "http:///x", "http://x.org:0/"]
)
def test_what_is_no_address_is_refused_with_the_submit(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url)
    assert refused.value.code == "bad_notify_url"


# by mail


@pytest.mark.parametrize(
    ("wanted", "over_well", "over_badly", "held"),
    [
        (Wanted.NEVER, False, False, False),
        (Wanted.COMPLETE, True, True, False),
        (Wanted.ERROR, False, True, True),
        (Wanted.ALWAYS, True, True, True),
    ],
)
def test_mail_comes_as_notification_says(
    wanted: Wanted, over_well: bool, over_badly: bool, held: bool
) -> None:
    assert wants(wanted, Happened.OVER, failed=0) is over_well
    assert wants(wanted, Happened.OVER, failed=2) is over_badly
    assert wants(wanted, Happened.HELD, failed=2) is held


def test_the_owner_gets_a_letter(world: World, post_office: tuple[Letters, Controller]) -> None:
    letters, controller = post_office
    server = MailServer(host="127.0.0.1", port=port_of(controller), sender="batch@cloud.example.org")
    world.senders[Channel.MAIL] = Mail(server=server, letter=Wording())
    world.submit(2, wishes=Wishes(notification="COMPLETE", notify_user="somebody@else.example.org"))
    run_all(world, 0, 3)
    world.notices.tick()
    world.notices.tick()
    ((to, message),) = letters.kept
    assert to == ["ada@example.org"]
    assert message["Subject"] == "cluster 1: over, 1 of 2 jobs did not do well"
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert b"1 job: exit code 3" in text
    assert b"armillary fetch 1" in text
    assert message["Message-ID"] == f"<{world.outbox.about('cluster/1')[0].id}@cloud.example.org>"


def test_a_busy_mail_server_gets_the_same_letter_later(
    world: World, post_office: tuple[Letters, Controller]
) -> None:
    letters, controller = post_office
    server = MailServer(host="127.0.0.1", port=port_of(controller), sender="batch@cloud.example.org")
    world.senders[Channel.MAIL] = Mail(server=server, letter=Wording())
    world.submit(wishes=Wishes(notification="ALWAYS"))
    run_all(world, 0)
    letters.busy = True
    world.notices.tick()
    letters.busy = False
    world.later(31)
    world.notices.tick()
    assert len(letters.kept) == 1


def test_mail_goes_over_tls_with_a_password(tmp_path: Any, world: World) -> None:
    authority = Authority(tmp_path, VirtualClock())
    cert, key = authority.server_certificate(["127.0.0.1", "localhost"])
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(cert, key)
    letters = Letters()

    def judge(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"us", b"word")
        return AuthResult(success=right)

    controller = PostOffice(
        letters,
        hostname="127.0.0.1",
        port=0,
        tls_context=ours,
        require_starttls=True,
        authenticator=judge,
        auth_required=True,
    )
    controller.start()
    try:
        trusted = ssl.create_default_context(cafile=str(authority.ca_path))
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
        server = MailServer(
            host="localhost",
            port=port_of(controller),
            sender="batch@cloud.example.org",
            starttls=True,
            user="us",
            password=lambda: "word",
            tls=trusted,
        )
        body = world_body()
        Mail(server=server, letter=Wording())(
            Delivery(
                id="1", kind="batch.over", channel=Channel.MAIL, target="ada@example.org", tries=1, body=body
            )
        )
    finally:
        controller.stop()
    assert len(letters.kept) == 1


def world_body(**more: Any) -> dict[str, Any]:
    return {
        "event": "over",
        "cluster": 7,
        "batch_name": None,
        "project": "galaxies",
        "owner": "ada",
        "image": {"name": "snap", "sha512": "0"},
        "flavor": "small",
        "submitted_at": "2026-01-01T00:00:00Z",
        "jobs": 2,
        "states": {"completed": 2},
        "succeeded": 2,
        "failed": 0,
        "causes": [],
        **more,
    }


def test_a_name_with_line_breaks_adds_no_headers_to_a_letter() -> None:
    delivery = Delivery(
        id="1",
        kind="batch.over",
        channel=Channel.MAIL,
        target="a@b.c",
        tries=1,
        body=world_body(batch_name="a\r\nBcc: all@x.org"),
    )
    letter = compose(delivery, Wording()(delivery), sender="us@x.org")
    assert letter["Bcc"] is None
    assert "Bcc" in letter["Subject"]


def test_who_submits_hears_what_will_not_happen(world: World) -> None:
    asked = Wishes(notification="COMPLETE", notify_user="eve@example.org")
    assert world.notices.warnings(Wishes(), world.ada.person) == []
    assert "sends no mail" in world.notices.warnings(asked, world.ada.person)[0]
    world.senders[Channel.MAIL] = lambda _delivery: None
    assert "mail goes to ada@example.org" in world.notices.warnings(asked, world.ada.person)[0]


def test_others_projects_notices_are_not_there(world: World) -> None:
    world.submit(wishes=Wishes(notify_url="http://x.org/"))
    world.people.add("eve")
    answer = world.client().get("/api/v1/batch/clusters/1/notices", headers={"Authorization": "Bearer eve"})
    assert answer.status_code == 404
