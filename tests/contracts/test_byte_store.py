"""What every place for bytes promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from armillary.base.errors import NotFound
from armillary.base.ids import new_hex
from armillary.vospace.bytes import FolderBytes, MemoryBytes, PiecedBytes, S3Bytes
from armillary.vospace.ports import ByteStore, LocalFiles

LATER = datetime.now(UTC) + timedelta(days=1)
BIG = bytes(range(256)) * 4096 * 20  # 20 MiB: more than one part


@pytest.fixture(params=["folder", "memory", "pieces", pytest.param("s3", marks=pytest.mark.engines)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ByteStore:
    made: dict[str, Callable[[], ByteStore]] = {
        "folder": lambda: FolderBytes(tmp_path / "bytes"),
        "memory": MemoryBytes,
        "pieces": lambda: PiecedBytes(MemoryStore()),
        "s3": lambda: S3Bytes(request.getfixturevalue("a_bucket")()),
    }
    return made[request.param]()


def put(store: ByteStore, data: bytes, *, block: int = 1 << 20) -> str:
    key = new_hex()
    writer = store.begin(key)
    for start in range(0, len(data), block):
        writer.write(data[start : start + block])
    writer.publish()
    return key


def test_what_was_published_is_read_back(store: ByteStore) -> None:
    key = put(store, BIG)
    assert store.size(key) == len(BIG)
    assert b"".join(store.read(key, 0, len(BIG))) == BIG


def test_a_range_is_read_alone(store: ByteStore) -> None:
    key = put(store, BIG)
    assert b"".join(store.read(key, 3_000_001, 7_000_003)) == BIG[3_000_001:7_000_003]


def test_a_store_of_files_opens_them(store: ByteStore) -> None:
    key = put(store, BIG[:1000])
    if not isinstance(store, LocalFiles):
        assert not isinstance(store, FolderBytes)
        return
    with open(store.open_file(key), "rb") as file:  # noqa: PTH123 - a descriptor
        assert file.read() == BIG[:1000]
    with pytest.raises(NotFound):
        store.open_file(new_hex())


def test_reading_comes_in_chunks(store: ByteStore) -> None:
    assert max(map(len, store.read(put(store, BIG), 0, len(BIG)))) <= 8 << 20


@pytest.mark.parametrize("size", [1, 20 << 20])
def test_nothing_can_be_seen_before_publishing(store: ByteStore, size: int) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(BIG[:size])
    assert store.size(key) is None
    assert list(store.published()) == []
    with pytest.raises(NotFound):
        store.read(key, 0, 1)
    writer.discard()


@pytest.mark.parametrize("size", [1, 20 << 20])
def test_what_was_discarded_leaves_nothing(store: ByteStore, size: int, tmp_path: Path) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(BIG[:size])
    writer.discard()
    writer.discard()
    assert store.size(key) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_missing_key_is_said_at_once(store: ByteStore) -> None:
    with pytest.raises(NotFound):
        store.read(new_hex(), 0, 1)


def test_what_was_deleted_is_gone_and_deleting_again_is_harmless(store: ByteStore) -> None:
    key = put(store, b"x")
    store.delete(key)
    store.delete(key)
    assert store.size(key) is None


@pytest.mark.parametrize("store", ["folder", "memory"], indirect=True)  # a bucket cannot promise it
def test_a_reader_that_has_begun_reads_to_the_end_while_the_key_is_deleted(store: ByteStore) -> None:
    key = put(store, BIG)
    reader = store.read(key, 0, len(BIG))
    first = next(reader)
    store.delete(key)
    assert first + b"".join(reader) == BIG


def test_published_keys_can_be_walked_with_their_moments(store: ByteStore) -> None:
    keys = {put(store, b"x"), put(store, b"y")}
    found = {stored.key: stored.published_at for stored in store.published()}
    assert set(found) == keys
    assert all(timedelta(0) <= LATER - moment <= timedelta(days=2) for moment in found.values())


def test_forgetting_unfinished_writes_keeps_what_was_published(store: ByteStore) -> None:
    key = put(store, BIG)
    store.forget_unfinished(LATER)
    assert store.size(key) == len(BIG)


def test_a_folder_forgets_what_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "abcd#1").write_bytes(b"half")
    store = FolderBytes(tmp_path)
    assert list(store.published()) == []
    assert store.forget_unfinished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert store.forget_unfinished(LATER) == 1
    assert list((tmp_path / "ab").iterdir()) == []


def test_a_paused_write_goes_on_where_it_was_left(store: ByteStore) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(BIG[:7_000_001])
    writer.pause()
    assert store.kept(key) == 7_000_001
    assert store.size(key) is None
    assert list(store.published()) == []
    writer = store.resume(key, 7_000_001)
    writer.write(BIG[7_000_001:])
    writer.publish()
    assert b"".join(store.read(key, 0, len(BIG))) == BIG
    assert store.kept(key) is None


def test_a_paused_write_can_be_resumed_at_an_earlier_place(store: ByteStore) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(b"abcdef")
    writer.pause()
    writer = store.resume(key, 3)
    writer.write(b"XY")
    writer.pause()
    assert store.kept(key) == 5
    assert b"".join(store.read_kept(key, 5)) == b"abcXY"
    store.resume(key, 5).publish()
    assert b"".join(store.read(key, 0, 5)) == b"abcXY"


def test_what_is_kept_can_be_read_in_chunks(store: ByteStore) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(BIG)
    writer.pause()
    chunks = list(store.read_kept(key, 9_000_001))
    assert b"".join(chunks) == BIG[:9_000_001]
    assert max(map(len, chunks)) <= 8 << 20


def test_more_than_is_kept_cannot_be_resumed_or_read(store: ByteStore) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(b"abc")
    writer.pause()
    with pytest.raises(NotFound):
        store.resume(key, 4)
    with pytest.raises(NotFound):
        store.read_kept(key, 4)
    with pytest.raises(NotFound):
        store.resume(new_hex(), 0)
    assert store.kept(new_hex()) is None
    assert store.kept(key) == 3


def test_a_forgotten_write_leaves_nothing(store: ByteStore, tmp_path: Path) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(BIG)
    writer.pause()
    store.forget(key)
    store.forget(key)
    assert store.kept(key) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_spared_write_outlives_the_sweep(store: ByteStore) -> None:
    key = new_hex()
    writer = store.begin(key)
    writer.write(b"abc")
    writer.pause()
    assert list(store.unfinished(LATER)) == [key]
    store.forget_unfinished(LATER, {key})
    assert store.kept(key) == 3
    store.forget(key)


def test_a_folder_keeps_a_write_over_the_end_of_the_process(tmp_path: Path) -> None:
    key = new_hex()
    writer = FolderBytes(tmp_path).begin(key)
    writer.write(b"abc")
    writer = FolderBytes(tmp_path).resume(key, 3)
    writer.write(b"def")
    writer.publish()
    assert b"".join(FolderBytes(tmp_path).read(key, 0, 6)) == b"abcdef"
