"""Images made once more from what lies in them: the same files, or what differs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.base.ids import Sha512
from armillary.disks import bounded, manifests
from armillary.disks.comparing import compare, shape
from armillary.disks.reading import read_file
from armillary.recipes.building import make, versions
from armillary.recipes.lock import PLACE, Lock, lock_from
from armillary.recipes.manifests import Manifests
from armillary.recipes.model import Progress
from armillary.recipes.packages import fetch
from armillary.recipes.service import default_cache, origin_of, recipe_named, sha512_of

_DISK = "disk.qcow2"
_WORK = ".rebuilding-"


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """An image and what came of making it again.

    Attributes:
        sha512: of the image that was there; empty if only its lock was.
        again: of the one that was made.
        same_tree: whether every path has the same type, mode, owner and contents; None if there was nothing to compare.
        differences: by kind, as `armillary image diff` has them; nothing where the bytes are the same.
        tools: those whose version is another now, as (was, is).
        path: where the new image was put.
    """

    name: str
    lock_sha256: str
    sha512: str
    again: Sha512
    same_tree: bool | None
    differences: Mapping[str, Any] | None = None
    tools: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    path: Path | None = None

    @property
    def verdict(self) -> str:
        """In a word: `identical` bit for bit, `same files` on disks with other bytes, `different`, or `alone`."""
        if self.same_tree is None:
            return "alone"
        if self.sha512 == self.again:
            return "identical"
        return "same files" if self.same_tree else "different"

    def as_dict(self) -> dict[str, object]:
        """Return what a script wants to know, ready for JSON."""
        return {
            "verdict": self.verdict,
            "name": self.name,
            "lock_sha256": self.lock_sha256,
            "sha512": self.sha512 or None,
            "again": self.again,
            "same_tree": self.same_tree,
            "differences": self.differences,
            "tools": {name: {"was": was, "is": now} for name, (was, now) in self.tools.items()},
            "path": str(self.path) if self.path else None,
        }


def rebuild(
    subject: str,
    *,
    cache: Path | None = None,
    packages: Path | None = None,
    mirrors: Sequence[str] = (),
    output: Path | None = None,
    trust: bool = False,
    progress: Progress = lambda _: None,
) -> Rebuilt:
    """Make an image again of the very packages that it was made of, and compare the two.

    Args:
        subject: a recipe, whose image in the cache is meant; or the path of an image, or of its lock.
        cache: directory of all images; `default_cache()` if not given.
        packages: a folder that packages and wheels are taken from, and that those come to which are fetched.
        mirrors: URLs of mirrors that are asked first.
        output: where the new image is to be left.
        trust: rebuild an image also if this computer did not build it: what it names runs here.
        progress: is told each step.

    Raises:
        NotFound: `image_not_built`, or `packages_gone` with those that nobody has.
        Forbidden: `image_not_trusted`.
        Invalid: `not_a_lock`.
        Conflict: `output_exists`, `lock_differs`.
        BuildFailed: with what failed, what it said and what to do.
    """
    cache = cache or default_cache()
    if output and output.exists():
        raise Conflict(
            f"{output} is there already", code="output_exists", remedy="Give --output another name"
        )
    image, lock, sha512 = _found(subject, cache, trust, progress)
    images = cache / "images"
    images.mkdir(parents=True, exist_ok=True)
    with workroom(images) as work:
        folder = packages or work / "packages-kept"
        fetch(lock, folder=folder, mirrors=mirrors, progress=progress)
        make(lock, work=work, image=work / "image", progress=progress, packages=folder)
        progress("comparing")
        made = work / "image" / _DISK
        again = sha512_of(made)
        told: dict[str, Any] | None = None
        if image and again != sha512:
            told = _differences(image, made)
        if output:
            shutil.move(made, output)
    now = versions()
    return Rebuilt(
        name=lock.recipe.name,
        lock_sha256=lock.sha256,
        sha512=sha512,
        again=again,
        same_tree=(told is None or bool(told["same_tree"])) if sha512 else None,
        differences=told,
        tools={name: (was, now[name]) for name, was in lock.tools.items() if was != now.get(name, was)},
        path=output,
    )


@contextmanager
def workroom(images: Path) -> Generator[Path]:
    """Make a directory to work in, for as long as this lasts, and remove those that were left by who was killed."""
    with (images / ".rebuilding.lock").open("w") as file:
        with suppress(BlockingIOError):  # others are at work: who comes next sweeps
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in images.glob(f"{_WORK}*"):
                shutil.rmtree(left, ignore_errors=True)
        fcntl.flock(file, fcntl.LOCK_SH)
        work = Path(tempfile.mkdtemp(prefix=_WORK, dir=images))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _found(subject: str, cache: Path, trust: bool, progress: Progress) -> tuple[Path | None, Lock, str]:
    """Return the image, what it was made of, and its digest; no image if there is only the lock."""
    path = Path(subject)
    if not path.is_file():
        recipe = recipe_named(subject)
        path = cache / "images" / recipe.key(origin_of(recipe)) / _DISK
        if not path.exists():
            raise NotFound(
                f"There is no image of {subject} on this computer to make again",
                code="image_not_built",
                remedy=f"armillary image build {subject}, or name the file of an image",
            )
    known = Manifests(cache=cache)
    if path.suffix == ".json":
        lock = lock_from(path.read_text(encoding="utf-8"))
        built = known.locked(lock.sha256)
        beside = path.with_name(_DISK)
        image = beside if beside.exists() else None
        sha512 = sha512_of(image) if image else str((built or {}).get("sha512") or "")
    else:
        progress("looking for what it was made of")
        image, sha512, lock = path, sha512_of(path), None
        built = known.of(sha512)
    # what was imported is known here, too, and is a stranger's all the same
    made_of = str((built or {}).get("lock_sha256") or "")
    if not made_of and not trust:
        raise Forbidden(
            f"{path} was not built on this computer, and to make it again is to run what it says",
            code="image_not_trusted",
            remedy="If you trust those who made it: --trust",
        )
    if lock is not None:
        return image, lock, sha512
    text = read_file(path, PLACE)
    lock = lock_from(text)
    said = hashlib.sha256(text.encode()).hexdigest()
    if not trust and said != made_of:
        raise Conflict(
            f"{path} says that it was made of something else than was written down when it was built here",
            code="lock_differs",
            facts={"lock_sha256": said, "built_from": made_of},
            remedy="Build the image anew: armillary image build NAME --refresh",
        )
    return image, lock, sha512


def _differences(before: Path, after: Path) -> dict[str, Any]:
    one, other = (manifests.unpacked(bounded.read(path)) for path in (before, after))
    assert one is not None
    assert other is not None
    return shape(compare(one, other))
