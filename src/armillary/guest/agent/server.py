"""Our side of the agent protocol: HTTPS connections that are kept, answers as JSON."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import ssl
import threading
import urllib.parse
from pathlib import Path
from typing import Any, BinaryIO, cast

from armillary.guest.agent.basics import CHUNK, VERSION, Json, Refused, Unreachable

MAX_ANSWER = 64 << 20


class _InOne(http.client.HTTPConnection):
    """Can send a request's head and body in one piece: as two they are two TLS records, and wake the platform twice."""

    _kept: bytearray | None = None

    def request_in_one(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> None:
        """Send a request of which all is in memory."""
        self._kept = kept = bytearray()
        try:
            self.request(method, url, body=body, headers=headers)
        finally:
            self._kept = None
        self.send(kept)

    def send(self, data: Any) -> None:
        """Send, or keep what is to go with the rest."""
        if self._kept is None:
            super().send(data)
        else:
            self._kept += data


class _SecureInOne(_InOne, http.client.HTTPSConnection):
    """See `_InOne`."""


class Server:
    """The platform. `session_key` is sent with every call once it is set."""

    def __init__(self, *, url: str, ca_pem: str | None, room: str = "") -> None:
        """`room` is where below the agents' paths all calls go, such as `pool/`."""
        parts = urllib.parse.urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/") + "/agent/v1/" + room
        self._context = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
        self._idle: list[_InOne] = []
        self._lock = threading.Lock()
        self.session_key = ""

    def call(self, name: str, body: Json, *, timeout: float = 30.0) -> Json:
        """POST `body` and return the answer. Raises Unreachable or Refused."""
        data = json.dumps(body).encode()
        return self._exchange("POST", name, data, {"Content-Type": "application/json"}, timeout=timeout)

    def fetch(self, name: str, sink: BinaryIO) -> str:
        """Copy what stands at `name` into `sink`; return its SHA-256."""
        digest = hashlib.sha256()
        self._exchange("GET", name, None, {}, timeout=120, sink=sink, digest=digest)
        return digest.hexdigest()

    def upload(self, name: str, file: Path, headers: dict[str, str]) -> None:
        """PUT the bytes of `file`."""
        self._exchange("PUT", name, file, headers, timeout=120)

    def connect(self, timeout: float) -> tuple[http.client.HTTPConnection, str]:
        """Return a connection that is nobody else's, and what our paths begin with."""
        return self._made(timeout), self._prefix

    def _made(self, timeout: float) -> _InOne:
        if self._secure:
            return _SecureInOne(self._host, self._port, timeout=timeout, context=self._context)
        return _InOne(self._host, self._port, timeout=timeout)

    def _connection(self, timeout: float, *, fresh: bool) -> tuple[_InOne, bool]:
        with self._lock:
            if self._idle and not fresh:
                connection = self._idle.pop()
                connection.timeout = timeout
                if connection.sock:
                    connection.sock.settimeout(timeout)
                return connection, True
        return self._made(timeout), False

    def _exchange(
        self,
        method: str,
        name: str,
        body: bytes | Path | None,
        headers: dict[str, str],
        *,
        timeout: float,
        sink: BinaryIO | None = None,
        digest: Any = None,
    ) -> Json:
        headers = {**self.headers(), **headers}
        fresh = False
        while True:
            connection, reused = self._connection(timeout, fresh=fresh)
            try:
                with contextlib.ExitStack() as stack:
                    if isinstance(body, Path):
                        source = stack.enter_context(body.open("rb"))
                        headers["Content-Length"] = str(os.fstat(source.fileno()).st_size)
                        connection.request(method, self._prefix + name, body=source, headers=headers)
                    else:
                        connection.request_in_one(method, self._prefix + name, body, headers)
                    response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if reused:  # the other side may have closed it while it was idle
                    fresh = True
                    continue
                raise Unreachable(f"{name}: {error}") from error
            return self._answer(connection, response, name, sink, digest)

    def headers(self) -> dict[str, str]:
        """Return what every request carries."""
        headers = {"User-Agent": f"armillary-agent/{VERSION}"}
        if self.session_key:
            headers["Authorization"] = f"Bearer {self.session_key}"
        return headers

    def _answer(
        self,
        connection: _InOne,
        response: http.client.HTTPResponse,
        name: str,
        sink: BinaryIO | None,
        digest: Any,
    ) -> Json:
        into = sink if response.status == 200 else None
        payload = bytearray()
        try:
            while True:
                try:
                    piece = response.read(CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise Unreachable(f"{name}: {error}") from error
                if not piece:
                    break
                if into is not None:
                    digest.update(piece)
                    into.write(piece)
                elif len(payload) < MAX_ANSWER:
                    payload += piece
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        return {} if into is not None else decode(response.status, bytes(payload), name)


def decode(status: int, payload: bytes, name: str) -> Json:
    """Return the answer's JSON object. Raises Unreachable for 429 and 5xx, Refused for other refusals."""
    try:
        answer: Any = json.loads(payload) if payload else {}
    except ValueError:
        answer = {}
    record = cast("Json", answer) if isinstance(answer, dict) else {}
    if 200 <= status < 300:
        return record
    if status == 429 or status >= 500:
        raise Unreachable(f"{name}: answered {status}")
    error: Any = record.get("error")
    facts = cast("Json", error) if isinstance(error, dict) else {}
    raise Refused(status, str(facts.get("code", "")), str(facts.get("message", "")))
