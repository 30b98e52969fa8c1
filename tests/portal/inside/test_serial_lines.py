"""The serial line through the portal: what it carries, for how long, and what is left when it ends."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import pytest
from machine_in_process import MachineInProcess
from portal_visitor import Browser
from ways_in import ended, heard, opened, ticket

from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer, SshAddress
from armillary.portal.inside.relay import Bounds
from armillary.portal.inside.service import Inside


def test_the_serial_line_carries_what_is_typed_and_what_is_answered(
    ada: Browser, server: FleetServer, machine: MachineInProcess, inside: Inside
) -> None:
    with opened(ada, ticket(ada, server)) as line:
        assert heard(line, b"login: ") == b"login: "
        line.send_bytes(b"ada\r")
        assert heard(line, b"ADA\r")
        assert inside.sessions == 1
    assert machine.said == b"ada\r"


@pytest.mark.usefixtures("machine")
def test_a_thousand_frames_in_a_row_all_arrive(
    ada: Browser, server: FleetServer, machine: MachineInProcess
) -> None:
    with opened(ada, ticket(ada, server)) as line:
        for number in range(1000):
            line.send_bytes(b"%03d," % number)
        assert heard(line, b"999,").count(b",") == 1000
    assert machine.said == b"".join(b"%03d," % number for number in range(1000))


@pytest.mark.usefixtures("machine")
def test_a_frame_that_nobody_types_ends_the_session(
    ada: Browser, server: FleetServer, inside: Inside
) -> None:
    with opened(ada, ticket(ada, server)) as line:
        line.send_bytes(bytes(300_000))
        assert ended(line) == (1009, "frame_too_large")
    assert inside.sessions == 0


@pytest.mark.usefixtures("machine")
def test_words_that_are_no_window_size_change_nothing(ada: Browser, server: FleetServer) -> None:
    with opened(ada, ticket(ada, server)) as line:
        heard(line, b"login: ")
        for words in ("", "[]", '{"rows": "many"}', '{"rows": 0, "cols": 99999}', "{" * 500, "null"):
            line.send_text(words)
        line.send_bytes(b"still here")
        assert heard(line, b"STILL HERE")


@pytest.mark.usefixtures("machine")
def test_signing_out_ends_what_is_open(ada: Browser, server: FleetServer) -> None:
    with opened(ada, ticket(ada, server)) as line:
        heard(line, b"login: ")
        ada.post("/sign-out")
        assert ended(line) == (4401, "token_revoked")


@pytest.mark.usefixtures("machine")
def test_who_is_made_a_reader_is_put_out(
    ada: Browser,
    server: FleetServer,
    accounts: AccountsService,
    project: Project,
    ben: Callable[[Role], None],
) -> None:
    ben(Role.MEMBER)
    visitor = ada.sign_in("ben")
    with opened(visitor, ticket(visitor, server)) as line:
        heard(line, b"login: ")
        ben(Role.READER)
        assert ended(line) == (4401, "members_only")


@pytest.mark.usefixtures("machine")
class TestWhereNobodyMayBeIdleForLong:
    @pytest.fixture
    def bounds(self) -> Bounds:
        return Bounds(look=0.05, idle=0.2)

    def test_who_types_nothing_is_put_out(self, ada: Browser, server: FleetServer) -> None:
        with opened(ada, ticket(ada, server)) as line:
            assert ended(line) == (4408, "idle")


@pytest.mark.usefixtures("machine")
class TestWhereOnlyOneMayBeOpen:
    @pytest.fixture
    def bounds(self) -> Bounds:
        return Bounds(look=0.1, most_of_one=1)

    def test_a_second_session_is_told_to_wait(self, ada: Browser, server: FleetServer) -> None:
        first, second = ticket(ada, server), ticket(ada, server)
        with opened(ada, first) as line, opened(ada, second) as late:
            heard(line, b"login: ")
            assert ended(late) == (1013, "too_many_sessions")


class TestWhereMachinesAreSilent:
    @pytest.fixture
    def bounds(self) -> Bounds:
        return Bounds(reach=0.3)

    def test_nobody_waits_for_ever(
        self, ada: Browser, server: FleetServer, clouds: list[FakeCloud], inside: Inside
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            clouds[0].ssh_at = SshAddress(host="127.0.0.1", port=silent.getsockname()[1])
            with opened(ada, ticket(ada, server, "shell")) as line:
                assert ended(line) == (4502, "ssh_unreachable")
        assert inside.sessions == 0


def test_a_console_that_does_not_answer_is_told_by_its_code(
    ada: Browser, server: FleetServer, clouds: list[FakeCloud], inside: Inside
) -> None:
    clouds[0].consoles_at["serial"] = "ws://127.0.0.1:9/serial"
    with opened(ada, ticket(ada, server)) as line:
        assert ended(line) == (4502, "console_unreachable")
    assert inside.sessions == 0


def test_who_went_inside_is_written_down(
    ada: Browser, server: FleetServer, machine: MachineInProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "armillary.audit"), opened(ada, ticket(ada, server)) as line:
        heard(line, b"login: ")
    told = [record for record in caplog.records if record.name == "armillary.audit"]
    said = [record.getMessage() for record in told if record.getMessage().startswith("inside.")]
    assert said[0] == f"inside.serial.opened east/{server.id}"
    assert said[-1] == f"inside.serial.ended east/{server.id}"
