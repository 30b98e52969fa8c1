"""The packages of an image from the records that package managers leave in it: dpkg, rpm, Python, conda."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser

from armillary.disks.model import Package
from armillary.disks.rpm import DATABASES, UNREAD, installed

_DPKG = "var/lib/dpkg/status"
_LISTS = re.compile(r"var/lib/dpkg/info/([^/]+)\.list")
_METADATA = re.compile(r"(.+/(?:site|dist)-packages)/[^/]+\.dist-info/METADATA")
_RECORD = re.compile(r"(.+/(?:site|dist)-packages)/([^/]+)\.dist-info/RECORD")
_CACHED = re.compile(r"(?:(.+)/)?__pycache__/([^/]+?)\.cpython-\d+(?:\.opt-\d)?\.pyc")
_CONDA = re.compile(r"(.+)/conda-meta/[^/]+\.json")
RELEASE = ("etc/os-release", "usr/lib/os-release")


def wanted(path: str) -> bool:
    """Whether `read` wants the contents of this file."""
    return bool(
        path == _DPKG
        or path in DATABASES
        or path in RELEASE
        or _LISTS.fullmatch(path)
        or _METADATA.fullmatch(path)
        or _RECORD.fullmatch(path)
        or _CONDA.fullmatch(path)
    )


@dataclass(kw_only=True)
class Software:
    """What is installed, and which path came with which package of the system."""

    packages: list[Package] = field(default_factory=list[Package])
    owners: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])


def read(contents: Mapping[str, bytes], paths: frozenset[str]) -> Software:
    """Return the software that the files of an image, by path, speak of; `paths` are all that there are."""
    found = Software()
    for path, content in sorted(contents.items()):
        if path == _DPKG:
            found.packages += _dpkg(content)
        elif path in DATABASES:
            packages, owners, problems = installed(path, content)
            found.packages += packages
            found.owners |= owners
            found.problems += problems
        elif match := _LISTS.fullmatch(path):
            name = match[1].split(":")[0]
            for line in content.decode(errors="surrogateescape").splitlines():
                found.owners.setdefault(line.strip().lstrip("/"), name)
    found.problems += [f"/{path}: {why}" for path, why in UNREAD.items() if path in paths]
    system = frozenset(found.owners)
    for path, content in sorted(contents.items()):
        if path in system:
            continue  # the system's package manager speaks for it already
        if match := _METADATA.fullmatch(path):
            found.packages += _python(content, match[1])
        elif match := _RECORD.fullmatch(path):
            _own(found, _recorded(content, match[1]), _python_name(match[2].split("-")[0]))
        elif match := _CONDA.fullmatch(path):
            _conda(found, content, match[1], path)
    for path in paths:
        if path not in found.owners and (match := _CACHED.fullmatch(path)):
            source = f"{match[1]}/{match[2]}.py" if match[1] else f"{match[2]}.py"
            if source in found.owners:  # Python made it of a package's file
                found.owners[path] = found.owners[source]
    found.packages.sort()
    return found


def _own(found: Software, paths: Iterable[str], package: str) -> None:
    for path in paths:
        found.owners.setdefault(path, package)


def _recorded(content: bytes, place: str) -> Iterator[str]:
    for line in content.decode(errors="surrogateescape").splitlines():
        name = line.rsplit(",", 2)[0].strip('"')
        yield posixpath.normpath(name if name.startswith("/") else f"{place}/{name}").lstrip("/")


def release(contents: Mapping[str, bytes]) -> str:
    """Return what the system calls itself."""
    for path in RELEASE:
        for line in contents.get(path, b"").decode(errors="replace").splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip().strip("\"'")[:200]
    return ""


def _dpkg(content: bytes) -> Iterator[Package]:
    for block in content.decode(errors="replace").split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.splitlines():
            if line[:1] not in (" ", "\t"):
                name, _, value = line.partition(":")
                fields.setdefault(name, value.strip())
        if fields.get("Status", "").endswith(" installed") and fields.get("Package"):
            yield Package(
                source="dpkg",
                name=fields["Package"],
                version=fields.get("Version", ""),
                architecture=fields.get("Architecture", ""),
            )


def _python(content: bytes, place: str) -> Iterator[Package]:
    fields = BytesHeaderParser().parsebytes(content[: 256 * 1024])
    name = str(fields.get("Name") or "").strip()
    if name:
        version = str(fields.get("Version") or "")[:200]
        yield Package(source="python", name=_python_name(name), version=version, place=f"/{place}")


def _python_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()[:200]


def _conda(found: Software, content: bytes, place: str, path: str) -> None:
    try:
        record = json.loads(content)
        name, version, build = record["name"], record["version"], record.get("build", "")
        files = [f"{place}/{file}" for file in record.get("files") or ()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found.problems.append(f"/{path}: no record of a conda package")
        return
    _own(found, files, str(name)[:200])
    found.packages.append(
        Package(
            source="conda",
            name=str(name)[:200],
            version=f"{version} {build}".strip()[:200],
            architecture=str(record.get("subdir") or "")[:50],
            place=f"/{place}",
        )
    )
