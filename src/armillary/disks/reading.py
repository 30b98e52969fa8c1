"""An image in, its manifest out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from armillary.disks import software
from armillary.disks.model import Bounds, File, Manifest
from armillary.disks.opening import open_disk
from armillary.disks.volumes import systems, text
from armillary.disks.walking import Progress, walk


def read_image(
    path: Path,
    *,
    backing: Sequence[Path] = (),
    bounds: Bounds | None = None,
    progress: Progress = lambda _: None,
) -> Manifest:
    """Return what is on an image, from its bytes alone.

    It may need minutes and hundreds of mebibytes for an image that means harm: `bounded.read` is for those.

    Raises:
        Invalid: it cannot be read, has no system, or has more than the bounds allow.
    """
    with open_disk(path, backing=backing) as disk:
        root, mounts, problems = systems(disk)
        tree = walk(root, mounts, wanted=software.wanted, bounds=bounds or Bounds(), progress=progress)
    known = software.read(tree.contents, frozenset(file.path for file in tree.files))
    return Manifest(
        system=software.release(tree.contents),
        filesystem=root.kind,
        files=_owned(tree.files, known.owners),
        packages=known.packages,
        problems=[*problems, *tree.problems, *known.problems],
        clean=root.clean and all(mounted.clean for mounted in mounts.values()),
    )


def read_file(path: Path, name: str, *, most: int = 16 << 20) -> str:
    """Return the text of one file of an image; empty if it has none of that name.

    Raises:
        Invalid: it cannot be read, or has no system.
    """
    with open_disk(path) as disk:
        root, _, _ = systems(disk)
        return text(root.root, *name.split("/"), most=most)


def _owned(files: list[File], owners: dict[str, str]) -> list[File]:
    """Say which package brought each file, also where its record says /lib and the system has only /usr/lib."""
    links = {
        file.path: file.target.strip("/") for file in files if file.kind == "link" and "/" not in file.path
    }
    by_path: dict[str, str] = {}
    for path, package in owners.items():
        first, slash, rest = path.partition("/")
        by_path[f"{links[first]}/{rest}" if slash and first in links else path] = package
    return [replace(f, package=by_path[f.path]) if f.path in by_path else f for f in files]
