"""Carries bytes between a browser's WebSocket and something inside a machine, within bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from armillary.base.errors import ArmillaryError, Unavailable

NORMAL, TOO_BIG, TRY_LATER = 1000, 1009, 1013
"""Close codes of RFC 6455 (7.4.1) and its registry."""
REFUSED, IDLE, UNREACHED, TOO_LONG = 4401, 4408, 4502, 4410
"""Ours: the session or the role has ended; nobody typed; the machine cannot be reached (the reason is a code); it lasted
as long as one may."""
LARGEST_FRAME = 256 * 1024
"""of a browser: nobody types that much, and what is pasted comes in pieces"""
_LARGEST_SIZE = 1000


class Line(Protocol):
    """One end inside of a machine. After `close` nothing of it is left, whatever state it was in."""

    async def read(self) -> bytes:
        """The next bytes; none at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes on; waits while the other side does not take them. Raises OSError when it is gone."""
        ...

    def resize(self, rows: int, cols: int) -> None:
        """Say how large the window is, where that means something."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How long a session lasts, and how many there are."""

    idle: float = 30 * 60
    """seconds without a key or a move of the mouse"""
    longest: float = 8 * 3600
    reach: float = 150
    """seconds until there is a line: a machine that lets us in and then says nothing holds no place for ever"""
    look: float = 5
    """how often it is asked whether the session is allowed still, seconds"""
    most: int = 256
    most_of_one: int = 16


@dataclass(frozen=True, kw_only=True)
class _Ended:
    code: int
    reason: str = ""


class Sessions:
    """The sessions that are open now. Used from one event loop only."""

    def __init__(self, *, bounds: Bounds) -> None:
        self._bounds = bounds
        self._open: list[str] = []
        self._partings: set[asyncio.Future[None]] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    async def carry(
        self,
        websocket: WebSocket,
        reach: Callable[[], Awaitable[Line]],
        *,
        whose: str,
        still: Callable[[], None],
        typed: Callable[[bytes], bool] = bool,
    ) -> str:
        """Accept a WebSocket, and carry bytes until either side ends or it may last no longer.

        Args:
            websocket: of the browser.
            reach: opens the line; an `ArmillaryError` is told to the browser by its code.
            whose: the person, for the bound on how many one may have.
            still: raises when the session is not allowed any more; called again and again, in a thread.
            typed: whether a frame is a person's doing, so that the session is not idle.

        Returns:
            How it ended, for the record.
        """
        offered: list[str] = websocket.scope.get("subprotocols") or []
        await websocket.accept(subprotocol="binary" if "binary" in offered else None)
        if len(self._open) >= self._bounds.most or self._open.count(whose) >= self._bounds.most_of_one:
            await websocket.close(TRY_LATER, "too_many_sessions")
            return "too_many_sessions"
        self._open.append(whose)
        try:
            ended = await self._through(websocket, reach, still, typed)
        finally:
            self._open.remove(whose)
        if websocket.client_state is not WebSocketState.DISCONNECTED:
            await websocket.close(ended.code, ended.reason)
        return ended.reason or "closed"

    async def _through(
        self,
        websocket: WebSocket,
        reach: Callable[[], Awaitable[Line]],
        still: Callable[[], None],
        typed: Callable[[bytes], bool],
    ) -> _Ended:
        try:
            async with asyncio.timeout(self._bounds.reach):
                line = await reach()
        except ArmillaryError as error:
            return _Ended(code=UNREACHED, reason=error.code)
        except TimeoutError:
            return _Ended(code=UNREACHED, reason="ssh_unreachable")
        pulse = _Pulse()
        halves = [
            asyncio.ensure_future(_to_browser(websocket, line)),
            asyncio.ensure_future(_to_machine(websocket, line, pulse, typed)),
            asyncio.ensure_future(self._watch(pulse, still)),
        ]
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
            return min((_result(half) for half in done), key=lambda ended: not ended.reason)
        finally:
            # by itself, so that whoever cancels us does not keep it from letting go
            parting = asyncio.ensure_future(_part(halves, line))
            self._partings.add(parting)
            parting.add_done_callback(self._partings.discard)
            await asyncio.shield(parting)

    async def _watch(self, pulse: _Pulse, still: Callable[[], None]) -> _Ended:
        clock = asyncio.get_running_loop().time
        began = pulse.last = clock()
        while True:
            await asyncio.sleep(self._bounds.look)
            if clock() - pulse.last > self._bounds.idle:
                return _Ended(code=IDLE, reason="idle")
            if clock() - began > self._bounds.longest:
                return _Ended(code=TOO_LONG, reason="too_long")
            try:
                await run_in_threadpool(still)
            except Unavailable:
                continue  # the records are busy for a moment: that ends nobody's work
            except ArmillaryError as error:
                return _Ended(code=REFUSED, reason=error.code)


class _Pulse:
    """When somebody did something last, by the loop's clock."""

    last = 0.0


def _result(half: asyncio.Future[_Ended]) -> _Ended:
    error = half.exception()
    if error is None:
        return half.result()
    if isinstance(
        error, OSError | EOFError | RuntimeError | WebSocketDisconnect
    ):  # gone in the middle of a word
        return _Ended(code=NORMAL)
    raise error


async def _part(halves: Sequence[asyncio.Future[_Ended]], line: Line) -> None:
    for half in halves:
        half.cancel()
    await asyncio.wait(halves)
    await line.close()


async def _to_browser(websocket: WebSocket, line: Line) -> _Ended:
    while data := await line.read():
        await websocket.send_bytes(data)
    return _Ended(code=NORMAL)


async def _to_machine(
    websocket: WebSocket, line: Line, pulse: _Pulse, typed: Callable[[bytes], bool]
) -> _Ended:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return _Ended(code=NORMAL)
        data: bytes = message.get("bytes") or b""
        text: str = message.get("text") or ""
        if len(data) > LARGEST_FRAME or len(text) > LARGEST_FRAME:
            return _Ended(code=TOO_BIG, reason="frame_too_large")
        if data:
            if typed(data):
                pulse.last = asyncio.get_running_loop().time()
            await line.write(data)
        elif text:
            size = window_size(text)
            if size:
                line.resize(*size)


def window_size(text: str) -> tuple[int, int] | None:
    """Read what a terminal says about its size, `{"rows": 24, "cols": 80}`; None if it is something else."""
    try:
        said: Any = json.loads(text[:200])
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    told = cast("Mapping[str, Any]", said)
    rows, cols = told.get("rows"), told.get("cols")
    if not (isinstance(rows, int) and isinstance(cols, int)):
        return None
    if not (1 <= rows <= _LARGEST_SIZE and 1 <= cols <= _LARGEST_SIZE):
        return None
    return rows, cols
