"""Bytes on their way out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import islice

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from armillary.vospace.api.headers import Span

AT_ONCE = 256 << 10
"""Answers of at most this many bytes are read in the same breath as their node is looked up."""

_AHEAD = 16
"""chunks that are read together while the ones before are sent"""
_MANY = 16
"""streams; when there are more, each reads one chunk, and the next when that is sent"""


class Streams:
    """How many answers are under way, which decides how much memory each may take."""

    def __init__(self) -> None:
        self.open = 0

    @property
    def at_a_time(self) -> int:
        """Chunks that one stream may read ahead."""
        return _AHEAD if self.open <= _MANY else 1


class BytesResponse(Response):
    """Sends chunks that are read in a thread, the next ones while these are sent. Ends when the client has gone."""

    def __init__(
        self, streams: Streams, chunks: Iterator[bytes], *, status: int, headers: Mapping[str, str]
    ) -> None:
        """Send `chunks`, whose length must be in `headers`."""
        self.status_code = status
        self.background = None
        self.init_headers(headers)
        self._streams = streams
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer (ASGI)."""
        gone = asyncio.ensure_future(_until_gone(receive))
        self._streams.open += 1
        following: asyncio.Future[list[bytes]] | None = None
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            following = asyncio.ensure_future(self._read())
            while not gone.done() and (now := await following):
                ahead = self._streams.at_a_time > 1
                if ahead:
                    following = asyncio.ensure_future(self._read())
                for chunk in now:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if not ahead:
                    following = asyncio.ensure_future(self._read())
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            if following is not None:
                # A generator must not be let go while another thread is in it.
                await asyncio.wait([following])
            self._streams.open -= 1

    async def _read(self) -> list[bytes]:
        return await run_in_threadpool(list, islice(self._chunks, self._streams.at_a_time))


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Parts:
    """Several ranges in one answer, as `multipart/byteranges`."""

    def __init__(self, spans: Sequence[Span], total: int, content_type: str) -> None:
        """Of a file of `total` bytes."""
        boundary = secrets.token_hex(16)
        self._heads = [
            (
                f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
                f"Content-Range: bytes {start}-{stop - 1}/{total}\r\n\r\n"
            ).encode("latin-1")
            for start, stop in spans
        ]
        self._end = f"\r\n--{boundary}--\r\n".encode()
        self.content_type = f"multipart/byteranges; boundary={boundary}"
        self.length = sum(map(len, self._heads)) + sum(stop - start for start, stop in spans) + len(self._end)

    def body(self, contents: Sequence[Iterator[bytes]]) -> Generator[bytes]:
        """Yield the answer's body, given the bytes of each range."""
        for head, chunks in zip(self._heads, contents, strict=True):
            yield head
            yield from chunks
        yield self._end
