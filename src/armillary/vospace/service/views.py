"""Views of files, made for people: who may read the file may have them."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound, Unavailable
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import ByteStore, LocalFiles
from armillary.vospace.service.access import Who
from armillary.vospace.service.files import Files
from armillary.vospace.views.parameters import Asked, View, parse
from armillary.vospace.views.ranges import Span
from armillary.vospace.views.runners import ViewRunner

MAX_WAITING = 256
"""Views that wait for their turn; more are refused, so that a crowd waits outside and not in memory."""
MAX_EACH = 96
"""Of these for one person, and for all strangers together: others find room."""
AT_ONCE = 4 << 20
"""Answers up to this size are kept in memory, larger ones in a file without a name."""
MAX_CACHE = 8 << 20
"""Bytes of pictures that are kept."""

_SLOW = 0.005
"""Seconds for a range, beyond which it is not from this machine."""
_TOGETHER = 16

Pairs = Sequence[tuple[str, str]]


class Answer:
    """The bytes of a view, to be read once; closed at the end, or by `close`."""

    def __init__(self, file: tempfile.SpooledTemporaryFile[bytes], length: int) -> None:
        """Read a file from its beginning."""
        self._file = file
        self.length = length
        file.seek(0)

    def __iter__(self) -> Iterator[bytes]:
        """Go through the pieces."""
        return self

    def __next__(self) -> bytes:
        """Return the next piece."""
        piece = b"" if self._file.closed else self._file.read(1 << 20)
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Give the file back. Harmless twice."""
        self._file.close()


@dataclass(frozen=True, kw_only=True)
class Viewed:
    """A view of one version of a file."""

    node: Node
    asked: Asked
    answer: Answer


class Views:
    """Makes views, a few at a time."""

    def __init__(
        self, *, files: Files, runner: ViewRunner, at_once: int = 2, folder: Path | None = None
    ) -> None:
        """Make `at_once` views of `files` at a time; keep large answers in `folder` until they are sent."""
        self._files = files
        self._runner = runner
        self._folder = folder
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="views")
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._pictures: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def start(self, who: Who, path: VOSPath | str, parameters: Pairs) -> Future[Viewed]:
        """Begin to make the view that `parameters` ask for; links are followed.

        Raises:
            Invalid: the parameters make no sense.
            Unavailable: with code `views_busy`; too many wait already.

        The future raises what `ViewRunner.run` does, and what opening the file does.
        """
        asked = parse(parameters)
        if asked is None:
            raise Invalid("No view was asked for.", code="invalid_argument", remedy="Send SUB, POS or META.")
        person = who.person.id if isinstance(who, Principal) else who.person_id if who else ""
        with self._lock:
            if self._waiting.total() >= MAX_WAITING or self._waiting[person] >= MAX_EACH:
                raise Unavailable(
                    "Too many cutouts and pictures are waited for.",
                    code="views_busy",
                    facts={"waiting": self._waiting.total(), "yours": self._waiting[person]},
                    remedy="Try again in a minute.",
                )
            self._waiting[person] += 1

        def done(_future: Future[Viewed]) -> None:
            with self._lock:
                self._waiting -= Counter([person])  # and forgets whom it has nothing of

        future = self._threads.submit(self._make, who, path, parameters, asked)
        future.add_done_callback(done)
        return future

    def close(self) -> None:
        """Give up what is in hand, and give everything back."""
        self._runner.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _make(self, who: Who, path: VOSPath | str, parameters: Pairs, asked: Asked) -> Viewed:
        for attempt in range(3):
            node = self._files.open_bytes(who, path, head=True).node
            try:
                return Viewed(node=node, asked=asked, answer=self._answer(node, parameters, asked))
            except NotFound as error:
                # Written anew while we read, and the old bytes are gone: look again.
                if error.code != "bytes_gone" or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _answer(self, node: Node, parameters: Pairs, asked: Asked) -> Answer:
        key = (node.blob or "", json.dumps(list(parameters)))
        with self._lock:
            known = self._pictures.get(key)
        if known is not None:
            with self._lock:
                self._pictures.move_to_end(key)
            return self._spooled(iter([known]))
        if node.blob is None:
            raise Invalid(f"{node.path} is empty.", code="fits_invalid", remedy="Send its bytes first.")
        answer = self._spooled(
            self._runner.run(BlobReader(self._files.bytes, node.blob, node.length), parameters)
        )
        if asked.view is View.PREVIEW and answer.length <= MAX_CACHE // 8:
            data = b"".join(answer)
            self._remember(key, data)
            return self._spooled(iter([data]))
        return answer

    def _spooled(self, pieces: Iterator[bytes]) -> Answer:
        """Take in the whole answer: the process is free again, however slow the client is, and refusals are clean."""
        file = tempfile.SpooledTemporaryFile[bytes](
            max_size=AT_ONCE, dir=str(self._folder) if self._folder else None
        )
        length = 0
        try:
            for piece in pieces:
                length += file.write(piece)
        except BaseException:
            file.close()
            raise
        return Answer(file, length)

    def _remember(self, key: tuple[str, str], data: bytes) -> None:
        with self._lock:
            self._pictures[key] = data
            while sum(map(len, self._pictures.values())) > MAX_CACHE:
                self._pictures.popitem(last=False)


class BlobReader:
    """A blob as `views.ranges.RangeReader`."""

    def __init__(self, store: ByteStore, blob: str, size: int) -> None:
        """Read `blob`, which has `size` bytes."""
        self._store = store
        self._blob = blob
        self._size = size

    @property
    def size(self) -> int:
        """See `RangeReader`."""
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        """See `RangeReader`."""
        return b"".join(self._store.read(self._blob, start, stop))

    def read_many(self, spans: Sequence[Span]) -> Sequence[bytes]:
        """See `RangeReader`. Where a range takes long to come, as from another machine, several come together."""
        found: list[bytes] = []
        began = time.perf_counter()
        for start, stop in spans:
            if found and time.perf_counter() - began > _SLOW * len(found):
                with ThreadPoolExecutor(max_workers=_TOGETHER) as threads:
                    return [*found, *threads.map(self._read_span, spans[len(found) :])]
            found.append(self.read(start, stop))
        return found

    def descriptor(self) -> int | None:
        """See `RangeReader`."""
        return self._store.open_file(self._blob) if isinstance(self._store, LocalFiles) else None

    def _read_span(self, span: Span) -> bytes:
        return self.read(*span)


def tag_of_view(node: Node, parameters: Pairs) -> str:
    """Return the entity tag of a view: another for other bytes and for other parameters."""
    said = json.dumps([node.md5, node.length, sorted((name.upper(), value) for name, value in parameters)])
    return hashlib.sha256(said.encode()).hexdigest()[:32]
