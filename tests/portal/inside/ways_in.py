"""How tests go inside of a machine: a ticket from the page's form, and the WebSocket that takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from portal_visitor import Browser
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from armillary.fleet.model import FleetServer

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


def assert_soon(holds: Callable[[], bool]) -> None:
    """For what another loop does in its own time."""

    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
