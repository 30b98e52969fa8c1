"""Uploads: seen whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.base.errors import Invalid, NotFound, PreconditionFailed
from armillary.vospace.bytes import MemoryBytes
from armillary.vospace.service import VOSpaceService

X = "/home/ada/x"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def content(space: VOSpaceService, who: Principal) -> bytes:
    return b"".join(space.open_bytes(who, X).chunks)


def test_an_upload_is_invisible_until_it_is_committed(space: VOSpaceService, ada: Principal) -> None:
    upload = space.begin_upload(ada, X)
    upload.write(b"x" * 3_000_000)
    with pytest.raises(NotFound):
        space.node(ada, X)
    node = upload.commit()
    assert (node.length, node.md5, node.written_by) == (3_000_000, md5(b"x" * 3_000_000), "ada")


def test_old_bytes_stay_until_the_new_are_whole_and_then_go(
    space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    space.put_bytes(ada, X, [b"old"])
    upload = space.begin_upload(ada, X)
    upload.write(b"newer")
    assert content(space, ada) == b"old"
    upload.commit()
    assert content(space, ada) == b"newer"
    assert len(list(store.published())) == 1
    assert space.node(ada, "/home/ada").used == 5


def test_a_wrong_checksum_leaves_the_old_bytes(
    space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    space.put_bytes(ada, X, [b"old"])
    with pytest.raises(PreconditionFailed):
        space.put_bytes(ada, X, [b"new"], md5=md5(b"other"))
    assert content(space, ada) == b"old"
    assert len(list(store.published())) == 1


@pytest.mark.parametrize("length", [2, 4])
def test_a_wrong_length_leaves_nothing(
    space: VOSpaceService, ada: Principal, store: MemoryBytes, length: int
) -> None:
    with pytest.raises(Invalid, match="length"):
        space.put_bytes(ada, X, [b"abc"], length=length)
    with pytest.raises(NotFound):
        space.node(ada, X)
    assert list(store.published()) == []


def test_a_source_that_breaks_leaves_nothing(
    space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 2_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        space.put_bytes(ada, X, broken())
    assert list(store.published()) == []
    assert list(space.children(ada, "/home/ada")) == []


def test_a_container_that_goes_away_meanwhile_takes_the_upload_along(
    space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    space.make_container(ada, "/home/ada/a")
    upload = space.begin_upload(ada, "/home/ada/a/x")
    upload.write(b"x")
    space.delete(ada, "/home/ada/a")
    with pytest.raises(NotFound):
        upload.commit()
    assert list(store.published()) == []


def test_an_empty_file_has_no_bytes(space: VOSpaceService, ada: Principal, store: MemoryBytes) -> None:
    space.put_bytes(ada, X, [b"x"])
    node = space.put_bytes(ada, X, [])
    assert (node.length, node.md5, node.blob) == (0, md5(b""), None)
    assert list(store.published()) == []


def test_of_concurrent_writers_one_wins_whole(
    space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    versions = [bytes([digit]) * 300_000 for digit in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: space.put_bytes(ada, X, [data[:1000], data[1000:]]), versions))
    assert content(space, ada) in versions
    assert space.node(ada, "/home/ada").used == 300_000
    assert len(list(store.published())) == 1


def test_recovering_clears_away_bytes_that_no_node_names(
    space: VOSpaceService, ada: Principal, store: MemoryBytes, clock: VirtualClock
) -> None:
    space.put_bytes(ada, X, [b"kept"])
    orphan = store.begin("0" * 32)
    orphan.write(b"orphan")
    orphan.publish()
    clock.advance(datetime.now(UTC) + timedelta(hours=2) - clock.now())
    space.recover()
    assert content(space, ada) == b"kept"
    assert len(list(store.published())) == 1
