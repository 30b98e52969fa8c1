"""Builds base images, each once: the result is kept under the digest of all that went into it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from armillary.base.clock import Clock, SystemClock, to_iso
from armillary.base.errors import NotFound
from armillary.base.ids import Sha512
from armillary.base.units import Bytes
from armillary.recipes.building import first_lock, make
from armillary.recipes.debian import recipes
from armillary.recipes.disk import BootFiles
from armillary.recipes.lock import Lock
from armillary.recipes.mirror import sources_for
from armillary.recipes.model import AptSource, BuiltImage, Progress, Recipe
from armillary.recipes.run import missing_tools, tool

__all__ = ["build", "build_recipe", "default_cache", "missing_tools", "recipe_named", "recipes"]

_CHUNK = 1 << 20


def default_cache() -> Path:
    """Return where images are kept: `ARMILLARY_CACHE`, or `~/.cache/armillary`."""
    named = os.environ.get("ARMILLARY_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "armillary"


def recipe_named(name: str) -> Recipe:
    """Return a recipe.

    Raises:
        NotFound: there is none of this name.
    """
    known = recipes()
    if name not in known:
        raise NotFound(
            f"There is no recipe named {name}",
            code="no_such_recipe",
            remedy="armillary image recipes",
            facts={"recipes": sorted(known)},
        )
    return known[name]


def build(
    recipe_name: str,
    *,
    cache: Path | None = None,
    progress: Progress = lambda _: None,
    mirror: str | None = None,
    refresh: bool = False,
    clock: Clock | None = None,
) -> BuiltImage:
    """Return the base image of a recipe, made now if it is not in the cache.

    Two builds of one recipe at a time share one image: the second waits. A build that is interrupted leaves
    nothing that a later one would take for an image.

    Args:
        recipe_name: such as `debian-12`.
        cache: directory of all images; `default_cache()` if not given.
        progress: is told each step.
        mirror: a Debian mirror's URL or a sources file, instead of this computer's apt configuration;
            `ARMILLARY_DEBIAN_MIRROR` does the same.
        refresh: build anew though there is one, to get the packages of today.
        clock: tells when the image was created.

    Raises:
        NotFound: no such recipe.
        BuildFailed: with what failed, what it said and what to do.
    """
    return build_recipe(
        recipe_named(recipe_name), cache=cache, progress=progress, mirror=mirror, refresh=refresh, clock=clock
    )


def origin_of(recipe: Recipe, *, mirror: str | None = None) -> tuple[AptSource, ...]:
    """Return the mirrors that a recipe's image is built from here; `mirror` as for `build`."""
    return sources_for(recipe.suite, mirror=mirror or os.environ.get("ARMILLARY_DEBIAN_MIRROR"))


def build_recipe(
    recipe: Recipe,
    *,
    cache: Path | None = None,
    progress: Progress = lambda _: None,
    mirror: str | None = None,
    refresh: bool = False,
    clock: Clock | None = None,
) -> BuiltImage:
    """Return the image of a recipe that need not be one of ours; as `build` does."""
    sources = origin_of(recipe, mirror=mirror)
    key = recipe.key(sources)
    images = (cache or default_cache()) / "images"
    images.mkdir(parents=True, exist_ok=True)
    with locked(images / f".{key}.lock", progress):
        target = images / key
        if not refresh and (target / "manifest.json").exists():
            return load(target, reused=True)
        for name in PACKAGED_BY:
            tool(name)
        # what a killed build left; nobody else builds this key while we hold the lock
        for left in images.glob(f".building-{key}-*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".building-{key}-", dir=images))
        try:
            begun = first_lock(recipe, sources, work=work, clock=clock or SystemClock(), progress=progress)
            lock, boot = make(begun, work=work, image=work / "image", progress=progress)
            progress("computing the digest")
            facts = _manifest(lock, work / "image/disk.qcow2", boot, clock or SystemClock())
            write_manifest(work / "image/manifest.json", facts)
            replace_directory(work / "image", target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return load(target)


PACKAGED_BY = ("mmdebstrap", "mke2fs", "debugfs", "qemu-img", "tar")


def _manifest(lock: Lock, disk: Path, boot: BootFiles, clock: Clock) -> dict[str, object]:
    recipe = lock.recipe
    return {
        "name": recipe.name,
        "title": recipe.title,
        "created": to_iso(clock.now()),
        "recipe": {
            "name": recipe.name,
            "version": recipe.version,
            "inputs_sha256": recipe.digest(lock.sources),
        },
        "snapshot": list(lock.snapshot),
        "lock_sha256": lock.sha256,
        "sha512": sha512_of(disk),
        "size": disk.stat().st_size,
        "virtual_size": recipe.size,
        "disk_format": "qcow2",
        "properties": dict(recipe.properties),
        "tools": dict(lock.tools),
        "sources": [source.uri for source in lock.sources],
        "wheels": [wheel.file for wheel in lock.wheels],
        "packages": dict(sorted(boot.packages.items())),
    }


@contextmanager
def locked(path: Path, progress: Progress) -> Generator[None]:
    """Hold an exclusive lock; it ends with the process, however that ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of the same image")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load(directory: Path, *, reused: bool = False) -> BuiltImage:
    """Return the image that is kept in a directory of the cache."""
    facts = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    kernel, initrd = directory / "vmlinuz", directory / "initrd.img"
    return BuiltImage(
        name=facts["name"],
        path=directory / "disk.qcow2" if facts["disk_format"] == "qcow2" else directory / "disk.raw",
        manifest_path=directory / "manifest.json",
        sha512=Sha512(facts["sha512"]),
        size=Bytes(facts["size"]),
        virtual_size=Bytes(facts["virtual_size"]),
        disk_format=facts["disk_format"],
        kernel=kernel if kernel.exists() else None,
        initrd=initrd if initrd.exists() else None,
        properties=facts.get("properties", {}),
        reused=reused,
    )


def write_manifest(path: Path, manifest: dict[str, object]) -> None:
    """Write a manifest for people and programs to read."""
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def replace_directory(source: Path, target: Path) -> None:
    """Put a complete directory in its place, on disk, in place of what may be there."""
    for path in source.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=".old-", dir=target.parent))
        target.rename(old / "image")
        source.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        source.rename(target)
    parent = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def sha512_of(path: Path) -> Sha512:
    """Return the digest that names an image file."""
    digest = hashlib.sha512()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Sha512(digest.hexdigest())
