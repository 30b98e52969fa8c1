"""A mail server that keeps what it is sent."""

from __future__ import annotations

import threading
from email.message import Message
from email.parser import BytesParser
from typing import Any

from aiosmtpd.controller import Controller


class Letters:
    """A mail server's handler that keeps what it was sent."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[str], Message]] = []
        self.came = threading.Event()
        self.busy = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd calls it
        if self.busy:
            return "451 come again later"
        self.kept.append((envelope.rcpt_tos, BytesParser().parsebytes(envelope.content)))
        self.came.set()
        return "250 taken"


class PostOffice(Controller):
    """A mail server on any free port."""

    def _trigger_server(self) -> None:
        self.port = port_of(self)
        super()._trigger_server()


def port_of(controller: Controller) -> int:
    assert controller.server
    return controller.server.sockets[0].getsockname()[1]
