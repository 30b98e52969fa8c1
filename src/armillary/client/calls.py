"""A call into a running job: what is typed goes there, what it prints comes here, over one WebSocket."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from armillary.client.batch import Batch
from armillary.client.errors import ClientError, Unreachable
from armillary.client.http import Armillary, trust

STDIN, STDOUT, STDERR, SIZE, EXIT, ERROR, END_OF_STDIN = range(7)
"""What a message is: its first byte. The rest is bytes, or JSON for SIZE, EXIT and ERROR."""
_OPEN_SECONDS = 75.0


class Said(NamedTuple):
    """What came from the job: bytes of STDOUT or STDERR."""

    stream: int
    data: bytes


class JobCall:
    """A call that is open. Sending is allowed from another thread than listening."""

    def __init__(self, *, http: Armillary, job: str, wish: Mapping[str, Any]) -> None:
        begun = Batch(http=http).call(job, wish)
        scheme, _, rest = http.url.partition("://")
        secure = trust(http.ca_file) if scheme == "https" else None
        self.exit_code: int | None = None
        self.signal: int | None = None
        self._line = _connect(f"{'wss' if secure else 'ws'}://{rest}{begun['path']}", begun["secret"], secure)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def send(self, data: bytes) -> None:
        """Send to its standard input."""
        self._say(STDIN, data)

    def end_input(self) -> None:
        """Say that there is no more standard input."""
        self._say(END_OF_STDIN, b"")

    def resize(self, rows: int, cols: int) -> None:
        """Tell the size of the window."""
        self._say(SIZE, json.dumps({"rows": rows, "cols": cols}).encode())

    def _say(self, kind: int, data: bytes) -> None:
        with contextlib.suppress(ConnectionClosed):  # it has ended: who listens hears how
            self._line.send(bytes([kind]) + data)

    def listen(self) -> Iterator[Said]:
        """Yield what it prints until it ends; then `exit_code` or `signal` is known. Raises ClientError."""
        try:
            for message in self._line:
                data = message.encode() if isinstance(message, str) else message
                kind, rest = data[0], data[1:]
                if kind in {STDOUT, STDERR}:
                    yield Said(kind, rest)
                elif kind == EXIT:
                    end = cast("dict[str, int | None]", json.loads(rest))
                    self.exit_code, self.signal = end.get("exit_code"), end.get("signal")
                    return
                elif kind == ERROR:
                    why: dict[str, str] = json.loads(rest)
                    raise ClientError(
                        why["message"], code=why["code"], answered=503, remedy="Does the job still run?"
                    )
        except ConnectionClosed as error:
            raise _lost() from error
        raise _lost()


def _connect(address: str, secret: str, secure: ssl.SSLContext | None) -> ClientConnection:
    try:
        return connect(
            address,
            ssl=secure,
            additional_headers={"X-Call-Secret": secret},
            open_timeout=_OPEN_SECONDS,
            compression=None,
            proxy=None,
            max_size=2**20,
        )
    except InvalidStatus as error:
        raise ClientError(
            f"the platform answered {error.response.status_code}",
            code="call_refused",
            answered=error.response.status_code,
            remedy="Call again.",
        ) from error
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"no answer from {address}: {error}") from error


def _lost() -> ClientError:
    return Unreachable(
        "the line to the job broke", code="call_lost", remedy="Call again, if the job still runs."
    )
