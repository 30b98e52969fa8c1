"""Views behind HTTP: turns, versions, slow places, what is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from made_fits import opened, ramp, written
from obstore.store import MemoryStore

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid, NotFound, Unavailable
from armillary.vospace.bytes import FolderBytes, MemoryBytes, PiecedBytes, S3Bytes
from armillary.vospace.ports import ByteStore
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.views import MAX_EACH, BlobReader, Views
from armillary.vospace.views.ranges import RangeReader
from armillary.vospace.views.runners import InlineRunner, ProcessRunner

SECTION = [("SUB", "[11:20,31:50]")]
FILE = written(fits.PrimaryHDU(ramp(100, 120)))


class Held(InlineRunner):
    """Makes a view when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.let = threading.Event()
        self.count = 0
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def run(self, reader: RangeReader, parameters: Sequence[tuple[str, str]]) -> Iterator[bytes]:
        with self._lock:
            self.count += 1
            self._now += 1
            self.most = max(self.most, self._now)
        self.begun.release()
        assert self.let.wait(20)
        with self._lock:
            self._now -= 1
        return super().run(reader, parameters)


@pytest.fixture
def held(space: VOSpaceService) -> Iterator[tuple[Held, Views]]:
    runner = Held()
    views = Views(files=space, runner=runner, at_once=2)
    yield runner, views
    runner.let.set()
    views.close()


def test_a_few_are_made_at_a_time_and_the_others_wait(
    space: VOSpaceService, ada: Principal, bob: Principal, held: tuple[Held, Views]
) -> None:
    runner, views = held
    space.put_bytes(ada, "/home/ada/x.fits", [FILE])
    futures = [views.start(ada, "/home/ada/x.fits", SECTION) for _ in range(MAX_EACH)]
    for _ in range(2):
        assert runner.begun.acquire(timeout=20)
    with pytest.raises(Unavailable) as refusal:
        views.start(ada, "/home/ada/x.fits", SECTION)
    assert refusal.value.code == "views_busy"
    theirs = views.start(bob, "/home/ada/x.fits", SECTION)
    runner.let.set()
    with pytest.raises(Forbidden):
        theirs.result(20)
    assert {future.result(20).answer.length for future in futures} == {5760}
    assert runner.most == 2
    assert views.start(ada, "/home/ada/x.fits", SECTION).result(20).answer.length == 5760


def test_who_may_not_read_gets_nothing(
    space: VOSpaceService, ada: Principal, eve: Principal, views: Views
) -> None:
    space.put_bytes(ada, "/home/ada/x.fits", [FILE])
    with pytest.raises(Forbidden):
        views.start(eve, "/home/ada/x.fits", SECTION).result(20)
    with pytest.raises(NotFound):
        views.start(ada, "/home/ada/y.fits", SECTION).result(20)
    with pytest.raises(Invalid):
        views.start(ada, "/home/ada/x.fits", [("RUNID", "1")])


def test_a_file_that_is_written_anew_meanwhile_is_cut_from_one_version(
    space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    newer = written(fits.PrimaryHDU(ramp(100, 120) + 1))
    space.put_bytes(ada, "/home/ada/x.fits", [FILE])

    class Overtaken(InlineRunner):
        done = False

        def run(self, reader: RangeReader, parameters: Sequence[tuple[str, str]]) -> Iterator[bytes]:
            if not self.done:
                self.done = True
                space.put_bytes(ada, "/home/ada/x.fits", [newer])
                space.reap()
            return super().run(reader, parameters)

    views = Views(files=space, runner=Overtaken())
    try:
        viewed = views.start(ada, "/home/ada/x.fits", SECTION).result(20)
    finally:
        views.close()
    assert viewed.node.md5 == space.node(ada, "/home/ada/x.fits").md5
    assert np.array_equal(opened(b"".join(viewed.answer))[0].data, (ramp(100, 120) + 1)[30:50, 10:20])


def test_pictures_are_made_once(space: VOSpaceService, ada: Principal, held: tuple[Held, Views]) -> None:
    runner, views = held
    runner.let.set()
    space.put_bytes(ada, "/home/ada/x.fits", [FILE])
    pictures = [views.start(ada, "/home/ada/x.fits", [("PREVIEW", "32")]).result(20) for _ in range(3)]
    assert len({b"".join(picture.answer) for picture in pictures}) == 1
    assert runner.count == 1
    views.start(ada, "/home/ada/x.fits", [("PREVIEW", "33")]).result(20)
    assert runner.count == 2


def test_large_answers_wait_in_a_file(space: VOSpaceService, ada: Principal) -> None:
    space.put_bytes(ada, "/home/ada/x.fits", [written(fits.PrimaryHDU(ramp(2000, 2000)))])
    views = Views(files=space, runner=InlineRunner())
    try:
        viewed = views.start(ada, "/home/ada/x.fits", [("SUB", "[*,*]")]).result(20)
    finally:
        views.close()
    pieces = list(viewed.answer)
    assert max(map(len, pieces)) <= 1 << 20
    assert sum(map(len, pieces)) == viewed.answer.length > 8_000_000
    assert list(viewed.answer) == []


def test_ranges_from_a_slow_place_come_together() -> None:
    class Slow(MemoryBytes):
        def __init__(self) -> None:
            super().__init__()
            self.meeting = threading.Barrier(8, timeout=20)
            self.reads = 0

        def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
            self.reads += 1
            if self.reads == 1:
                threading.Event().wait(0.02)  # the first one tells that it is slow
            else:
                self.meeting.wait()  # passes only when eight are read at the same time
            return iter([bytes([start % 251]) * (stop - start)])

    reader = BlobReader(Slow(), "k", 1 << 20)
    spans = [(n * 1000, n * 1000 + n + 1) for n in range(9)]
    assert reader.read_many(spans) == [bytes([start % 251]) * (stop - start) for start, stop in spans]


@pytest.fixture(params=["folder", "pieces", pytest.param("s3", marks=pytest.mark.engines)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ByteStore:
    made: dict[str, Callable[[], ByteStore]] = {
        "folder": lambda: FolderBytes(tmp_path / "bytes"),
        "pieces": lambda: PiecedBytes(MemoryStore(), piece=1 << 16),
        "s3": lambda: S3Bytes(request.getfixturevalue("a_bucket")()),
    }
    return made[request.param]()


@pytest.mark.parametrize("packed", [False, True])
def test_wherever_the_bytes_are_a_process_cuts_the_same(place: ByteStore, packed: bool) -> None:
    data = ramp(40, 200, 300)
    hdu = fits.CompImageHDU(data, tile_shape=(1, 50, 60)) if packed else fits.ImageHDU(data)
    file = written(fits.PrimaryHDU(), hdu)
    writer = place.begin("ab" + "0" * 30)
    writer.write(file)
    writer.publish()
    runner = ProcessRunner()
    try:
        reader = BlobReader(place, "ab" + "0" * 30, len(file))
        made = b"".join(runner.run(reader, [("SUB", "[1][101:120,31:50,*]")]))
    finally:
        runner.close()
    assert np.array_equal(opened(made)[0].data, data[:, 30:50, 100:120])
