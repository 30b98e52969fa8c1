"""Bytes in an object store that several processes may share: small ones whole, large ones in pieces.

An object store makes an object visible whole, but can neither append to one nor give one another name. So what does
not fit into memory is written as a row of objects, each where its first byte belongs:

    pieces/<2 digits>/<key>/<offset, 20 digits>

While they are unfinished, that is all there is: a paused upload goes on after the last one. To publish is to write

    bytes/<2 digits>/<key>          the bytes themselves, when one piece would hold them all, or
    bytes/<2 digits>/<key>.pieces   where the pieces begin and the last one ends

which is one request, and thus happens or not. The store's own multipart uploads are not used: their parts cannot be
read before the end nor go on in another process, and what a crash leaves of them costs money without being listed.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby, islice
from threading import Lock
from typing import TYPE_CHECKING

import obstore

from armillary.base.errors import ArmillaryError, NotFound, Unavailable
from armillary.vospace.bytes.objects import FAILURES, MOST, listed, location, refusal, size_of, stream
from armillary.vospace.ports import Stored

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SUFFIX = ".pieces"
_REMEMBERED = 256
"""Layouts of large files that are kept in memory: readers of parts ask for the same ones again and again."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the pieces of one key begin, and where the last one ends."""

    starts: Sequence[int]
    size: int

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Walk over where each piece begins and ends."""
        return zip(self.starts, (*self.starts[1:], self.size), strict=True)

    def within(self, start: int, stop: int) -> Generator[tuple[int, int, int]]:
        """Yield what of each piece lies in a range: the piece's start, and from where to where in it."""
        if start >= min(stop, self.size):
            return
        for first, end in islice(self.pieces(), bisect_right(self.starts, start) - 1, None):
            if first >= stop:
                return
            yield first, max(start - first, 0), min(stop, end) - first


class PieceWriter:
    """See `ports.ByteWriter`. Keeps less than two pieces in memory."""

    def __init__(
        self,
        *,
        owner: PiecedBytes,
        key: str,
        kept: Sequence[int] = (),
        offset: int = 0,
        tail: bytes | None = None,
    ) -> None:
        """Go on after the pieces that begin at `kept`; `tail`, from `offset`, is what follows them. None: a new key."""
        self._owner = owner
        self._key = key
        self._starts = list(kept)
        self._offset = offset
        self._tail = bytearray(tail or b"")
        self._resumed = tail is not None
        self._open = True

    def write(self, chunk: bytes) -> None:
        """See `ports.ByteWriter`."""
        assert self._open, "write after the end"
        self._tail += chunk
        while len(self._tail) > self._owner.piece:
            self._flush(self._owner.piece)

    def publish(self) -> None:
        """See `ports.ByteWriter`."""
        assert self._open, "ended twice"
        self._open = False
        try:
            if self._starts:
                if self._tail:
                    self._flush(len(self._tail))
                self._owner.seal(self._key, Layout(starts=self._starts, size=self._offset))
            else:
                self._owner.put_whole(self._key, bytes(self._tail))
                if self._resumed:
                    self._owner.forget(self._key)
        except ArmillaryError:
            with suppress(ArmillaryError):  # it may be there all the same: an answer can get lost
                self._owner.delete(self._key)
            raise

    def pause(self) -> None:
        """See `ports.ByteWriter`."""
        assert self._open, "ended twice"
        self._open = False
        if self._tail or not self._starts:
            self._flush(len(self._tail))

    def discard(self) -> None:
        """See `ports.ByteWriter`."""
        if self._open:
            self._open = False
            self._tail.clear()
            if self._starts or self._resumed:
                with suppress(ArmillaryError):  # the sweep finds it
                    self._owner.forget(self._key)

    def _flush(self, size: int) -> None:
        self._owner.put_piece(self._key, self._offset, bytes(memoryview(self._tail)[:size]))
        self._starts.append(self._offset)
        self._offset += size
        del self._tail[:size]


