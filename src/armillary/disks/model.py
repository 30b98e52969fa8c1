"""What an image holds, as values: its files by path and digest, its packages, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from armillary.base.errors import Invalid

VERSION = 1
"""Of the manifest; one of another version is made anew."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that one image may ask of us. They hang on the image alone, so that its manifest is always the same."""

    files: int = 2_000_000
    depth: int = 200
    name_bytes: int = 256 << 20
    """all paths together"""
    hashed: int = 64 << 30
    """bytes of files that are read for their digests, all together"""
    one_file: int = 16 << 30
    kept: int = 64 << 20
    """a file whose contents we look into, such as a package database"""
    problems: int = 50


@dataclass(frozen=True, kw_only=True)
class File:
    """One path. `kind`: file, dir, link, or other (a device, a socket)."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    sha256: str = ""
    """of a file's bytes; empty if they were not read"""
    target: str = ""
    """of a link"""
    package: str = ""
    """the package of the system that brought it; empty for none"""


@dataclass(frozen=True, kw_only=True, order=True)
class Package:
    """A piece of software with a version. `source`: dpkg, rpm, python or conda; `place`: where, if it may be in several."""

    source: str
    name: str
    version: str
    architecture: str = ""
    place: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What stays when its version changes."""
        return (self.source, self.place, self.name, self.architecture)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that we say of one image."""

    system: str
    """such as `Debian GNU/Linux 12 (bookworm)`"""
    filesystem: str
    files: Sequence[File]
    packages: Sequence[Package]
    problems: Sequence[str] = ()
    """what was not read, and why"""
    clean: bool = True
    """whether the file system was written out to its end: not so when it was copied from a running machine"""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What one image has that the other has not, or has otherwise."""

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two images: their packages, their configuration (`/etc`), and their files that no package brought."""

    packages_added: Sequence[Package] = ()
    packages_removed: Sequence[Package] = ()
    packages_changed: Sequence[tuple[Package, Package]] = ()
    configuration: Difference = field(default_factory=Difference)
    outside: Difference = field(default_factory=Difference)
    """files outside of packages, without /etc"""
    altered: Difference = field(default_factory=Difference)
    """files of packages whose versions are the same: somebody changed them by hand"""
    same_tree: bool = False
    """whether every path has the same type, mode, owner, size and contents"""


def damaged(what: str, **facts: Any) -> Invalid:
    """Return the refusal of an image that cannot be read."""
    return Invalid(
        f"The image cannot be read: {what}.",
        code="image_unreadable",
        facts=facts,
        remedy="Look at it with: qemu-img check",
    )
