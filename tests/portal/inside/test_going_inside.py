"""Terminals through the portal: who gets in, by which ticket, for how long, and what is left when it ends."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from a_server import a_server
from anyio.from_thread import BlockingPortal
from machine_in_process import MachineInProcess
from portal_visitor import Browser
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from armillary.accounts.certificates import Authority
from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.clock import SystemClock
from armillary.batch.model import WorkerId
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import WORKER_MARK, FleetServer, SshAddress
from armillary.fleet.service import FleetService
from armillary.portal.inside.authority import ShellAuthority
from armillary.portal.inside.relay import Bounds
from armillary.portal.inside.service import Inside

HERE = {"origin": "http://localhost:8080"}


def path_of(server: FleetServer, kind: str) -> str:
    return f"/machines/east/{server.id}/inside/{kind}"


def ticket(visitor: Browser, server: FleetServer, kind: str = "serial") -> str:
    data = {"csrf": visitor.token()}
    reply = visitor.client.post(f"{path_of(server, kind)}/ticket", data=data)
    assert reply.status_code == 201, reply.text
    return reply.json()["socket"]


@contextmanager
def opened(
    visitor: Browser, address: str, headers: dict[str, str] | None = None
) -> Generator[WebSocketTestSession]:
    with visitor.client.websocket_connect(
        f"ws://localhost:8080{address}", headers=HERE if headers is None else headers
    ) as line:
        yield line


def heard(line: WebSocketTestSession, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        got += line.receive_bytes()
    return got


def ended(line: WebSocketTestSession) -> tuple[int, str]:
    """How the portal ends a line that nobody talks on."""
    while True:
        message = line.receive()
        if message["type"] == "websocket.close":
            return message["code"], message["reason"]


def refused(visitor: Browser, address: str, headers: dict[str, str] | None = None) -> bool:
    try:
        with opened(visitor, address, headers):
            return False
    except WebSocketDisconnect:
        return True


# who gets in


@pytest.mark.usefixtures("machine")
def test_a_ticket_opens_one_session_and_no_second_one(ada: Browser, server: FleetServer) -> None:
    address = ticket(ada, server)
    with opened(ada, address) as line:
        assert heard(line, b"login: ")
        assert refused(ada, address)
    assert refused(ada, address)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {}, {"origin": "http://localhost:9999"}, {"origin": "null"}],
)
def test_pages_of_other_sites_open_nothing(
    ada: Browser, server: FleetServer, headers: dict[str, str]
) -> None:
    assert refused(ada, ticket(ada, server), headers)


@pytest.mark.usefixtures("machine")
def test_without_a_ticket_or_with_one_that_somebody_made_up_nothing_opens(
    ada: Browser, server: FleetServer
) -> None:
    socket = f"{path_of(server, 'serial')}/socket"
    assert refused(ada, socket)
    assert refused(ada, f"{socket}?ticket=" + "A" * 43)


@pytest.mark.usefixtures("machine")
def test_a_ticket_for_one_way_or_one_machine_opens_no_other(
    ada: Browser, server: FleetServer, fleet: FleetService, clouds: list[FakeCloud], project: Project
) -> None:
    other = a_server(fleet, clouds, project)
    assert refused(ada, ticket(ada, server, "serial").replace("/serial/", "/screen/"))
    assert refused(ada, ticket(ada, server).replace(server.id, other.id))


@pytest.mark.usefixtures("machine")
def test_another_persons_ticket_opens_nothing(
    ada: Browser, server: FleetServer, ben: Callable[[Role], None]
) -> None:
    address = ticket(ada, server)
    ben(Role.MEMBER)
    assert refused(ada.sign_in("ben"), address)


@pytest.mark.usefixtures("machine")
def test_readers_and_strangers_get_no_ticket(
    ada: Browser, server: FleetServer, ben: Callable[[Role], None]
) -> None:
    ben(Role.READER)
    reader = ada.sign_in("ben")
    said = reader.post(f"{path_of(server, 'shell')}/ticket", status=403)
    assert "reader" in said
    ada.client.cookies.clear()
    reply = ada.client.post(
        f"{path_of(server, 'shell')}/ticket", data={"csrf": ada.token()}, follow_redirects=False
    )
    assert reply.status_code == 303
    assert "/sign-in" in reply.headers["location"]


def test_a_ticket_needs_the_token_of_a_form(ada: Browser, server: FleetServer) -> None:
    reply = ada.client.post(f"{path_of(server, 'shell')}/ticket", data={})
    assert reply.status_code == 403


def test_a_machine_of_another_project_is_not_there(
    ada: Browser, clouds: list[FakeCloud], fleet: FleetService, other_project: Project
) -> None:
    foreign = a_server(fleet, clouds, other_project)
    for kind in ("shell", "serial", "screen"):
        ada.post(f"{path_of(foreign, kind)}/ticket", status=404)
    ada.post(f"{path_of(foreign, 'jupyter')}/start", status=404)


def test_nobody_goes_inside_of_a_worker(
    ada: Browser, clouds: list[FakeCloud], fleet: FleetService, project: Project
) -> None:
    worker = a_server(fleet, clouds, project, **{WORKER_MARK: str(WorkerId("w1"))})
    said = ada.client.post(f"{path_of(worker, 'shell')}/ticket", data={"csrf": ada.token()})
    assert said.status_code == 409
    assert "worker" in said.json()["message"]
    assert "worker" in ada.get(f"/machines/east/{worker.id}/inside/screen/elsewhere", status=409)


def test_terminals_are_pages_with_a_policy_that_lets_no_foreign_script_in(
    ada: Browser, server: FleetServer
) -> None:
    for kind in ("shell", "serial", "screen"):
        reply = ada.client.get(path_of(server, kind))
        assert reply.status_code == 200
        policy = reply.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
    assert ada.client.get("/static/terminals/xterm/xterm.mjs").status_code == 200
    assert ada.client.get("/static/terminals/novnc/core/rfb.js").status_code == 200


# the serial line


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
            heard(line, b"login: ")
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


# the shell


def test_the_shell_signs_in_as_the_images_user_and_knows_the_windows_size(
    ada: Browser, server: FleetServer, machine: MachineInProcess
) -> None:
    with opened(ada, ticket(ada, server, "shell")) as line:
        assert heard(line, b"welcome")
        line.send_text('{"rows": 40, "cols": 100}')
        assert heard(line, b"100 columns, 40 rows")
        line.send_bytes(b"whoami\r")
        assert heard(line, b"WHOAMI")
        line.send_bytes(b"exit\r")
        assert ended(line) == (1000, "")
    assert machine.users == ["debian"]


def test_closing_the_page_ends_the_shell_in_the_machine(
    ada: Browser, server: FleetServer, machine: MachineInProcess, inside: Inside
) -> None:
    with opened(ada, ticket(ada, server, "shell")) as line:
        heard(line, b"welcome")
        assert (machine.shells, inside.sessions) == (1, 1)
    assert inside.sessions == 0
    assert_soon(lambda: machine.shells == 0)


def test_a_machine_that_dies_in_mid_session_ends_it(
    ada: Browser, server: FleetServer, machine: MachineInProcess, loop: BlockingPortal, inside: Inside
) -> None:
    with opened(ada, ticket(ada, server, "shell")) as line:
        heard(line, b"welcome")
        loop.call(machine.hang_up)
        assert ended(line)[0] == 1000
    assert inside.sessions == 0


def test_a_machine_whose_ssh_is_shut_is_told_by_its_code(
    ada: Browser, server: FleetServer, clouds: list[FakeCloud]
) -> None:
    clouds[0].ssh_at = SshAddress(host="127.0.0.1", port=9)
    with opened(ada, ticket(ada, server, "shell")) as line:
        assert ended(line) == (4502, "ssh_unreachable")


def test_a_machine_that_took_our_line_out_lets_nobody_in(
    ada: Browser, server: FleetServer, clouds: list[FakeCloud], loop: BlockingPortal, tmp_path: Path
) -> None:
    shut = MachineInProcess(tmp_path)
    nobody = f'cert-authority,principals="other" {shut.key.export_public_key().decode()}'
    clouds[0].ssh_at = SshAddress(host="127.0.0.1", port=loop.call(shut.start, nobody))
    with ExitStack() as undo:
        undo.callback(loop.call, shut.stop)
        with opened(ada, ticket(ada, server, "shell")) as line:
            assert ended(line) == (4502, "ssh_refused")


def test_a_certificate_for_one_machine_does_not_open_another(
    ada: Browser, server: FleetServer, machine: MachineInProcess, fleet: FleetService,
    clouds: list[FakeCloud], project: Project,
) -> None:  # fmt: skip
    other = a_server(fleet, clouds, project)  # the same sshd answers at its address
    with opened(ada, ticket(ada, other, "shell")) as line:
        assert ended(line) == (4502, "ssh_refused")


def test_a_machine_that_shows_another_host_key_than_before_is_not_talked_to(
    ada: Browser, server: FleetServer, machine: MachineInProcess, loop: BlockingPortal,
    clouds: list[FakeCloud], clock: SystemClock, tmp_path: Path,
) -> None:  # fmt: skip
    with opened(ada, ticket(ada, server, "shell")) as line:
        heard(line, b"welcome")
    impostor = MachineInProcess(tmp_path)
    authority = ShellAuthority(key=Authority(tmp_path / "authority", clock).ssh_key(), clock=clock)
    line_of_ours = f'cert-authority,principals="{server.id}" {authority.public_line}'
    port = loop.call(impostor.start, line_of_ours)
    clouds[0].ssh_at = SshAddress(host="127.0.0.1", port=port)
    with ExitStack() as undo:
        undo.callback(loop.call, impostor.stop)
        with opened(ada, ticket(ada, server, "shell")) as line:
            assert ended(line) == (4502, "host_key_changed")
        # a machine that was rebuilt writes its new keys on its console, which the cloud hands over
        told = impostor.key.export_public_key().decode()
        clouds[0].write_console(
            server.id, f"-----BEGIN SSH HOST KEY KEYS-----\n{told}-----END SSH HOST KEY KEYS-----\n"
        )
        with opened(ada, ticket(ada, server, "shell")) as line:
            heard(line, b"welcome")


def test_the_first_connection_already_refuses_who_has_not_the_key_of_the_console(
    ada: Browser, server: FleetServer, machine: MachineInProcess, clouds: list[FakeCloud]
) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p root@vm"
    clouds[0].write_console(
        server.id, f"-----BEGIN SSH HOST KEY KEYS-----\n{other}\n-----END SSH HOST KEY KEYS-----\n"
    )
    with opened(ada, ticket(ada, server, "shell")) as line:
        assert ended(line) == (4502, "host_key_changed")


def assert_soon(holds: Callable[[], bool]) -> None:
    """For what another loop does in its own time."""

    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
