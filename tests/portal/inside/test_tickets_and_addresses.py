"""Tickets end by themselves; addresses of consoles are found in what clouds say; host keys in what machines do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from portal_visitor import ALLOCATION

from armillary.accounts.model import Project
from armillary.base.clock import VirtualClock
from armillary.base.errors import Forbidden, Unavailable
from armillary.base.ids import CloudName, PersonId, ProjectId, ServerId
from armillary.portal.inside.cloud_console import socket_address
from armillary.portal.inside.host_keys import told_on_console
from armillary.portal.inside.tickets import LIFETIME, MOST_OF_ONE, Kind, Pass, Place, Tickets

PROJECT = Project(
    id=ProjectId("p"), name="galaxies", description="", allocation=ALLOCATION, enabled=True,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip
PASS = Pass(
    person=PersonId("ada"),
    user_name="ada",
    session="secret of the session",
    place=Place(project=PROJECT, cloud=CloudName("east"), server_id=ServerId("s")),
    kind=Kind.SHELL,
)


def anything(_what: Pass) -> bool:
    return True


def test_a_ticket_is_good_for_thirty_seconds() -> None:
    clock = VirtualClock()
    tickets = Tickets(clock=clock)
    kept, late = tickets.issue(PASS), tickets.issue(PASS)
    clock.advance(LIFETIME - timedelta(seconds=1))
    assert tickets.take(kept, anything) == PASS
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Forbidden):
        tickets.take(late, anything)


def test_a_ticket_that_was_shown_at_the_wrong_door_is_spent() -> None:
    tickets = Tickets(clock=VirtualClock())
    secret = tickets.issue(PASS)
    with pytest.raises(Forbidden):
        tickets.take(secret, lambda _what: False)
    with pytest.raises(Forbidden):
        tickets.take(secret, anything)


def test_one_person_cannot_take_all_tickets() -> None:
    clock = VirtualClock()
    tickets = Tickets(clock=clock)
    for _ in range(MOST_OF_ONE):
        tickets.issue(PASS)
    with pytest.raises(Unavailable):
        tickets.issue(PASS)
    assert tickets.issue(replace(PASS, person=PersonId("ben")))
    clock.advance(LIFETIME)
    assert tickets.issue(PASS)


def test_what_is_printed_of_a_pass_does_not_give_the_session_away() -> None:
    assert "secret" not in repr(PASS)


@pytest.mark.parametrize(
    ("address", "socket"),
    [
        ("ws://cloud:6083/?token=t", "ws://cloud:6083/?token=t"),
        ("https://cloud:6080/vnc_lite.html?path=%3Ftoken%3Dt", "wss://cloud:6080/?token=t"),
        ("http://cloud/console/vnc_lite.html?path=console/websockify%3Ftoken%3Dt", "ws://cloud/console/websockify?token=t"),
        ("http://cloud:6080/vnc_auto.html?token=t", "ws://cloud:6080/websockify?token=t"),
        ("http://cloud:6080/vnc_auto.html?path=//evil.example/x", "ws://cloud:6080/evil.example/x"),
        ("http://cloud/spice_auto.html", None),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_websocket_of_a_console_is_found_in_what_nova_says(address: str, socket: str | None) -> None:
    assert socket_address(address) == socket


def test_host_keys_are_those_of_the_last_block_on_the_console() -> None:
    block = "-----BEGIN SSH HOST KEY KEYS-----\n{}\n-----END SSH HOST KEY KEYS-----\n"
    log = (
        "boot\n"
        + block.format("ssh-ed25519 AAAAold root@vm")
        + "[   41.2] cloud-init[5]: "
        + block.format("ecdsa-sha2-nistp256 AAAAE2VjZHNh= root@vm\nssh-ed25519 AAAAnew root@vm")
    )
    assert told_on_console(log) == ["ecdsa-sha2-nistp256 AAAAE2VjZHNh=", "ssh-ed25519 AAAAnew"]
    assert told_on_console("nothing of that kind") == []
