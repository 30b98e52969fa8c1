"""The shell through the portal: as whom, in which machine, and what is left when it ends."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from a_server import a_server
from anyio.from_thread import BlockingPortal
from machine_in_process import MachineInProcess
from portal_visitor import Browser
from ways_in import assert_soon, ended, heard, opened, ticket

from armillary.accounts.certificates import Authority
from armillary.accounts.model import Project
from armillary.base.clock import SystemClock
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer, SshAddress
from armillary.fleet.service import FleetService
from armillary.portal.inside.authority import ShellAuthority
from armillary.portal.inside.service import Inside


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
