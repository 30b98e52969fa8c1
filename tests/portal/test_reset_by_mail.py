"""A new password, asked for on the page, by a letter through a real mail server."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from portal_visitor import Browser

from armillary.accounts.certificates import Authority
from armillary.accounts.model import Project
from armillary.accounts.service import AccountsService
from armillary.app.database import make_engine
from armillary.base.clock import SystemClock
from armillary.notices.mail import Mail, MailServer
from armillary.notices.model import Channel
from armillary.notices.outbox import Outbox
from armillary.notices.sending import Sending
from armillary.portal import letters
from post_office import Letters, PostOffice, port_of

NEW = "another horse battery"


@pytest.fixture
def authority(tmp_path: Path, clock: SystemClock) -> Authority:
    return Authority(tmp_path / "authority", clock)


@pytest.fixture
def post_office(authority: Authority) -> Iterator[tuple[Letters, PostOffice]]:
    """A mail server that takes nothing without TLS and the right password."""
    cert, key = authority.server_certificate(["127.0.0.1", "localhost"])
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(cert, key)

    def judge(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"us", b"word")
        return AuthResult(success=right)

    kept = Letters()
    office = PostOffice(
        kept,
        hostname="127.0.0.1",
        port=0,
        tls_context=ours,
        require_starttls=True,
        authenticator=judge,
        auth_required=True,
    )
    office.start()
    yield kept, office
    office.stop()


def test_a_forgotten_password_is_set_anew_by_the_link_in_a_letter(
    stranger: Browser,
    project: Project,
    accounts: AccountsService,
    authority: Authority,
    clock: SystemClock,
    post_office: tuple[Letters, PostOffice],
    tmp_path: Path,
) -> None:
    accounts.update_person(accounts.person_named("ada").id, locale="fr")
    stranger.post("/reset", {"name": "nobody"})
    stranger.post("/reset", {"name": "ada"})
    kept, office = post_office
    trusted = ssl.create_default_context(cafile=str(authority.ca_path))
    trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
    server = MailServer(
        host="localhost",
        port=port_of(office),
        sender="portal@cloud.example.org",
        starttls=True,
        user="us",
        password=lambda: "word",
        tls=trusted,
    )
    mail = Mail(server=server, letter=letters.Letters(url="https://cloud.example.org"))
    database = make_engine(f"sqlite:///{tmp_path}/notices.db", durable=False)
    outbox = Outbox(database=database)
    sending = Sending(outbox=outbox, clock=clock, senders={Channel.MAIL: mail}, run=lambda work: work())
    sending.tick()
    sending.tick()
    ((to, message),) = kept.kept
    assert to == ["ada@example.org"]
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert "mot de passe" in text.decode()
    link = re.search(r"https://cloud\.example\.org(/reset/[\w-]+)", text.decode())
    assert link
    stranger.post(link.group(1), {"password": NEW, "password_again": NEW})
    stranger.post(link.group(1), {"password": NEW, "password_again": NEW}, status=404)
    assert accounts.authenticate("ada", NEW).user_name == "ada"
