"""Contents of images: each once, in a file that is named by its SHA-512, and never changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from armillary.base.errors import OutOfSpace, PreconditionFailed, TooLarge
from armillary.base.ids import Sha512
from armillary.base.units import format_size
from armillary.cloud.core.qcow2 import HEADER_BYTES
from armillary.cloud.images.model import Declared

_CHUNK = 1 << 20
_NO_SPACE = frozenset({28, 122})  # ENOSPC, EDQUOT


@dataclass(frozen=True, kw_only=True)
class Content:
    """What arrived, as it was counted here."""

    start: bytes
    length: int
    md5: str
    sha512: Sha512


class Arrival:
    """A file that is being received. It is invisible until `keep`, and gone if that never comes."""

    def __init__(self, *, directory: Path, declared: Declared, limit: int) -> None:
        """Begin to receive into `directory`, at most `limit` bytes."""
        if declared.length is not None and declared.length > limit:
            raise _over(limit)
        descriptor, name = tempfile.mkstemp(dir=directory, prefix="arriving-")
        self.path = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._declared, self._limit = declared, limit
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._sha256 = hashlib.sha256() if declared.sha256 else None
        self._length = 0
        self._start = bytearray()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Discard what was not kept."""
        self.discard()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            TooLarge: there are more than an image may have.
            OutOfSpace: the disk is full.
        """
        self._length += len(chunk)
        if self._length > self._limit:
            raise _over(self._limit)
        if len(self._start) < HEADER_BYTES:
            self._start += chunk[: HEADER_BYTES - len(self._start)]
        for digest in (self._md5, self._sha512, self._sha256):
            if digest is not None:
                digest.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _full(error) from error

    def finish(self) -> Content:
        """Bring everything to disk, and hold it against what was declared.

        Raises:
            PreconditionFailed: bytes are missing, or a digest differs.
            OutOfSpace: the disk is full.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _full(error) from error
        content = Content(
            start=bytes(self._start),
            length=self._length,
            md5=self._md5.hexdigest(),
            sha512=Sha512(self._sha512.hexdigest()),
        )
        declared = self._declared
        if declared.length is not None and declared.length != content.length:
            raise PreconditionFailed(
                f"{content.length} bytes arrived of {declared.length} that were announced",
                code="image_truncated",
                remedy="Upload the image again.",
                facts={"expected": declared.length, "got": content.length},
            )
        digests = {"md5": content.md5, "sha512": content.sha512}
        if self._sha256 is not None:
            digests["sha256"] = self._sha256.hexdigest()
        for name, got in digests.items():
            wanted: str | None = getattr(declared, name)
            if wanted and wanted.lower() != got:
                raise PreconditionFailed(
                    f"The {name} of what arrived is {got}, not {wanted.lower()} as declared",
                    code="image_digest_mismatch",
                    remedy="Upload the image again, or correct the declared digest.",
                    facts={"algorithm": name, "expected": wanted.lower(), "got": got},
                )
        return content

    def discard(self) -> None:
        """Forget what arrived, unless it was kept. May be called again."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Blobs:
    """The folder of all contents."""

    def __init__(self, *, directory: Path) -> None:
        """Use `directory`, which is made if it is not there."""
        self._directory = directory
        self._arriving = directory / "arriving"
        self._arriving.mkdir(parents=True, exist_ok=True)

    def path(self, sha512: Sha512) -> Path:
        """Where the content with this digest is, or would be."""
        return self._directory / sha512

    def arrival(self, *, declared: Declared, limit: int) -> Arrival:
        """Begin to receive a content."""
        try:
            return Arrival(directory=self._arriving, declared=declared, limit=limit)
        except OSError as error:
            raise _full(error) from error

    def keep(self, file: Path, sha512: Sha512) -> None:
        """Move a complete file, already on disk, to its place. One that is there already is kept instead."""
        target = self.path(sha512)
        if target.exists():
            file.unlink()
            return
        if file.stat().st_dev != self._arriving.stat().st_dev:
            file = self._moved_here(file)
        file.chmod(0o444)  # nobody writes to an image
        file.rename(target)
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _moved_here(self, file: Path) -> Path:
        """Bring a file from another file system to ours, so that it can be renamed."""
        descriptor, name = tempfile.mkstemp(dir=self._arriving, prefix="arriving-")
        try:
            with os.fdopen(descriptor, "wb") as copy, file.open("rb") as original:
                shutil.copyfileobj(original, copy, _CHUNK)
                copy.flush()
                os.fsync(copy.fileno())
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            raise _full(error) from error
        file.unlink()
        return Path(name)

    def take(self, file: Path, *, limit: int) -> Content:
        """Count and bring to disk a file that is on this computer, where it is.

        Raises:
            TooLarge: it is larger than an image may be.
        """
        length = file.stat().st_size
        if length > limit:
            raise _over(limit)
        md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
        start = b""
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                start = start or chunk[:HEADER_BYTES]
                md5.update(chunk)
                sha512.update(chunk)
            os.fsync(stream.fileno())
        return Content(start=start, length=length, md5=md5.hexdigest(), sha512=Sha512(sha512.hexdigest()))

    def remove(self, sha512: Sha512) -> None:
        """Remove a content. Who has it open reads on to its end."""
        self.path(sha512).unlink(missing_ok=True)

    def all(self) -> Iterator[Sha512]:
        """Every content that is here."""
        for path in self._directory.iterdir():
            if path.is_file() and len(path.name) == 128:
                yield Sha512(path.name)

    def clear_arrivals(self) -> None:
        """Remove what arrivals left that a crash ended."""
        for path in self._arriving.glob("arriving-*"):
            path.unlink(missing_ok=True)


def _over(limit: int) -> TooLarge:
    return TooLarge(
        f"Denying attempt to upload image larger than {limit} bytes",
        code="image_too_large",
        remedy=f"An image may have {format_size(limit)}.",
        facts={"limit": limit},
    )


def _full(error: OSError) -> Exception:
    if error.errno in _NO_SPACE:
        return OutOfSpace("Image storage media is full", code="image_storage_full", remedy="Delete images.")
    return error
