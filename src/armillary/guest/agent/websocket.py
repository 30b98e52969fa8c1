"""The client's side of a WebSocket (RFC 6455) over a connection to the platform: binary messages, pings answered."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import socket
import struct
import threading
from typing import BinaryIO

from armillary.guest.agent.basics import Refused, Unreachable
from armillary.guest.agent.server import Server

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _BINARY, _CLOSE, _PING, _PONG = 0, 2, 8, 9, 10
MAX_MESSAGE = 1 << 20
SILENCE = 60.0
"""Seconds without a sign from the other side, which pings, after which it is taken for gone."""


class WebSocket:
    """An open WebSocket. One thread may receive while others send."""

    def __init__(
        self, *, connection: http.client.HTTPConnection, line: socket.socket, reader: BinaryIO
    ) -> None:
        self._connection = connection
        self._line = line
        self._reader = reader
        self._sending = threading.Lock()

    def send(self, data: bytes) -> None:
        """Send one binary message. Raises OSError."""
        self._frame(_BINARY, data)

    def receive(self) -> bytes | None:
        """Return the next message; None when the other side has closed or gone."""
        message = bytearray()
        with contextlib.suppress(OSError, ValueError):
            while True:
                head = self._exactly(2)
                length = head[1] & 0x7F
                if length > 125:
                    wide = 2 if length == 126 else 8
                    length = int.from_bytes(self._exactly(wide), "big")
                if head[1] & 0x80 or len(message) + length > MAX_MESSAGE:  # a server masks nothing
                    break
                data = self._exactly(length)
                kind = head[0] & 0x0F
                if kind == _CLOSE:
                    self._frame(_CLOSE, data[:2])
                    break
                if kind == _PING:
                    self._frame(_PONG, data)
                elif kind != _PONG:
                    message += data
                    if head[0] & 0x80:
                        return bytes(message)
        return None

    def close(self) -> None:
        """Say goodbye and close; whoever receives gets None."""
        with contextlib.suppress(OSError):
            self._frame(_CLOSE, struct.pack("!H", 1000))
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _frame(self, kind: int, data: bytes) -> None:
        length = len(data)
        head = bytes([0x80 | kind])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack("!H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", length)
        mask = os.urandom(4)
        whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        with self._sending:
            self._line.sendall(head + mask + whole.to_bytes(length, "big"))

    def _exactly(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) < count:
            raise ConnectionResetError("the other side has gone")
        return data


def connect(server: Server, name: str) -> WebSocket:
    """Open the WebSocket at `name`. Raises Refused or Unreachable."""
    connection, prefix = server.connect(SILENCE)
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        **server.headers(),
    }
    try:
        connection.request("GET", prefix + name, headers={**headers, "Sec-WebSocket-Key": key})
        line = connection.sock
        response = connection.getresponse()
        if response.status != 101:
            code = response.status
            connection.close()
            raise Refused(code, "no_websocket", f"{name}: answered {code}")
        expected = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest())
        if response.headers.get("Sec-WebSocket-Accept", "").encode() != expected:
            connection.close()
            raise Unreachable(f"{name}: what answers is no WebSocket")
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Unreachable(f"{name}: {error}") from error
    # What the server sent right after its answer may be in the reader's buffer already, so that one is read on.
    return WebSocket(connection=connection, line=line, reader=response.fp)
