"""JupyterLab and desktops inside of machines: installed where they are missing, started, and found again."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import CloudName, PersonId, ServerId
from armillary.portal.inside.printing import printable
from armillary.portal.inside.reaching import Reaching, let_go
from armillary.portal.inside.tickets import Kind, Pass

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

LONGEST_SECONDS = 30 * 60
"""of an installation"""
TAIL_LINES, LONGEST_LINE = 12, 400
MOST_AT_ONCE = 64
MOST_KNOWN = 2000
"""of which it is remembered how they stand; of others it is asked in the machine again"""
_SCRIPTS = {Kind.JUPYTER: "jupyter.sh", Kind.DESKTOP: "desktop.sh"}

Key = tuple[PersonId, CloudName, ServerId, Kind]


class Phase(StrEnum):
    """How far a workspace is."""

    NONE = "none"
    CONNECTING = "connecting"
    INSTALLING = "installing"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(kw_only=True)
class Standing:
    """How a workspace stands, for whoever waits.

    Attributes:
        phase: how far it is.
        tail: the last lines that the machine has said.
        socket: its UNIX socket in the machine, when it is ready.
        error: why it could not be reached.
    """

    phase: Phase = Phase.NONE
    tail: deque[str] = field(default_factory=lambda: deque[str](maxlen=TAIL_LINES))
    socket: str = ""
    error: ArmillaryError | None = None


class Workspaces:
    """Starts workspaces, each in a task of the event loop. `standing` may be called from anywhere."""

    def __init__(self, *, reaching: Reaching) -> None:
        self._reaching = reaching
        self._known: dict[Key, Standing] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def standing(self, what: Pass) -> Standing:
        """How a person's workspace stands; nothing of it was begun yet when it is `NONE`."""
        return self._known.get(_key(what)) or Standing()

    def begin(self, what: Pass) -> None:
        """Have it start, unless that is under way: repeating is free.

        Raises:
            Unavailable: too many are being started.
        """
        key = _key(what)
        if key in self._tasks:
            return
        if len(self._tasks) >= MOST_AT_ONCE:
            raise Unavailable(
                "Too many workspaces are being started.", code="too_many_sessions", remedy="Wait a minute."
            )
        standing = Standing(phase=Phase.CONNECTING)
        self._known.pop(key, None)
        self._known[key] = standing
        for old in [old for old in self._known if old not in self._tasks and old != key][:-MOST_KNOWN]:
            del self._known[old]
        task = asyncio.ensure_future(self._start(what, standing))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    def forget(self, what: Pass) -> None:
        """Look anew next time: it does not answer any more."""
        if _key(what) not in self._tasks:
            self._known.pop(_key(what), None)

    async def close(self) -> None:
        """Wait for nothing any more. What runs in machines runs on."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _start(self, what: Pass, standing: Standing) -> None:
        try:
            connection = await self._reaching.connect(what)
        except ArmillaryError as error:
            standing.error, standing.phase = error, Phase.FAILED
            return
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self._follow(connection, what.kind, standing)
        except TimeoutError:
            standing.tail.append(f"({LONGEST_SECONDS // 60} min)")
        finally:
            if standing.phase is not Phase.READY:
                standing.phase = Phase.FAILED
            await let_go(connection)

    async def _follow(self, connection: SSHClientConnection, kind: Kind, standing: Standing) -> None:
        import asyncssh

        script = (Path(__file__).parent / _SCRIPTS[kind]).read_text(encoding="ascii")
        with contextlib.suppress(asyncssh.Error, OSError):  # the machine was stopped: it is not ready
            # as an argument: what the script runs must not read the rest of it
            process = await connection.create_process(
                f"sh -c {shlex.quote(script)}",
                stdin=asyncssh.DEVNULL,
                stderr=asyncssh.STDOUT,
                errors="replace",
            )
            async for line in process.stdout:
                _hear(line, standing)


def _hear(line: str, standing: Standing) -> None:
    said = printable(line[:LONGEST_LINE]).rstrip()
    word, _, rest = said.partition(" ")
    match word:
        case "@ready":
            standing.socket, standing.phase = rest, Phase.READY
        case "@installing" | "@starting":
            standing.phase = Phase(word[1:])
        case "@no-python":
            standing.error = Unavailable(
                "The machine has no Python.", code="no_python", remedy="Install python3 in the shell."
            )
        case _ if said:
            standing.tail.append(said)
        case _:
            pass


def _key(what: Pass) -> Key:
    return what.person, what.place.cloud, what.place.server_id, what.kind
