"""Bytes in a folder of this machine: one file for each key, read and written without a layer in between."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from obstore.store import LocalStore

from armillary.base.errors import NotFound
from armillary.vospace.bytes.objects import ObjectBytes, location, refusal

_UNFINISHED = "#1"
"""At the end of the name of a file that is being written; such names are no keys, and are not listed."""

_WRITE_BEHIND = 8 << 20
_CHUNK = 128 << 10
"""read at a time: each of a thousand readers has one or two of them in memory"""


class FolderWriter:
    """Writes beside the final place (`<key>#1`), then renames."""

    def __init__(self, path: Path, descriptor: int, *, new_folder: bool) -> None:
        """Write to an open file that will be renamed to `path`."""
        self._path = path
        self._descriptor = descriptor
        self._new_folder = new_folder
        self._behind = 0

    def write(self, chunk: bytes) -> None:
        """See `ports.ByteWriter`."""
        assert self._descriptor >= 0, "write after the end"
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self._behind += len(chunk)
            if self._behind >= _WRITE_BEHIND:
                # Starts to write to the disk, and does not wait for it: else all of it were left to `publish`.
                stop = os.lseek(self._descriptor, 0, os.SEEK_CUR)
                start = stop - self._behind
                os.posix_fadvise(self._descriptor, start, self._behind, os.POSIX_FADV_DONTNEED)
                self._behind = 0
        except OSError as error:
            raise refusal(error) from error

    def publish(self) -> None:
        """See `ports.ByteWriter`."""
        try:
            _draft(self._path).rename(self._path)
            # The name first becomes known to anybody when the record that holds the key is committed. Until then it
            # is early enough to force the file to the disk, and with it (ext4, XFS, Btrfs) the name that it has got.
            self._sync()
            if self._new_folder:
                self._sync_folder()
        except OSError as error:
            self.discard()
            self._path.unlink(missing_ok=True)
            raise refusal(error) from error

    def pause(self) -> None:
        """See `ports.ByteWriter`."""
        try:
            self._sync()
            if self._new_folder:
                self._sync_folder()
        except OSError as error:
            raise refusal(error) from error

    def discard(self) -> None:
        """See `ports.ByteWriter`."""
        self._close()
        _draft(self._path).unlink(missing_ok=True)

    def _sync(self) -> None:
        assert self._descriptor >= 0, "ended twice"
        try:
            os.fsync(self._descriptor)
        finally:
            self._close()

    def _sync_folder(self) -> None:
        folder = self._path.parent
        for path in (folder, folder.parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        """Give the descriptor back, whatever became of the upload."""
        self._close()


class FolderBytes(ObjectBytes):
    """See `ports.ByteStore`. One file for each key."""

    def __init__(self, folder: Path) -> None:
        """Keep bytes in `folder`, which is made when it is missing."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        super().__init__(LocalStore(prefix=folder))

    def begin(self, key: str) -> FolderWriter:
        """See `ports.ByteStore`."""
        path = self._folder / location(key)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            try:
                return FolderWriter(path, os.open(_draft(path), flags, 0o600), new_folder=False)
            except FileNotFoundError:
                path.parent.mkdir(exist_ok=True, mode=0o700)
                return FolderWriter(path, os.open(_draft(path), flags, 0o600), new_folder=True)
        except OSError as error:
            raise refusal(error) from error

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `ports.ByteStore`."""
        return _pieces(self.open_file(key), start, stop)

    def open_file(self, key: str) -> int:
        """See `ports.LocalFiles`."""
        return self._open(self._folder / location(key), 0)

    def size(self, key: str) -> int | None:
        """See `ports.ByteStore`."""
        return _size(self._folder / location(key))

    def delete(self, key: str) -> None:
        """See `ports.ByteStore`."""
        try:
            (self._folder / location(key)).unlink(missing_ok=True)
        except OSError as error:
            raise refusal(error) from error

    def kept(self, key: str) -> int | None:
        """See `ports.UnfinishedBytes`."""
        return _size(_draft(self._folder / location(key)))

    def resume(self, key: str, size: int) -> FolderWriter:
        """See `ports.UnfinishedBytes`."""
        path = self._folder / location(key)
        descriptor = self._open(_draft(path), size, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, size)
            os.lseek(descriptor, size, os.SEEK_SET)
        except OSError as error:
            os.close(descriptor)
            raise refusal(error) from error
        # Who made the folder may have been killed before it was on the disk.
        return FolderWriter(path, descriptor, new_folder=True)

    def read_kept(self, key: str, stop: int) -> Iterator[bytes]:
        """See `ports.UnfinishedBytes`."""
        return _pieces(self._open(_draft(self._folder / location(key)), stop), 0, stop)

    def forget(self, key: str) -> None:
        """See `ports.UnfinishedBytes`."""
        _draft(self._folder / location(key)).unlink(missing_ok=True)

    def forget_unfinished(self, before: datetime, spare: Collection[str] = ()) -> int:
        """See `ports.UnfinishedBytes`."""
        count = 0
        for key in self.unfinished(before):
            if key not in spare:
                with suppress(FileNotFoundError):  # published or discarded meanwhile
                    _draft(self._folder / location(key)).unlink()
                    count += 1
        return count

    def unfinished(self, before: datetime) -> Iterator[str]:
        """See `ports.UnfinishedBytes`."""
        for path in self._folder.glob("??/*#*"):
            with suppress(FileNotFoundError):  # published or discarded meanwhile
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                    yield path.name.partition("#")[0]

    def _open(self, path: Path, size: int, flags: int = os.O_RDONLY) -> int:
        """Open a file that has at least `size` bytes."""
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError as error:
            raise NotFound("These bytes are gone.", code="bytes_gone") from error
        except OSError as error:
            raise refusal(error) from error
        if os.fstat(descriptor).st_size < size:
            os.close(descriptor)
            raise NotFound("Fewer bytes are kept.", code="bytes_gone")
        return descriptor


class _Open:
    """An open file, closed with the last who knows it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


def _pieces(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    # A generator that nobody has begun does not run its `finally`: the file must close itself.
    return _read(_Open(descriptor), start, stop)


def _read(file: _Open, start: int, stop: int) -> Generator[bytes]:
    while start < stop:
        piece = os.pread(file.descriptor, min(_CHUNK, stop - start), start)
        if not piece:
            return
        start += len(piece)
        yield piece


def _draft(path: Path) -> Path:
    return path.with_name(path.name + _UNFINISHED)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(error) from error
