"""Resumable uploads: broken off anywhere, they go on, and are seen whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.base.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OutOfSpace,
    PreconditionFailed,
    QuotaExceeded,
    Unauthorized,
)
from armillary.base.units import GiB
from armillary.vospace.bytes import MemoryBytes
from armillary.vospace.bytes.memory import MemoryWriter
from armillary.vospace.core.conditions import ANY, Conditions
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.pieces import Asked
from armillary.vospace.service.resumable import IDLE, ResumableUploads

X = VOSPath.parse("/home/ada/x")
DATA = bytes(range(256)) * 40


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def uploads(space: VOSpaceService) -> ResumableUploads:
    return ResumableUploads(service=space)


def send(uploads: ResumableUploads, who: Principal, upload_id: str, offset: int, data: bytes) -> int:
    piece = uploads.piece(who, upload_id, Asked(offset=offset))
    piece.write(data)
    return piece.end().offset


def content(space: VOSpaceService, who: Principal) -> bytes:
    return b"".join(space.open_bytes(who, X).chunks)


def test_a_file_that_comes_in_pieces_is_invisible_until_the_last(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=len(DATA), md5=md5(DATA))
    assert send(uploads, ada, upload.id, 0, DATA[:5000]) == 5000
    with pytest.raises(NotFound):
        space.node(ada, X)
    assert send(uploads, ada, upload.id, 5000, DATA[5000:]) == len(DATA)
    node = space.node(ada, X)
    assert (content(space, ada), node.md5, node.length) == (DATA, md5(DATA), len(DATA))
    assert uploads.progress(ada, upload.id).upload.is_over


def test_a_piece_that_was_cut_short_is_kept(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=len(DATA))
    piece = uploads.piece(ada, upload.id, Asked(offset=0, length=len(DATA)))
    piece.write(DATA[:3000])
    piece.cut()
    assert uploads.progress(ada, upload.id).offset == 3000
    send(uploads, ada, upload.id, 3000, DATA[3000:])
    assert content(space, ada) == DATA


def test_a_piece_with_a_checksum_is_taken_whole_or_not_at_all(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=len(DATA))
    asked = Asked(offset=0, algorithm="sha1", checksum=hashlib.sha1(DATA[:100]).hexdigest())
    piece = uploads.piece(ada, upload.id, asked)
    piece.write(DATA[:99] + b"!")
    with pytest.raises(PreconditionFailed):
        piece.end()
    assert uploads.progress(ada, upload.id).offset == 0
    piece = uploads.piece(ada, upload.id, asked)
    piece.write(DATA[:50])
    piece.cut()
    assert uploads.progress(ada, upload.id).offset == 0
    piece = uploads.piece(ada, upload.id, asked)
    piece.write(DATA[:100])
    assert piece.end().offset == 100
    send(uploads, ada, upload.id, 100, DATA[100:])
    assert content(space, ada) == DATA


def test_a_piece_at_another_place_is_refused(uploads: ResumableUploads, ada: Principal) -> None:
    upload = uploads.create(ada, X, length=100)
    send(uploads, ada, upload.id, 0, b"x" * 10)
    for offset in (0, 9, 11, 100):
        with pytest.raises(Conflict, match="stands at 10"):
            uploads.piece(ada, upload.id, Asked(offset=offset))


def test_a_newer_piece_takes_over_from_one_whose_connection_hangs(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=len(DATA))
    hanging = uploads.piece(ada, upload.id, Asked(offset=0))
    hanging.write(DATA[:100])
    newer = uploads.piece(ada, upload.id, Asked(offset=100))
    with pytest.raises(Conflict) as refused:
        hanging.write(b"late")
    assert refused.value.code == "upload_taken_over"
    with pytest.raises(Conflict):
        hanging.end()
    hanging.cut()
    newer.write(DATA[100:])
    newer.end()
    assert content(space, ada) == DATA


def test_who_asks_in_order_to_go_on_ends_the_piece_that_hangs(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=len(DATA))
    hanging = uploads.piece(ada, upload.id, Asked(offset=0))
    hanging.write(DATA[:100])
    assert uploads.progress(ada, upload.id).offset == 100
    hanging.write(DATA[100:200])
    assert uploads.progress(ada, upload.id, take_over=True).offset == 200
    with pytest.raises(Conflict):
        hanging.write(b"late")
    send(uploads, ada, upload.id, 200, DATA[200:])
    assert content(space, ada) == DATA


def test_more_than_was_announced_is_refused_and_what_fits_is_kept(
    uploads: ResumableUploads, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=10)
    piece = uploads.piece(ada, upload.id, Asked(offset=0))
    piece.write(b"12345")
    with pytest.raises(Invalid):
        piece.write(b"123456")
    piece.cut()
    assert uploads.progress(ada, upload.id).offset == 5


def test_a_wrong_checksum_of_the_whole_drops_it(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    for named in ({"md5": md5(b"other")}, {"sha256": "0" * 64}):
        upload = uploads.create(ada, X, length=4, **named)
        with pytest.raises(PreconditionFailed) as refused:
            send(uploads, ada, upload.id, 0, b"data")
        assert refused.value.code == "checksum_mismatch"
        with pytest.raises(NotFound):
            uploads.progress(ada, upload.id)
        assert store.kept(upload.key) is None
    assert list(store.published()) == []


def test_an_empty_file_is_there_at_once(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=0)
    assert upload.is_over
    assert space.node(ada, X).length == 0


def test_conditions_are_kept_until_the_end(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    upload = uploads.create(ada, X, length=4, conditions=Conditions(none_match=ANY))
    space.put_bytes(ada, X, [b"somebody was faster"])
    with pytest.raises(PreconditionFailed):
        send(uploads, ada, upload.id, 0, b"data")
    assert content(space, ada) == b"somebody was faster"
    with pytest.raises(PreconditionFailed):
        uploads.create(ada, X, length=4, conditions=Conditions(none_match=ANY))


def test_only_who_began_an_upload_goes_on_with_it(
    uploads: ResumableUploads, ada: Principal, bob: Principal
) -> None:
    upload = uploads.create(ada, X, length=4)
    for call in (uploads.progress, uploads.abandon, uploads.commit, uploads.revert):
        with pytest.raises(NotFound):
            call(bob, upload.id)
    with pytest.raises(Unauthorized):
        uploads.progress(None, upload.id)
    with pytest.raises(Forbidden):
        uploads.create(bob, X, length=4)


def test_who_may_no_longer_write_there_does_not(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal, a_token: Callable[..., Principal]
) -> None:
    upload = uploads.create(ada, X, length=4)
    with pytest.raises(Forbidden):
        uploads.piece(a_token("ada", "vospace:read"), upload.id, Asked(offset=0))


def test_what_would_not_fit_is_refused_at_once_unfinished_uploads_counted(
    uploads: ResumableUploads, ada: Principal
) -> None:
    with pytest.raises(QuotaExceeded):
        uploads.create(ada, X, length=2**30 + 1)
    uploads.create(ada, X.parent / "y", length=2**29)
    with pytest.raises(QuotaExceeded):
        uploads.create(ada, X, length=2**29 + 1)


def test_beginning_the_same_file_again_gives_up_the_first_attempt_when_both_do_not_fit(
    uploads: ResumableUploads, ada: Principal
) -> None:
    first = uploads.create(ada, X, length=2**30)
    uploads.create(ada, X, length=2**30)
    with pytest.raises(NotFound):
        uploads.progress(ada, first.id)


def test_a_file_that_does_not_fit_at_the_end_waits_for_room(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    space.ensure_home(ada.person, GiB(0))
    with pytest.raises(QuotaExceeded):
        uploads.create(ada, X, length=4)
    space.ensure_home(ada.person, GiB(1))
    upload = uploads.create(ada, X, length=4)
    space.ensure_home(ada.person, GiB(0))
    with pytest.raises(QuotaExceeded):
        send(uploads, ada, upload.id, 0, b"data")
    space.ensure_home(ada.person, GiB(1))
    assert uploads.progress(ada, upload.id).upload.is_over
    assert content(space, ada) == b"data"


def test_an_upload_that_nobody_goes_on_with_is_swept_and_its_room_given_back(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal, clock: VirtualClock, store: MemoryBytes
) -> None:
    idle = uploads.create(ada, X, length=len(DATA))
    busy = uploads.create(ada, X.parent / "y", length=len(DATA))
    send(uploads, ada, idle.id, 0, DATA[:10])
    clock.advance(IDLE / 2)
    send(uploads, ada, busy.id, 0, DATA[:10])
    clock.advance(IDLE / 2 + timedelta(seconds=1))
    assert uploads.sweep() == 1
    assert store.kept(idle.key) is None
    with pytest.raises(NotFound):
        uploads.progress(ada, idle.id)
    send(uploads, ada, busy.id, 10, DATA[10:])
    clock.advance(IDLE * 2)
    assert uploads.sweep() == 1
    assert space.node(ada, X.parent / "y").length == len(DATA)
    assert len(list(store.published())) == 1


def test_an_abandoned_upload_leaves_nothing(
    uploads: ResumableUploads, ada: Principal, store: MemoryBytes
) -> None:
    upload = uploads.create(ada, X, length=len(DATA))
    piece = uploads.piece(ada, upload.id, Asked(offset=0))
    piece.write(DATA[:10])
    uploads.abandon(ada, upload.id)
    with pytest.raises(Conflict):
        piece.write(DATA[10:20])
    piece.cut()
    assert store.kept(upload.key) is None
    with pytest.raises(NotFound):
        uploads.abandon(ada, upload.id)


def test_segments_are_added_up_taken_back_and_committed(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal
) -> None:
    upload = uploads.create(ada, X, length=len(DATA), in_segments=True)
    assert uploads.md5_so_far(ada, upload.id) == ""
    send(uploads, ada, upload.id, 0, DATA[:4000])
    assert uploads.md5_so_far(ada, upload.id) == md5(DATA[:4000])
    send(uploads, ada, upload.id, 4000, b"wrong")
    assert uploads.revert(ada, upload.id).offset == 4000
    with pytest.raises(Conflict):
        uploads.revert(ada, upload.id)
    assert uploads.md5_so_far(ada, upload.id) == md5(DATA[:4000])
    with pytest.raises(Invalid):
        uploads.commit(ada, upload.id)
    send(uploads, ada, upload.id, 4000, DATA[4000:])
    with pytest.raises(NotFound):
        space.node(ada, X)
    assert uploads.commit(ada, upload.id).outcome == md5(DATA)
    assert uploads.commit(ada, upload.id).outcome == md5(DATA)
    assert content(space, ada) == DATA


def test_a_segment_that_broke_off_is_dropped(uploads: ResumableUploads, ada: Principal) -> None:
    upload = uploads.create(ada, X, length=len(DATA), in_segments=True)
    send(uploads, ada, upload.id, 0, DATA[:4000])
    piece = uploads.piece(ada, upload.id, Asked(offset=None))
    piece.write(DATA[4000:5000])
    piece.cut()
    assert uploads.md5_so_far(ada, upload.id) == md5(DATA[:4000])


class SmallDisk(MemoryBytes):
    """Has room for so many bytes."""

    room = 1 << 30

    def resume(self, key: str, size: int) -> MemoryWriter:
        return SmallWriter(super().resume(key, size), self)

    def begin(self, key: str) -> MemoryWriter:
        return SmallWriter(super().begin(key), self)


class SmallWriter(MemoryWriter):
    def __init__(self, writer: MemoryWriter, disk: SmallDisk) -> None:
        vars(self).update(vars(writer))
        self._disk = disk

    def write(self, chunk: bytes) -> None:
        if (self._disk.kept(self._key) or 0) + len(chunk) > self._disk.room:
            raise OutOfSpace("full")
        super().write(chunk)


@pytest.fixture
def store() -> MemoryBytes:
    return SmallDisk()


def test_a_full_disk_gives_the_room_of_the_piece_back_and_the_upload_goes_on_later(
    uploads: ResumableUploads, space: VOSpaceService, ada: Principal, store: SmallDisk
) -> None:
    store.room = 1000
    upload = uploads.create(ada, X, length=len(DATA))
    send(uploads, ada, upload.id, 0, DATA[:600])
    piece = uploads.piece(ada, upload.id, Asked(offset=600))
    piece.write(DATA[600:900])
    with pytest.raises(OutOfSpace):
        piece.write(DATA[900:])
    piece.cut()
    assert store.kept(upload.key) == 600
    store.room = len(DATA)
    send(uploads, ada, upload.id, 600, DATA[600:])
    assert content(space, ada) == DATA
