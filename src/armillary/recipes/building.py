"""From all that goes in to a disk: what a first build and a rebuild have in common."""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
import uuid
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from armillary.base.clock import Clock, from_iso
from armillary.recipes.disk import BootFiles, boot_files, make_disk, overlay_tar, to_qcow2
from armillary.recipes.lock import PLACE, Lock, Piece, pieces_printed
from armillary.recipes.mirror import KEYRING, released
from armillary.recipes.model import AptSource, BuildFailed, GuestFile, Progress, Recipe
from armillary.recipes.packages import mirror_of
from armillary.recipes.run import run, tool
from armillary.recipes.wheels import fetch_wheels, wheel_files

_PASSED_ON = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
_ASKED = "/root/armillary/packages"
# where each installed package is had from, asked while apt still knows
_ASK = (
    "dpkg-query -W -f='${db:Status-Status} ${binary:Package}=${Version}\\n' | sed -n 's/^installed //p'"
    f" | xargs apt-get --print-uris download > {_ASKED}"
)
_VERSIONS = {"mmdebstrap": "--version", "mke2fs": "-V", "qemu-img": "--version", "tar": "--version"}


def first_lock(
    recipe: Recipe, sources: tuple[AptSource, ...], *, work: Path, clock: Clock, progress: Progress
) -> Lock:
    """Return what a new image is going to be made of, but for the distribution's packages: apt will choose them."""
    snapshot = released(sources, work=work)
    progress("fetching Python packages")
    wheels = fetch_wheels(recipe, folder=_wheels(work))
    return Lock(
        recipe=recipe,
        sources=sources,
        apt="".join(f"{line}\n" for line in host_apt_options()),
        # what a build writes is as old as the packages that it is made of, and not as the day of the build
        epoch=max((_seconds(one["date"]) for one in snapshot), default=int(clock.now().timestamp())),
        snapshot=tuple(snapshot),
        wheels=tuple(Piece(file=path.name, sha256=_sha256(path)) for path in wheels),
        packages=(),
        tools=versions(),
    )


def make(
    lock: Lock, *, work: Path, image: Path, progress: Progress, packages: Path | None = None
) -> tuple[Lock, BootFiles]:
    """Make the directory `image`: disk as qcow2, kernel, ramdisk and lock. Return what it was made of in the end.

    Args:
        lock: what it is made of. Without `packages`, apt chooses those of today and they get into the lock.
        work: a directory with nothing but what `first_lock` has left.
        image: comes to be.
        progress: is told each step.
        packages: the folder with the packages and wheels of the lock.

    Raises:
        BuildFailed: with what failed and what it said.
    """
    root_uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, lock.recipe.digest(lock.sources)))
    system = work / "system.tar"
    _install(lock, system, root_uuid=root_uuid, work=work, progress=progress, packages=packages)
    if not packages:
        lock = replace(lock, packages=pieces_printed((work / "packages").read_text(encoding="utf-8")))
    boot = boot_files(system)
    _held_against(lock, boot)
    _append(system, {PLACE: GuestFile(content=lock.text.encode())})
    progress("making the file system and the boot loader")
    disk = work / "disk.raw"
    make_disk(system, disk=disk, size=lock.recipe.size, root_uuid=root_uuid, boot=boot, epoch=lock.epoch)
    system.unlink()
    progress("converting to qcow2")
    image.mkdir()
    to_qcow2(disk, image / "disk.qcow2")
    disk.unlink()
    (image / "vmlinuz").write_bytes(boot.kernel)
    (image / "initrd.img").write_bytes(boot.initrd)
    (image / "lock.json").write_text(lock.text, encoding="utf-8")
    return lock, boot


def versions() -> dict[str, str]:
    """Return what the programs that build images say of themselves."""
    # mke2fs tells it among its errors
    asked = {name: f"{shlex.quote(tool(name))} {how} 2>&1" for name, how in _VERSIONS.items()}
    return {name: run(["sh", "-c", line], what=name).splitlines()[0] for name, line in asked.items()}


def _install(
    lock: Lock, system: Path, *, root_uuid: str, work: Path, progress: Progress, packages: Path | None
) -> None:
    recipe, apt = lock.recipe, host_apt_options()
    wheels = [(packages or _wheels(work)) / piece.file for piece in lock.wheels]
    files = {**wheel_files(wheels, python=recipe.python), **recipe.files}
    stanzas = "\n".join(source.as_deb822(KEYRING) for source in lock.sources)
    files["root/armillary/sources"] = GuestFile(content=stanzas.encode())
    files["root/armillary/apt.conf"] = GuestFile(content=lock.apt.encode())
    files["root/armillary/setup.sh"] = GuestFile(content=recipe.setup.encode(), mode=0o755)
    (work / "overlay.tar").write_bytes(overlay_tar(files))
    (work / "debian.sources").write_text(stanzas, encoding="utf-8")
    origin = str(work / "debian.sources")
    hooks = [f"tar-in {work / 'overlay.tar'} /"]
    if not packages:
        hooks += [f'chroot "$1" sh -c {shlex.quote(_ASK)}', f"download {_ASKED} {work / 'packages'}"]
    given = f"ROOT_UUID={root_uuid} SOURCE_DATE_EPOCH={lock.epoch}"
    hooks += [f'chroot "$1" env {given} sh /root/armillary/setup.sh']
    many = f"{len(lock.packages or recipe.packages)} packages" + ("" if packages else " and what they need")
    progress(f"installing {recipe.suite} with {many} (a minute or two)")
    with ExitStack() as serving, system.open("wb") as output:
        if packages:
            origin = serving.enter_context(mirror_of(lock, folder=packages, work=work))
            apt = [*apt, 'Acquire::http::Proxy::127.0.0.1 "DIRECT"']
        command = [tool("mmdebstrap"), "--quiet", "--variant=apt", "--format=tar", "--skip=output/dev"]
        command += ['--aptopt=Apt::Install-Recommends "false"', *(f"--aptopt={line}" for line in apt)]
        command += ["--include=" + ",".join(recipe.packages)]
        command += [f"--customize-hook={hook}" for hook in hooks]
        # the ramdisk is made once, by the setup, when its configuration is there
        env = {"INITRD": "No", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        arguments = [recipe.suite, "-", origin]
        run([*command, *arguments], what="installing the system", env=env, stdout=output, cwd=work)


def _held_against(lock: Lock, boot: BootFiles) -> None:
    """Refuse a tree with other packages than those of the lock."""
    locked = dict(piece.package for piece in lock.packages)
    if locked != dict(boot.packages):
        other = sorted(
            name for name in {*locked, *boot.packages} if locked.get(name) != boot.packages.get(name)
        )
        raise BuildFailed(
            f"The packages that were installed are not those of the lock: {', '.join(other[:5])}",
            facts={"packages": other},
        )


def _append(system: Path, files: dict[str, GuestFile]) -> None:
    """Put files into the archive, with the directories that are not there."""
    with tarfile.open(system, "a") as archive, tarfile.open(fileobj=io.BytesIO(overlay_tar(files))) as more:
        there = set(archive.getnames())
        for member in more:
            if member.name not in there:
                archive.addfile(member, more.extractfile(member) if member.isreg() else None)


def host_apt_options() -> list[str]:
    """Return the settings of this computer's apt that reaching its mirrors may need."""
    lines = run([tool("apt-config"), "dump"], what="reading apt's configuration").splitlines()
    return [line for line in lines if line.startswith(tuple(f'{name} "' for name in _PASSED_ON))]


def _wheels(work: Path) -> Path:
    return work / "wheels"


def _seconds(date: str) -> int:
    return int(from_iso(date).timestamp())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
