"""What is inside of images: read once from the bytes of any copy, kept under the digest, which never means another image."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, OutOfSpace, PreconditionFailed
from armillary.base.ids import CloudName, ImageId, Sha512
from armillary.base.units import format_size
from armillary.disks import bounded
from armillary.disks.manifests import unpacked
from armillary.disks.model import VERSION, Manifest
from armillary.fleet.model import FleetImage

log = logging.getLogger(__name__)

SPARE = 2 << 30
"""Bytes that stay free on our disk when an image is fetched to be read."""
_AT_ONCE = 2
_FETCHED = ".fetched-"
_KEPT, _SHORT = f".{VERSION}.json.gz", f".{VERSION}.packages.json"


class Images(Protocol):
    """The fleet, as far as images are read."""

    def find_image(self, project: Project, name_or_id_or_sha512: str) -> FleetImage: ...

    def image_bytes(self, cloud: CloudName, project: Project, image_id: ImageId) -> Iterator[bytes]: ...


class Reader(Protocol):
    """Makes a packed manifest of an image's file: `armillary.disks.bounded.read`."""

    def __call__(self, path: Path, *, progress: Callable[[str], None]) -> bytes: ...


def beside(work: Callable[[], None]) -> None:
    """Do it in a thread that nobody waits for: what it leaves when we are killed is swept at the next start."""
    threading.Thread(target=work, daemon=True, name="image reader").start()


@dataclass(frozen=True, kw_only=True)
class Look:
    """An image, and how far we are with it. `told` is empty once its manifest is there."""

    image: FleetImage
    told: str = ""

    @property
    def ready(self) -> bool:
        """Whether its manifest is there."""
        return not self.told


class ImageContents:
    """The manifests of images in `folder`. Whoever may use an image may know what is in it."""

    def __init__(
        self,
        *,
        fleet: Images,
        folder: Path,
        read: Reader = bounded.read,
        run: Callable[[Callable[[], None]], object] = beside,
        spare: int = SPARE,
    ) -> None:
        self._fleet = fleet
        self._folder = folder
        self._read = read
        self._run = run
        self._spare = spare
        self._guard = threading.Lock()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._told: dict[Sha512, str] = {}
        self._failed: dict[Sha512, ArmillaryError] = {}
        self._manifest = lru_cache(maxsize=2)(self._load)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob(f"{_FETCHED}*"):
            left.unlink(missing_ok=True)

    def look(self, project: Project, image: str, *, anew: bool = False) -> Look:
        """Find an image that the project may use, and begin to read it if nobody has yet.

        Raises:
            NotFound, Conflict: as the fleet has it.
            ArmillaryError: why it could not be read when it was tried last; asking again, or `anew`, tries anew.
        """
        found = self._fleet.find_image(project, image)
        digest = found.sha512 or Sha512("")
        if self.has(digest):
            return Look(image=found)
        with self._guard:
            failed = self._failed.pop(digest, None)
            if failed is not None and not anew:
                raise failed
            told = self._told.get(digest)
            if told is None:
                self._told[digest] = told = "it waits for its turn"
                begin = True
            else:
                begin = False
        if begin:
            self._run(lambda: self._make(project, found, digest))
            if self.has(digest):
                return Look(image=found)
        return Look(image=found, told=told)

    def told(self, sha512: str) -> str:
        """Return how far the reading of an image is; empty when it is not being read."""
        with self._guard:
            return self._told.get(Sha512(sha512), "")

    def has(self, sha512: str) -> bool:
        """Whether the image's manifest is kept."""
        return self._path(sha512, _KEPT).exists()

    def manifest(self, sha512: str) -> Manifest | None:
        """Return the manifest that is kept of an image; None for none."""
        found = self._manifest(sha512) if self.has(sha512) else None
        if found is None:  # damaged on our disk: the next one who asks has it read anew
            self._manifest.cache_clear()
            self._path(sha512, _KEPT).unlink(missing_ok=True)
        return found

    def packages(self, sha512: str) -> Mapping[str, Any] | None:
        """Return the image's packages as JSON has them, with its system and problems; None if nobody has read it."""
        try:
            return json.loads(self._path(sha512, _SHORT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _path(self, sha512: str, ending: str) -> Path:
        name = sha512 if sha512.isalnum() else "none"
        return self._folder / f"{name}{ending}"

    def _load(self, sha512: str) -> Manifest | None:
        return unpacked(self._path(sha512, _KEPT).read_bytes())

    def _make(self, project: Project, image: FleetImage, digest: Sha512) -> None:
        def tell(text: str) -> None:
            with self._guard:
                self._told[digest] = text

        handle, name = tempfile.mkstemp(prefix=_FETCHED, dir=self._folder)
        os.close(handle)
        fetched = Path(name)
        failed: ArmillaryError | None = None
        try:
            with self._turns:
                self._fetch(project, image, digest, fetched, tell)
                tell("its files are read")
                self.keep(
                    digest, self._read(fetched, progress=lambda text: tell(f"its files are read: {text}"))
                )
        except ArmillaryError as error:
            log.warning("image %s cannot be read: %s", digest[:16], error.message)
            failed = error
        finally:
            fetched.unlink(missing_ok=True)
            with self._guard:
                del self._told[digest]
                if failed is not None:
                    self._failed[digest] = failed

    def keep(self, sha512: Sha512, packed: bytes) -> None:
        """Keep a manifest under the digest of its image; the short form first, so that both are there together."""
        manifest = unpacked(packed)
        assert manifest is not None  # a moment old, and our own
        short = {
            "system": manifest.system,
            "filesystem": manifest.filesystem,
            "files": len(manifest.files),
            "problems": list(manifest.problems),
            "packages": [asdict(package) for package in manifest.packages],
        }
        self._write(self._path(sha512, _SHORT), json.dumps(short, ensure_ascii=False).encode())
        self._write(self._path(sha512, _KEPT), packed)

    def _write(self, path: Path, data: bytes) -> None:
        new = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        new.write_bytes(data)
        new.replace(path)

    def _fetch(
        self, project: Project, image: FleetImage, digest: Sha512, into: Path, tell: Callable[[str], None]
    ) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < image.size + self._spare:
            raise OutOfSpace(
                "There is no room to read the image.",
                code="no_room_for_image",
                facts={"size": image.size, "free": free, "spare": self._spare},
                remedy="Ask the operator to make room.",
            )
        seen, done = hashlib.sha512(), 0
        with into.open("wb") as file:
            for chunk in self._fleet.image_bytes(image.cloud, project, image.id):
                seen.update(chunk)
                file.write(chunk)
                done += len(chunk)
                if done > image.size:
                    break  # more than was announced, and maybe without an end
                tell(f"it is fetched from {image.cloud}: {format_size(done)} of {format_size(image.size)}")
        if seen.hexdigest() != digest:
            raise PreconditionFailed(
                f"What {image.cloud} gives for this image is not the image: its digest is another.",
                code="image_bytes_differ",
                facts={"cloud": image.cloud, "expected": digest, "found": seen.hexdigest(), "size": done},
                remedy="Delete the copy there; it is copied again from a cloud that has it whole.",
            )
