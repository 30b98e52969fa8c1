"""HTTP over one connection, which can hand over large bodies in large pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

PIECES = "pieces"
"""Where applications find the request's `Pieces`: `scope["state"][PIECES]`."""

_WAKE = 1 << 20
_PAUSE = 4 << 20


class Pieces:
    """The body of a request as it comes off the wire, for an application that asks for it by `wanted`.

    From then on `receive` is only the signal that a mebibyte has come, or the end; the bytes are in `take`. Otherwise
    each of them is copied three times more on its way, and the application woken for each 64 KiB.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.wanted = False
        self.size = 0
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Keep the next bytes."""
        self._pieces.append(piece)
        self.size += len(piece)

    def take(self) -> list[bytes]:
        """Return what has come since the last time."""
        taken, self._pieces, self.size = self._pieces, [], 0
        return taken


class PiecesProtocol(HttpToolsProtocol):
    """See `Pieces`."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope.setdefault("state", {})[PIECES] = Pieces()

    def on_body(self, body: bytes) -> None:
        """Take bytes of a body."""
        cycle = self.cycle
        pieces: Pieces = cycle.scope.get("state", {})[PIECES]
        if not pieces.wanted or cycle.response_complete:
            super().on_body(body)
            return
        pieces.add(body)
        if pieces.size >= _WAKE:
            cycle.message_event.set()
            if pieces.size >= _PAUSE:
                self.flow.pause_reading()

    @staticmethod
    def _state_of(scope: HTTPScope) -> dict[str, Any]:
        state = scope.get("state")
        assert state is not None, "uvicorn gives each request one"
        return state