class PiecedBytes:
    """See `ports.ByteStore`."""

    def __init__(self, store: ObjectStore, *, piece: int = MOST) -> None:
        """Keep bytes in an object store, in pieces of so many bytes."""
        self._store = store
        self.piece = piece
        self._layouts: OrderedDict[str, Layout] = OrderedDict()
        self._lock = Lock()

    # -- what was published

    def begin(self, key: str) -> PieceWriter:
        """See `ports.ByteStore`."""
        return PieceWriter(owner=self, key=key)

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `ports.ByteStore`."""
        if key not in self._layouts:
            try:
                return stream(self._store, _whole(key), start, stop)
            except NotFound:
                pass
        layout = self._layout(key)
        if layout is None:
            raise NotFound("These bytes are gone.", code="bytes_gone")
        return self._read(key, layout, start, stop)

    def size(self, key: str) -> int | None:
        """See `ports.ByteStore`."""
        whole = size_of(self._store, _whole(key))
        if whole is not None:
            return whole
        layout = self._layout(key, afresh=True)
        return layout.size if layout else None

    def delete(self, key: str) -> None:
        """See `ports.ByteStore`."""
        layout = self._layout(key, afresh=True)
        if layout is None:
            self._remove(_whole(key))
            return
        # First the list: pieces without one are swept after a crash.
        self._remove(_whole(key) + _SUFFIX)
        with self._lock:
            self._layouts.pop(key, None)
        for start in layout.starts:
            self._remove(_piece(key, start))

    def published(self, shard: str = "") -> Iterator[Stored]:
        """See `ports.ByteStore`."""
        for item in listed(self._store, f"bytes/{shard}".rstrip("/")):
            name = item["path"].rsplit("/", 1)[-1]
            key = name.removesuffix(_SUFFIX)
            yield Stored(key, item["last_modified"], item["size"] if name == key else None)

    # -- what is unfinished

    def kept(self, key: str) -> int | None:
        """See `ports.UnfinishedBytes`."""
        layout = self._unfinished(key)
        return layout.size if layout else None

    def resume(self, key: str, size: int) -> PieceWriter:
        """See `ports.UnfinishedBytes`."""
        layout = self._enough(key, size)
        ends = {start: stop for start, stop in layout.pieces() if stop <= size}
        whole = list(ends)
        offset = ends[whole[-1]] if whole else 0
        if whole and offset - whole[-1] < self.piece:
            # A short last piece is written anew with what follows, or many pauses would make many short pieces.
            offset = whole.pop()
        tail = b"".join(self._read(key, layout, offset, size))
        for start in reversed(layout.starts):
            # From the end, so that what is left is an unbroken beginning whenever we are stopped.
            if start > offset or (start == offset and start > 0 and not tail):
                self._remove(_piece(key, start))
            elif start == offset:
                self.put_piece(key, offset, tail)  # it may hold more than is wanted
        return PieceWriter(owner=self, key=key, kept=whole, offset=offset, tail=tail)

    def read_kept(self, key: str, stop: int) -> Iterator[bytes]:
        """See `ports.UnfinishedBytes`."""
        return self._read(key, self._enough(key, stop), 0, stop)

    def forget(self, key: str) -> None:
        """See `ports.UnfinishedBytes`."""
        if self._layout(key, afresh=True) is None:
            for start in sorted(self._pieces_of(key), reverse=True):
                self._remove(_piece(key, start))

    def forget_unfinished(self, before: datetime, spare: Collection[str] = ()) -> int:
        """See `ports.UnfinishedBytes`."""
        count = 0
        for key in self.unfinished(before):
            if key not in spare:
                self.forget(key)
                count += 1
        return count

    def unfinished(self, before: datetime) -> Iterator[str]:
        """See `ports.UnfinishedBytes`."""
        # Listings are in the order of the names, so the pieces of a key come together.
        for key, pieces in groupby(listed(self._store, "pieces"), lambda item: item["path"].split("/")[-2]):
            touched = max(piece["last_modified"] for piece in pieces)
            if touched < before and self._layout(key, afresh=True) is None:
                yield key

    # -- for the writer

    def put_piece(self, key: str, start: int, data: bytes) -> None:
        """Write the piece that begins at `start`, or write it over."""
        self._put(_piece(key, start), data)

    def put_whole(self, key: str, data: bytes) -> None:
        """Publish bytes of which no pieces were written."""
        self._put(_whole(key), data)

    def seal(self, key: str, layout: Layout) -> None:
        """Publish the pieces of a key, which must all be there: a sweep may have taken a very slow upload for dead.

        Raises:
            Unavailable: some are not.
        """
        sizes = self._pieces_of(key)
        if any(sizes.get(start) != stop - start for start, stop in layout.pieces()):
            raise Unavailable(
                "A part of this upload is lost.", code="bytes_unavailable", remedy="Send the file again."
            )
        text = json.dumps({"size": layout.size, "starts": list(layout.starts)}, separators=(",", ":"))
        self._put(_whole(key) + _SUFFIX, text.encode())

    # -- inside

    def _put(self, path: str, data: bytes) -> None:
        try:
            obstore.put(self._store, path, data, use_multipart=False)
        except FAILURES as error:
            raise refusal(error) from error

    def _remove(self, path: str) -> None:
        try:
            obstore.delete(self._store, path)
        except FileNotFoundError:
            return
        except FAILURES as error:
            raise refusal(error) from error

    def _read(self, key: str, layout: Layout, start: int, stop: int) -> Iterator[bytes]:
        spans = layout.within(start, stop)
        opened = (stream(self._store, _piece(key, first), begin, end) for first, begin, end in spans)
        try:
            head = next(opened, iter(()))
        except NotFound:
            with self._lock:
                self._layouts.pop(key, None)  # deleted by another process
            raise
        return chain(head, chain.from_iterable(opened))

    def _layout(self, key: str, *, afresh: bool = False) -> Layout | None:
        """Return how the pieces of a published key lie; None when it has none. Without `afresh` by memory."""
        if not afresh:
            with self._lock:
                if key in self._layouts:
                    self._layouts.move_to_end(key)
                    return self._layouts[key]
        try:
            found = json.loads(bytes(obstore.get(self._store, _whole(key) + _SUFFIX).bytes()))
        except FileNotFoundError:
            return None
        except FAILURES as error:
            raise refusal(error) from error
        layout = Layout(starts=found["starts"], size=found["size"])
        with self._lock:
            self._layouts[key] = layout
            while len(self._layouts) > _REMEMBERED:
                self._layouts.popitem(last=False)
        return layout

    def _pieces_of(self, key: str) -> dict[int, int]:
        """Return the sizes of a key's pieces by their starts."""
        found = listed(self._store, f"pieces/{location(key)}")
        return {int(item["path"].rsplit("/", 1)[-1]): item["size"] for item in found}

    def _unfinished(self, key: str) -> Layout | None:
        """Return the unbroken beginning of an unfinished write."""
        sizes = self._pieces_of(key)
        if not sizes or self.size(key) is not None:
            return None
        starts: list[int] = []
        end = 0
        for start in sorted(sizes):
            if start != end:
                break
            starts.append(start)
            end += sizes[start]
        return Layout(starts=starts, size=end)

    def _enough(self, key: str, size: int) -> Layout:
        layout = self._unfinished(key)
        if layout is None or layout.size < size:
            raise NotFound("Fewer bytes are kept.", code="bytes_gone")
        return layout


def _whole(key: str) -> str:
    return f"bytes/{location(key)}"


def _piece(key: str, start: int) -> str:
    return f"pieces/{location(key)}/{start:020d}"
