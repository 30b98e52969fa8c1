"""Large files in an object store: rows of pieces, and what becomes of those that a crash left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from armillary.base.errors import NotFound, Unavailable
from armillary.base.ids import new_hex
from armillary.vospace.bytes import FolderBytes, PiecedBytes

LATER = datetime.now(UTC) + timedelta(days=1)
DATA = bytes(range(50))


@pytest.fixture
def bucket() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(bucket: MemoryStore) -> PiecedBytes:
    return PiecedBytes(bucket, piece=8)


def objects(bucket: MemoryStore) -> list[str]:
    return sorted(item["path"] for batch in obstore.list(bucket) for item in batch)


def put(store: PiecedBytes, data: bytes) -> str:
    key = new_hex()
    writer = store.begin(key)
    writer.write(data)
    writer.publish()
    return key


def test_a_small_file_is_one_object(store: PiecedBytes, bucket: MemoryStore) -> None:
    key = put(store, DATA[:8])
    assert objects(bucket) == [f"bytes/{key[:2]}/{key}"]


def test_a_large_file_is_a_list_and_its_pieces(store: PiecedBytes, bucket: MemoryStore) -> None:
    key = put(store, DATA)
    pieces = [f"pieces/{key[:2]}/{key}/{start:020d}" for start in range(0, 50, 8)]
    assert objects(bucket) == [f"bytes/{key[:2]}/{key}.pieces", *pieces]


@given(start=st.integers(0, 49), length=st.integers(1, 50), piece=st.integers(1, 60))
def test_any_range_is_read_from_pieces_of_any_size(start: int, length: int, piece: int) -> None:
    store = PiecedBytes(MemoryStore(), piece=piece)
    key = put(store, DATA)
    stop = min(start + length, 50)
    for reader in (store, PiecedBytes(store._store)):
        assert b"".join(reader.read(key, start, stop)) == DATA[start:stop]


@given(
    cuts=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30)), min_size=1, max_size=8),
    piece=st.integers(1, 20),
)
def test_pausing_and_going_back_anywhere_gives_the_same_bytes(
    cuts: list[tuple[int, int]], piece: int
) -> None:
    bucket = MemoryStore()
    key = new_hex()
    whole = b""
    PiecedBytes(bucket, piece=piece).begin(key).pause()
    for back, further in cuts:
        store = PiecedBytes(bucket, piece=piece)  # each time another process
        at = max(len(whole) - back, 0)
        writer = store.resume(key, at)
        new = bytes((at + n) % 251 for n in range(further))
        writer.write(new)
        writer.pause()
        whole = whole[:at] + new
        assert store.kept(key) == len(whole)
        assert b"".join(store.read_kept(key, len(whole))) == whole
    store.resume(key, len(whole)).publish()
    assert store.size(key) == len(whole)
    assert b"".join(store.read(key, 0, len(whole))) == whole
    store.delete(key)
    assert objects(bucket) == []


def test_pieces_that_a_crash_left_are_swept_when_they_are_old(
    store: PiecedBytes, bucket: MemoryStore
) -> None:
    store.begin(new_hex()).write(DATA)
    kept = put(store, DATA)
    assert store.forget_unfinished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert store.forget_unfinished(LATER) == 1
    assert b"".join(store.read(kept, 0, 50)) == DATA
    assert len(objects(bucket)) == 8


def test_pieces_whose_deletion_was_cut_short_are_swept(store: PiecedBytes, bucket: MemoryStore) -> None:
    key = put(store, DATA)
    obstore.delete(bucket, f"bytes/{key[:2]}/{key}.pieces")
    assert store.forget_unfinished(LATER) == 1
    assert objects(bucket) == []


def test_a_file_with_a_lost_piece_is_as_long_as_what_comes_before(
    store: PiecedBytes, bucket: MemoryStore
) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(DATA)
    writer.pause()
    obstore.delete(bucket, f"pieces/{key[:2]}/{key}/{16:020d}")
    assert store.kept(key) == 16


def test_an_upload_that_has_lost_a_piece_is_not_published(store: PiecedBytes, bucket: MemoryStore) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(DATA)
    obstore.delete(bucket, f"pieces/{key[:2]}/{key}/{16:020d}")
    with pytest.raises(Unavailable):
        writer.publish()
    assert store.size(key) is None


def test_what_another_process_deleted_is_missed_at_once(store: PiecedBytes, bucket: MemoryStore) -> None:
    key = put(store, DATA)
    list(store.read(key, 0, 50))
    PiecedBytes(bucket).delete(key)
    with pytest.raises(NotFound):
        store.read(key, 0, 50)


def test_files_that_were_copied_from_a_folder_are_read_whatever_their_size(
    store: PiecedBytes, bucket: MemoryStore, tmp_path: Path
) -> None:
    folder = FolderBytes(tmp_path)
    key = new_hex()
    writer = folder.begin(key)
    writer.write(DATA)
    writer.publish()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            obstore.put(bucket, f"bytes/{file.relative_to(tmp_path)}", file)
    assert (store.size(key), b"".join(store.read(key, 3, 40))) == (50, DATA[3:40])
    assert [(stored.key, stored.size) for stored in store.published(key[:2])] == [(key, 50)]
    store.delete(key)
    assert objects(bucket) == []
