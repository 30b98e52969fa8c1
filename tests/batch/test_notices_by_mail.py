"""Letters that a submit is over: by a real mail server, to its owner alone."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from batch_world import World

from armillary.accounts.certificates import Authority
from armillary.base.clock import VirtualClock
from armillary.batch.model import Wishes
from armillary.batch.notices.model import Happened, Wanted, wants
from armillary.notices.mail import Mail, MailServer, compose
from armillary.notices.model import Channel, Delivery
from armillary.portal.letters import Letters as Wording
from post_office import Letters, PostOffice, port_of


@pytest.fixture
def post_office() -> Iterator[tuple[Letters, Controller]]:
    letters = Letters()
    controller = PostOffice(letters, hostname="127.0.0.1", port=0)
    controller.start()
    yield letters, controller
    controller.stop()


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
    world.run_all(0, 3)
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
    world.run_all(0)
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
