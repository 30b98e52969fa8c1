"""Two manifests held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from armillary.disks.model import Comparison, Difference, File, Manifest, Package

MOST_PATHS = 20_000
"""of one kind of difference in one answer"""
_CONFIGURATION = "etc/"


def compare(before: Manifest, after: Manifest) -> Comparison:
    """Return what `after` has otherwise than `before`.

    Files of packages that came, went or changed version are not listed one by one: the packages are.
    """
    old, new = _by_key(before.packages), _by_key(after.packages)
    changed = [(old[key], new[key]) for key in sorted(old.keys() & new.keys()) if old[key] != new[key]]
    settled = {name for name, _ in _versions(before.packages) & _versions(after.packages)}
    files, others = {f.path: f for f in before.files}, {f.path: f for f in after.files}
    paths = sorted(p for p in files.keys() | others.keys() if files.get(p) != others.get(p))

    def differing(belongs: Callable[[File], bool]) -> Difference:
        return _difference(paths, files, others, belongs)

    return Comparison(
        packages_added=[new[key] for key in sorted(new.keys() - old.keys())],
        packages_removed=[old[key] for key in sorted(old.keys() - new.keys())],
        packages_changed=changed,
        configuration=differing(lambda f: f.path.startswith(_CONFIGURATION)),
        outside=differing(lambda f: not f.package and not f.path.startswith(_CONFIGURATION)),
        altered=differing(
            lambda f: (
                bool(f.package) and not f.path.startswith(_CONFIGURATION) and f.package.lower() in settled
            )
        ),
        same_tree=not paths,
    )


def _by_key(packages: Iterable[Package]) -> dict[tuple[str, str, str, str], Package]:
    return {package.key: package for package in packages}


def _versions(packages: Iterable[Package]) -> set[tuple[str, str]]:
    return {(package.name.lower(), package.version) for package in packages}


def _difference(
    paths: Iterable[str],
    files: Mapping[str, File],
    others: Mapping[str, File],
    belongs: Callable[[File], bool],
) -> Difference:
    added: list[str] = []
    removed: list[str] = []
    changed: list[dict[str, Any]] = []
    for path in paths:
        old, new = files.get(path), others.get(path)
        one = new or old
        if one is None or not belongs(one):
            continue
        if old is None:
            added.append(path)
        elif new is None:
            removed.append(path)
        else:
            changed.append({"path": path, "what": what_differs(old, new)})
    return Difference(added=added, removed=removed, changed=changed)


def what_differs(old: File, new: File) -> list[str]:
    """Return in words what is otherwise: type, contents, target, mode, owner, package."""
    pairs = (
        ("type", old.kind, new.kind),
        ("contents", (old.size, old.sha256), (new.size, new.sha256)),
        ("target", old.target, new.target),
        ("mode", old.mode, new.mode),
        ("owner", (old.uid, old.gid), (new.uid, new.gid)),
        ("package", old.package, new.package),
    )
    return [name for name, one, other in pairs if one != other]


def shape(found: Comparison) -> dict[str, Any]:
    """The JSON shape of how two images differ; of many paths of a kind the first, and how many there are."""
    changed = [{**asdict(new), "was": old.version} for old, new in found.packages_changed]
    return {
        "same_tree": found.same_tree,
        "packages": {
            "added": [asdict(package) for package in found.packages_added],
            "removed": [asdict(package) for package in found.packages_removed],
            "changed": changed,
        },
        "configuration": _shape(found.configuration),
        "outside": _shape(found.outside),
        "altered": _shape(found.altered),
    }


def _shape(found: Difference) -> dict[str, Any]:
    return {
        "added": list(found.added[:MOST_PATHS]),
        "removed": list(found.removed[:MOST_PATHS]),
        "changed": list(found.changed[:MOST_PATHS]),
        "counts": {
            "added": len(found.added),
            "removed": len(found.removed),
            "changed": len(found.changed),
        },
    }
