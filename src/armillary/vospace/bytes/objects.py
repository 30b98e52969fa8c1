"""What all object stores have in common."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import obstore

from armillary.base.errors import ArmillaryError, NotFound, OutOfSpace, Unavailable

if TYPE_CHECKING:
    from obstore import BytesStream, WritableFile
    from obstore.store import ObjectStore

CHUNK = 1 << 20
_PART = 8 << 20
"""Written to the medium in parts of this size; also what one upload keeps in memory."""


def location(key: str) -> str:
    """Where a key lies: two levels, so that no folder gets too many entries."""
    return f"{key[:2]}/{key}"


class ObjectWriter:
    """See `ports.ByteWriter`. Keeps at most two parts in memory."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        """Open a key for writing."""
        self._key = key
        self._file: WritableFile | None = obstore.open_writer(
            store, location(key), buffer_size=_PART, max_concurrency=1
        )

    def write(self, chunk: bytes) -> None:
        """See `ports.ByteWriter`."""
        assert self._file is not None, "write after publish or discard"
        try:
            self._file.write(chunk)
        except (OSError, obstore.exceptions.BaseError) as error:
            raise refusal(error) from error

    def publish(self) -> None:
        """See `ports.ByteWriter`."""
        assert self._file is not None, "publish after publish or discard"
        file, self._file = self._file, None
        try:
            file.close()
            self._persist()
        except (OSError, obstore.exceptions.BaseError) as error:
            raise refusal(error) from error

    def discard(self) -> None:
        """See `ports.ByteWriter`. The library abandons its upload with its file object."""
        self._file = None

    def _persist(self) -> None:
        """Do what the medium needs to survive a power cut."""


class ObjectBytes:
    """What was published (`ports.ByteStore`), without the ways to write."""

    def __init__(self, store: ObjectStore) -> None:
        """Keep bytes in an object store."""
        self._store = store

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `ports.ByteStore`."""
        try:
            result = obstore.get(self._store, location(key), options={"range": (start, stop)})
        except FileNotFoundError as error:
            raise NotFound("These bytes are gone.", code="bytes_gone") from error
        return _pieces(result.stream(min_chunk_size=CHUNK))

    def size(self, key: str) -> int | None:
        """See `ports.ByteStore`."""
        try:
            return obstore.head(self._store, location(key))["size"]
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """See `ports.ByteStore`."""
        if self.size(key) is not None:
            obstore.delete(self._store, location(key))

    def published(self) -> Iterator[tuple[str, datetime]]:
        """See `ports.ByteStore`."""
        # The stub has an overload for Arrow, which is not installed and whose type is therefore unknown.
        batches = obstore.list(self._store, return_arrow=False)  # pyright: ignore[reportUnknownMemberType]
        for batch in batches:
            for item in batch:
                yield item["path"].rsplit("/", 1)[-1], item["last_modified"]


def _pieces(chunks: BytesStream) -> Iterator[bytes]:
    """Cut chunks that are too long: memory has them whole."""
    for chunk in chunks:
        whole = bytes(chunk)
        if len(whole) <= _PART:
            yield whole
        else:
            yield from (whole[start : start + CHUNK] for start in range(0, len(whole), CHUNK))


def refusal(error: BaseException) -> ArmillaryError:
    """Say in our words why the medium refused."""
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error):
        return OutOfSpace(
            "The disk with the files of VOSpace is full.",
            remedy="Try again later; an administrator has to make room.",
        )
    return Unavailable(
        "The files of VOSpace cannot be written.", code="bytes_unavailable", remedy="Try again in a minute."
    )
