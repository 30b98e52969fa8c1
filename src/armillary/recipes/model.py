"""What a base image is made from, and what is known of one that was made. Values only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from armillary.base.errors import ArmillaryError
from armillary.base.ids import Sha512
from armillary.base.units import Bytes

Progress = Callable[[str], None]
"""Is told, in one line for a person, what begins now."""


class BuildFailed(ArmillaryError):
    """A base image could not be made; nothing of it is left."""

    code = "image_build_failed"


class MissingTools(BuildFailed):
    """A program that builds images is not installed."""

    code = "missing_tools"


@dataclass(frozen=True, kw_only=True)
class GuestFile:
    """A file that the recipe puts into the image; it belongs to root there."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class AptSource:
    """One stanza of the packages' origin: `URIs`, `Suites` and `Components` of a deb822 source."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]

    def as_deb822(self, keyring: str) -> str:
        """Return the stanza as apt reads it, trusting the keys in `keyring` alone."""
        return (
            f"Types: deb\nURIs: {self.uri}\nSuites: {' '.join(self.suites)}\n"
            f"Components: {' '.join(self.components)}\nSigned-By: {keyring}\n"
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides what is in an image, apart from the state of the package mirrors on the day.

    Attributes:
        name: what a person asks for, such as `debian-12`.
        version: raised with every change that the other attributes do not show.
        packages: the distribution's packages; what they depend on comes with them, recommendations do not.
        wheels: requirements from the Python package index, installed for the system's Python.
        wheels_from_system: names that the distribution's own packages provide, and no wheel may replace.
        files: by path in the image without the leading slash.
        setup: a shell script that runs as root inside the finished tree.
        size: of the virtual disk; a machine grows the file system to its own disk.
    """

    name: str
    version: str
    title: str
    suite: str
    python: str
    packages: tuple[str, ...]
    wheels: tuple[str, ...]
    wheels_from_system: frozenset[str]
    files: Mapping[str, GuestFile]
    setup: str
    size: Bytes
    properties: Mapping[str, str] = field(default_factory=dict[str, str])

    def digest(self, sources: tuple[AptSource, ...]) -> str:
        """Return the SHA-256 of everything in the recipe and of the mirrors that it is built from."""
        facts: list[object] = [self.name, self.version, self.suite, self.python, self.setup, self.size]
        facts += [
            list(self.packages),
            list(self.wheels),
            sorted(self.wheels_from_system),
            dict(self.properties),
        ]
        facts += [[source.as_deb822("") for source in sources]]
        facts += [
            [path, file.mode, hashlib.sha256(file.content).hexdigest()]
            for path, file in sorted(self.files.items())
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def key(self, sources: tuple[AptSource, ...]) -> str:
        """Return the name under which an image of this recipe is kept."""
        return f"{self.name}-{self.digest(sources)[:16]}"


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """An image on this computer, complete and with its digest.

    `kernel` and `initrd` are copies of those in the image, beside it, to try the machine's acceleration with;
    an imported image has none.
    """

    name: str
    path: Path
    manifest_path: Path
    sha512: Sha512
    size: Bytes
    virtual_size: Bytes
    disk_format: str = "qcow2"
    kernel: Path | None = None
    initrd: Path | None = None
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    reused: bool = False
    """True when it was there already, and nothing had to be done."""

    def as_dict(self) -> dict[str, object]:
        """Return what a script wants to know, ready for JSON."""
        return {
            "name": self.name,
            "path": str(self.path),
            "manifest": str(self.manifest_path),
            "sha512": self.sha512,
            "size": self.size,
            "virtual_size": self.virtual_size,
            "disk_format": self.disk_format,
            "kernel": str(self.kernel) if self.kernel else None,
            "initrd": str(self.initrd) if self.initrd else None,
            "properties": dict(self.properties),
            "reused": self.reused,
        }
