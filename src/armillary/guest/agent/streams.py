"""Shows what a job prints while it prints it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from armillary.guest.agent.basics import CHUNK, Json, Refused, Unreachable
from armillary.guest.agent.server import Server

STREAMS = {"stdout": "_condor_stdout", "stderr": "_condor_stderr"}
MAX_STREAMED = 16 << 20
"""Bytes of each of stdout and stderr that are shown live; the whole of them comes back as an output."""


class Streams:
    """Standard output and error of one job, on their way to the platform."""

    def __init__(self, *, base: Path, ids: Json, server: Server, refused: Callable[[Refused], None]) -> None:
        self._base = base
        self._ids = ids
        self._server = server
        self._refused = refused
        self._sent = dict.fromkeys(STREAMS, 0)

    def files(self) -> list[tuple[str, Path]]:
        """Return the streams that have something in them, by the names under which they come back."""
        found = [(name, self._base / name) for name in STREAMS.values()]
        return [(name, path) for name, path in found if path.exists() and path.stat().st_size]

    def send(self) -> None:
        """Send what was written since, as far as it goes; the next call goes on from there."""
        for stream, name in STREAMS.items():
            path = self._base / name
            if not path.exists():
                continue
            while self._sent[stream] < min(MAX_STREAMED, path.stat().st_size):
                with path.open("rb") as file:
                    file.seek(self._sent[stream])
                    data = file.read(CHUNK)
                if not data:
                    break
                said = {
                    "stream": stream,
                    "offset": self._sent[stream],
                    "data": base64.b64encode(data).decode(),
                }
                try:
                    self._server.call("logs", {**self._ids, **said})
                except Unreachable:
                    return
                except Refused as refused:
                    self._refused(refused)
                    return
                self._sent[stream] += len(data)
