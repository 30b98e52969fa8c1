"""What the stock clients say and do when something is wrong: no room, broken connections, two writers."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from space_clients import Space, Terminal
from warm_client import run_executable

from armillary.base.units import GiB

pytestmark = pytest.mark.interop


def test_without_room_new_bytes_are_refused_with_figures_and_all_else_goes_on(
    terminal: Terminal, space: Space, face: str
) -> None:
    carl = space.who("carl").person
    space.service.ensure_home(carl, GiB(1))
    space.put(f"/home/carl/{face}/old.txt", b"x" * 3000, who="carl")
    space.put(f"/home/carl/{face}/gone.txt", b"y" * 3000, who="carl")
    space.service.ensure_home(carl, GiB(0))
    terminal.sign_in("carl")
    there = f"{face}:home/carl/{face}"
    terminal.file("small.txt", b"s" * 4000)
    terminal.file("large.bin", b"l" * (6 << 20))
    for name in ("small.txt", "large.bin"):
        said = terminal.refused("vcp", name, f"{there}/{name}")
        assert "QuotaExceeded" in said
        assert "more do not fit" in said
    assert terminal.out("vls", there).split() == ["gone.txt", "old.txt"]
    assert terminal.out("vcat", f"{there}/old.txt").strip() == "x" * 3000
    terminal("vmv", f"{there}/old.txt", f"{there}/kept.txt")
    terminal("vmkdir", f"{there}/more")
    terminal("vchmod", "o+r", f"{there}/kept.txt")
    terminal("vrm", f"{there}/gone.txt")
    assert terminal.out("vls", there).split() == ["kept.txt", "more"]


def test_an_upload_that_breaks_off_leaves_nothing(space: Space) -> None:
    context = ssl.create_default_context(cadata=space.authority.ca_pem.decode())
    host, _, port = space.host.partition(":")
    files = space.stored()
    with socket.create_connection((host, int(port))) as plain:
        connection = context.wrap_socket(plain, server_hostname=host)
        connection.sendall(
            b"PUT /vault/files/home/ada/broken.bin HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: 50000000\r\n\r\n" % (space.host.encode(), space.token().encode())
        )
        connection.sendall(b"x" * 20_000_000)
        connection.close()
    patience = threading.Event()
    for _ in range(100):
        if space.stored() == files:
            break
        patience.wait(0.1)
    assert space.stored() == files
    assert "broken.bin" not in space.names("/home/ada")


@pytest.mark.parametrize("face", ["vos"], indirect=True)
def test_a_vcp_that_is_killed_leaves_the_old_version(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/x.bin", b"old")
    ada.file("x.bin", os.urandom(30 << 20))
    before = len(space.requests)
    command = [Path(sys.executable).with_name("vcp"), "-k", "x.bin", f"{there}/x.bin"]
    with subprocess.Popen(command, env=ada.environment, cwd=ada.home, stderr=subprocess.DEVNULL) as process:
        patience = threading.Event()
        while process.poll() is None and not any(
            request.startswith("PUT") for request in space.requests[before:]
        ):
            patience.wait(0.002)
        process.kill()
    assert space.read(f"{folder}/x.bin") == b"old" or space.node(f"{folder}/x.bin").length == 30 << 20


@pytest.mark.parametrize("face", ["vos"], indirect=True)
def test_two_writers_end_with_one_whole_version(ada: Terminal, there: str, space: Space, folder: str) -> None:
    versions = [bytes([number]) * (3 << 20) for number in range(3)]
    for number, data in enumerate(versions):
        ada.file(f"{number}.bin", data)

    def send(number: int) -> int:
        words = ("vcp", "-k", f"{number}.bin", f"{there}/same.bin")
        return run_executable(*words, env=ada.environment, cwd=ada.home).returncode

    with ThreadPoolExecutor(3) as pool:
        statuses = list(pool.map(send, range(3)))
    assert 0 in statuses
    assert space.read(f"{folder}/same.bin") in versions
