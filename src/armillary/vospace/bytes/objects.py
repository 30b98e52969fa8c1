"""What all object stores have in common: how objects are read, listed and deleted."""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import obstore

from armillary.base.errors import ArmillaryError, NotFound, OutOfSpace, Unavailable
from armillary.vospace.ports import Stored

if TYPE_CHECKING:
    from obstore import BytesStream, ObjectMeta
    from obstore.store import ObjectStore

CHUNK = 1 << 20
MOST = 8 << 20
"""The longest chunk that a reader gets, and what an upload into an object store keeps in memory."""

FAILURES = (OSError, obstore.exceptions.BaseError)
"""What an object store raises when it cannot do its work."""


def location(key: str) -> str:
    """Where a key lies: two levels, so that no folder gets too many entries."""
    return f"{key[:2]}/{key}"


class ObjectBytes:
    """What was published (`ports.ByteStore`), without the ways to write."""

    def __init__(self, store: ObjectStore) -> None:
        """Keep bytes in an object store."""
        self._store = store

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `ports.ByteStore`."""
        return stream(self._store, location(key), start, stop)

    def size(self, key: str) -> int | None:
        """See `ports.ByteStore`."""
        return size_of(self._store, location(key))

    def delete(self, key: str) -> None:
        """See `ports.ByteStore`."""
        if self.size(key) is not None:
            obstore.delete(self._store, location(key))

    def published(self, shard: str = "") -> Iterator[Stored]:
        """See `ports.ByteStore`."""
        for item in listed(self._store, shard):
            yield Stored(item["path"].rsplit("/", 1)[-1], item["last_modified"], item["size"])


def stream(store: ObjectStore, path: str, start: int, stop: int) -> Iterator[bytes]:
    """Return a range of an object in chunks.

    Raises:
        NotFound: there is none; said at once.
    """
    if start >= stop:  # which no range can say
        if size_of(store, path) is None:
            raise NotFound("These bytes are gone.", code="bytes_gone")
        return iter(())
    try:
        result = obstore.get(store, path, options={"range": (start, stop)})
    except FileNotFoundError as error:
        raise NotFound("These bytes are gone.", code="bytes_gone") from error
    except FAILURES as error:
        raise refusal(error) from error
    return _chunks(result.stream(min_chunk_size=CHUNK))


def size_of(store: ObjectStore, path: str) -> int | None:
    """Return the length of an object; None when there is none."""
    try:
        return obstore.head(store, path)["size"]
    except FileNotFoundError:
        return None
    except FAILURES as error:
        raise refusal(error) from error


def listed(store: ObjectStore, folder: str) -> Generator[ObjectMeta]:
    """Walk over all objects at any depth below a folder."""
    try:
        # The stub has an overload for Arrow, which is not installed and whose type is therefore unknown.
        for batch in obstore.list(store, folder or None, return_arrow=False):  # pyright: ignore[reportUnknownMemberType]
            yield from batch
    except FileNotFoundError:
        return  # a folder that nobody has written to
    except FAILURES as error:
        raise refusal(error) from error


def _chunks(chunks: BytesStream) -> Generator[bytes]:
    """Cut chunks that are too long: memory has them whole."""
    try:
        for chunk in chunks:
            whole = bytes(chunk)
            if len(whole) <= MOST:
                yield whole
            else:
                yield from (whole[start : start + CHUNK] for start in range(0, len(whole), CHUNK))
    except FAILURES as error:
        raise refusal(error) from error


def refusal(error: BaseException) -> ArmillaryError:
    """Say in our words why the medium refused."""
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error):
        return OutOfSpace(
            "The disk with the files of VOSpace is full.",
            remedy="Try again later; an administrator has to make room.",
        )
    return Unavailable(
        "The files of VOSpace cannot be reached.", code="bytes_unavailable", remedy="Try again in a minute."
    )
