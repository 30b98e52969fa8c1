"""Builds base images, each once: the result is kept under the digest of all that went into it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from armillary.base.clock import Clock, SystemClock, from_iso, to_iso
from armillary.base.errors import NotFound
from armillary.base.ids import Sha512
from armillary.base.units import Bytes
from armillary.recipes.debian import recipes
from armillary.recipes.disk import BootFiles, boot_files, make_disk, overlay_tar, to_qcow2
from armillary.recipes.mirror import KEYRING, released, sources_for
from armillary.recipes.model import AptSource, BuiltImage, GuestFile, Progress, Recipe
from armillary.recipes.run import missing_tools, run, tool
from armillary.recipes.wheels import wheel_files

__all__ = ["build", "default_cache", "missing_tools", "recipe_named", "recipes"]

_PASSED_ON = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
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
    recipe = recipe_named(recipe_name)
    sources = sources_for(recipe.suite, mirror=mirror or os.environ.get("ARMILLARY_DEBIAN_MIRROR"))
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
            _build_in(work, recipe, sources, progress, clock or SystemClock())
            replace_directory(work / "image", target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return load(target)


PACKAGED_BY = ("mmdebstrap", "mke2fs", "qemu-img", "tar")


def _build_in(
    work: Path, recipe: Recipe, sources: tuple[AptSource, ...], progress: Progress, clock: Clock
) -> None:
    root_uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, recipe.digest(sources)))
    snapshot = released(sources, work=work)
    # what a build writes is as old as the packages that it is made of, and not as the day of the build
    epoch = max((int(from_iso(one["date"]).timestamp()) for one in snapshot), default=None)
    progress("fetching Python packages")
    files = {**wheel_files(recipe, work=work), **recipe.files}
    options = _host_apt_options()
    stanzas = "\n".join(source.as_deb822(KEYRING) for source in sources)
    files["root/armillary/sources"] = GuestFile(content=stanzas.encode())
    files["root/armillary/apt.conf"] = GuestFile(content="".join(f"{line}\n" for line in options).encode())
    files["root/armillary/setup.sh"] = GuestFile(content=recipe.setup.encode(), mode=0o755)
    (work / "overlay.tar").write_bytes(overlay_tar(files))
    (work / "debian.sources").write_text(stanzas, encoding="utf-8")
    progress(
        f"installing {recipe.suite} with {len(recipe.packages)} packages and what they need (a minute or two)"
    )
    system = work / "system.tar"
    command = [tool("mmdebstrap"), "--quiet", "--variant=apt", "--format=tar", "--skip=output/dev"]
    command += ['--aptopt=Apt::Install-Recommends "false"', *(f"--aptopt={line}" for line in options)]
    command += ["--include=" + ",".join(recipe.packages)]
    command += [f"--customize-hook=tar-in {work / 'overlay.tar'} /"]
    command += [
        f'--customize-hook=chroot "$1" env ROOT_UUID={root_uuid}{_at(epoch)} sh /root/armillary/setup.sh'
    ]
    with system.open("wb") as output:
        # the ramdisk is made once, by the setup, when its configuration is there
        env = {"INITRD": "No", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        arguments = [recipe.suite, "-", str(work / "debian.sources")]
        run([*command, *arguments], what="installing the system", env=env, stdout=output, cwd=work)
    boot = boot_files(system)
    progress("making the file system and the boot loader")
    disk = work / "disk.raw"
    make_disk(system, disk=disk, size=recipe.size, root_uuid=root_uuid, boot=boot, epoch=epoch)
    system.unlink()
    progress("converting to qcow2")
    image = work / "image"
    image.mkdir()
    to_qcow2(disk, image / "disk.qcow2")
    disk.unlink()
    (image / "vmlinuz").write_bytes(boot.kernel)
    (image / "initrd.img").write_bytes(boot.initrd)
    progress("computing the digest")
    manifest = _manifest(recipe, sources, image / "disk.qcow2", boot, clock)
    manifest["snapshot"] = snapshot
    write_manifest(image / "manifest.json", manifest)


def _at(epoch: int | None) -> str:
    return "" if epoch is None else f" SOURCE_DATE_EPOCH={epoch}"


def _host_apt_options() -> list[str]:
    """Return the settings of this computer's apt that reaching its mirrors may need."""
    lines = run([tool("apt-config"), "dump"], what="reading apt's configuration").splitlines()
    return [line for line in lines if line.startswith(tuple(f'{name} "' for name in _PASSED_ON))]


def _manifest(
    recipe: Recipe, sources: tuple[AptSource, ...], disk: Path, boot: BootFiles, clock: Clock
) -> dict[str, object]:
    versions = {
        name: run([tool(name), "--version"], what=name).splitlines()[0] for name in ("mmdebstrap", "qemu-img")
    }
    return {
        "name": recipe.name,
        "title": recipe.title,
        "created": to_iso(clock.now()),
        "recipe": {"name": recipe.name, "version": recipe.version, "inputs_sha256": recipe.digest(sources)},
        "sha512": sha512_of(disk),
        "size": disk.stat().st_size,
        "virtual_size": recipe.size,
        "disk_format": "qcow2",
        "properties": dict(recipe.properties),
        "tools": versions,
        "sources": [source.uri for source in sources],
        "wheels": list(recipe.wheels),
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
