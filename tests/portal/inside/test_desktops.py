"""A desktop in a machine: begun with one click, its screen on a socket of its user's, and carried to the portal's page."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from machine_in_process import MachineInProcess
from portal_visitor import Browser
from ways_in import assert_soon, ended, heard, opened, path_of, ticket

from armillary.accounts.model import Role
from armillary.fleet.model import FleetServer
from armillary.portal.inside.service import Inside

SCREEN = Path(__file__).with_name("screen_in_process.py")

pytestmark = pytest.mark.usefixtures("machine")


def program(home: Path, name: str, text: str) -> None:
    """Put a program where the machine finds it."""
    file = home / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def screen(home: Path) -> dict[str, Any]:
    return json.loads((home / "screen.json").read_text())


def put_out(home: Path) -> None:
    """End the screen as a machine does that starts again: its socket's file stays."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(screen(home)["pid"], signal.SIGKILL)


@pytest.fixture
def windows(home: Path) -> Iterator[None]:
    """The machine has a screen without a monitor, and something that draws on it."""
    program(home, "Xvnc", f'exec {sys.executable} {SCREEN} "$@"')
    program(home, "openbox", 'echo "$DISPLAY" > drawn-on')
    program(home, "xterm", "exit 0")
    yield
    put_out(home)


def begun(visitor: Browser, server: FleetServer, word: str) -> str:
    """Start it as a person does, and return the page's part as soon as it has a word."""
    path = path_of(server, "desktop")
    visitor.post(f"{path}/start")
    end = time.monotonic() + 60
    while word not in (part := visitor.get(f"{path}/standing")):
        assert time.monotonic() < end, part
        time.sleep(0.05)
    return part


@pytest.mark.usefixtures("windows")
def test_one_click_has_a_desktop_whose_screen_is_on_the_portals_page(
    ada: Browser, server: FleetServer, machine: MachineInProcess, home: Path, inside: Inside
) -> None:
    assert " data-go>" in begun(ada, server, " data-go>")
    page = ada.get(f"{path_of(server, 'desktop')}/open")
    assert "inside/screen.js" in page
    with opened(ada, ticket(ada, server, "desktop")) as line:
        assert heard(line, b"\n") == b"RFB 003.008\n"
        line.send_bytes(b"rfb 003.008\n")
        assert heard(line, b"\n") == b"RFB 003.008\n"
        assert inside.sessions == 1
    assert_soon(lambda: inside.sessions == 0)
    assert set(machine.users) == {"debian"}
    assert_soon(lambda: (home / "drawn-on").exists() and bool((home / "drawn-on").read_text()))
    assert (home / "drawn-on").read_text().strip() == screen(home)["words"][0]


@pytest.mark.usefixtures("windows")
def test_its_screen_is_on_no_port_and_nobody_elses(ada: Browser, server: FleetServer, home: Path) -> None:
    begun(ada, server, " data-go>")
    words = screen(home)["words"]
    assert words[words.index("-rfbport") + 1] == "-1"
    assert words[words.index("-nolisten") + 1] == "tcp"
    socket = Path(words[words.index("-rfbunixpath") + 1])
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.usefixtures("windows")
def test_who_comes_again_finds_the_desktop_as_it_was_left(
    ada: Browser, server: FleetServer, home: Path
) -> None:
    begun(ada, server, " data-go>")
    before = screen(home)["pid"]
    begun(ada, server, " data-go>")
    assert screen(home)["pid"] == before


@pytest.mark.usefixtures("windows")
def test_a_desktop_that_is_gone_is_told_by_its_code_and_begins_anew(
    ada: Browser, server: FleetServer, home: Path
) -> None:
    begun(ada, server, " data-go>")
    before = screen(home)["pid"]
    put_out(home)
    with opened(ada, ticket(ada, server, "desktop")) as line:
        assert ended(line) == (4502, "workspace_gone")
    begun(ada, server, " data-go>")
    assert screen(home)["pid"] != before
    with opened(ada, ticket(ada, server, "desktop")) as line:
        assert heard(line, b"\n") == b"RFB 003.008\n"


def test_what_a_screen_says_that_does_not_start_is_on_the_page(
    ada: Browser, server: FleetServer, home: Path
) -> None:
    program(home, "Xvnc", "echo 'no <room> for a screen' >&2; exit 1")
    program(home, "openbox", "exit 0")
    part = begun(ada, server, "Try again")
    assert "no &lt;room&gt; for a screen" in part


@pytest.mark.usefixtures("windows")
def test_nothing_shows_a_screen_that_was_never_begun_and_readers_begin_none(
    ada: Browser, server: FleetServer, ben: Any, home: Path
) -> None:
    with opened(ada, ticket(ada, server, "desktop")) as line:
        assert ended(line)[0] == 4502
    ben(Role.READER)
    ada.sign_in("ben").post(f"{path_of(server, 'desktop')}/start", status=403)
    assert not (home / "screen.json").exists()
