"""A manifest as bytes: JSON in gzip, the same bytes for the same manifest."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import astuple
from typing import Any

from armillary.base.errors import Invalid
from armillary.disks.model import VERSION, File, Manifest, Package

MOST_BYTES = 256 << 20
"""of JSON: more than any honest image has. The platform reads it into its memory."""
_GZIP = 16 + zlib.MAX_WBITS


def packed(manifest: Manifest, *, most: int = MOST_BYTES) -> bytes:
    """Return the manifest's bytes. Raises Invalid `image_too_big`."""
    document = {
        "version": VERSION,
        "system": manifest.system,
        "filesystem": manifest.filesystem,
        "clean": manifest.clean,
        "problems": list(manifest.problems),
        "packages": [astuple(package) for package in manifest.packages],
        "files": [
            (f.path, f.kind, f.mode, f.uid, f.gid, f.size, f.sha256, f.target, f.package)
            for f in manifest.files
        ],
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > most:
        raise Invalid(
            f"The list of what is on the image has {len(text)} bytes, and {most} is the most.",
            code="image_too_big",
            facts={"what": "bytes of its list", "limit": most},
        )
    return gzip.compress(text, compresslevel=6, mtime=0)


def unpacked(data: bytes, *, most: int = MOST_BYTES) -> Manifest | None:
    """Return the manifest that bytes are; None for those of another version, or of none, or that are too many."""
    try:
        unpacker = zlib.decompressobj(wbits=_GZIP)
        text = unpacker.decompress(data, most)
        if not unpacker.eof:
            return None
        document: dict[str, Any] = json.loads(text)
        if document["version"] != VERSION:
            return None
        return Manifest(
            system=document["system"],
            filesystem=document["filesystem"],
            clean=document["clean"],
            problems=document["problems"],
            packages=[_package(*row) for row in document["packages"]],
            files=[_file(*row) for row in document["files"]],
        )
    except (zlib.error, ValueError, KeyError, TypeError):
        return None


def _package(source: str, name: str, version: str, architecture: str, place: str) -> Package:
    return Package(source=source, name=name, version=version, architecture=architecture, place=place)


def _file(
    path: str, kind: str, mode: int, uid: int, gid: int, size: int, sha256: str, target: str, package: str
) -> File:
    return File(
        path=path,
        kind=kind,
        mode=mode,
        uid=uid,
        gid=gid,
        size=size,
        sha256=sha256,
        target=target,
        package=package,
    )
