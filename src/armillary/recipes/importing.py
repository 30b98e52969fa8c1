"""Cloud images that others made: fetched, held against their digest, and looked at before they are kept."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2

from armillary.base.clock import Clock, SystemClock, to_iso
from armillary.base.errors import Invalid, NotFound, PreconditionFailed, Unavailable
from armillary.base.units import format_size
from armillary.recipes.model import BuiltImage, Progress
from armillary.recipes.run import run, tool
from armillary.recipes.service import (
    default_cache,
    load,
    locked,
    replace_directory,
    sha512_of,
    write_manifest,
)

_CHUNK = 1 << 20
_TOLD_EVERY = 64 << 20
_PACKED = {
    b"\xfd7zXZ\0": "xz",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"(\xb5/\xfd": "zstd",
    b"PK\x03\x04": "zip",
}


def import_image(
    source: str | Path,
    *,
    sha256: str,
    cache: Path | None = None,
    name: str | None = None,
    progress: Progress = lambda _: None,
    clock: Clock | None = None,
) -> BuiltImage:
    """Return a cloud image from a file or a URL, kept under its digest; at once if it was imported before.

    Nothing is kept of an image that does not have the digest, is no qcow2 or raw image, or names other files.

    Args:
        source: path, or `https://…`.
        sha256: what its makers say that it is, 64 hexadecimal digits.
        cache: directory of all images; `default_cache()` if not given.
        name: what to call it; by default the file's name without its ending.
        progress: is told each step.
        clock: tells when it was imported.

    Raises:
        Invalid: the digest is none, or the image is refused.
        NotFound, Unavailable: the source is not there, or not within reach.
        PreconditionFailed: the digest differs.
    """
    sha256 = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Invalid(
            "That is not a SHA-256 digest",
            code="bad_digest",
            remedy="Give the 64 hexadecimal digits from the SHA256SUMS file beside the image.",
            facts={"field": "sha256"},
        )
    images = (cache or default_cache()) / "images"
    images.mkdir(parents=True, exist_ok=True)
    key = f"imported-{sha256[:16]}"
    with locked(images / f".{key}.lock", progress):
        target = images / key
        if (target / "manifest.json").exists():
            return load(target, reused=True)
        for left in images.glob(f".building-{key}-*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".building-{key}-", dir=images))
        try:
            arrived = work / "arrived"
            progress(f"reading {source}")
            got = _receive(_read(str(source)), arrived, progress)
            if got != sha256:
                raise PreconditionFailed(
                    f"The SHA-256 of {source} is {got}, not {sha256}",
                    code="image_digest_mismatch",
                    remedy="Compare with what its makers publish, and fetch it again.",
                    facts={"expected": sha256, "got": got},
                )
            progress("looking at its format")
            kind, virtual_size = examine(arrived)
            image = work / "image"
            image.mkdir()
            disk = image / f"disk.{kind}"
            arrived.rename(disk)
            progress("computing the digest")
            manifest: dict[str, object] = {
                "name": name or _name_of(str(source)),
                "created": to_iso((clock or SystemClock()).now()),
                "imported_from": str(source),
                "sha256": sha256,
                "sha512": sha512_of(disk),
                "size": disk.stat().st_size,
                "virtual_size": virtual_size,
                "disk_format": kind,
                "properties": {},
            }
            write_manifest(image / "manifest.json", manifest)
            replace_directory(image, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return load(target)


def examine(file: Path) -> tuple[str, int]:
    """Return format and virtual size of a disk image that stands on its own.

    Raises:
        Invalid: it is of another format, or names other files.
    """
    with file.open("rb") as stream:
        start = stream.read(128)
    for magic, packer in _PACKED.items():
        if start.startswith(magic):
            raise _refused(f"it is packed with {packer}", "Unpack it, and import what comes out.")
    # looked at here before QEMU opens it: QEMU would open what the header names
    if start.startswith(b"QFI\xfb"):
        backing, features = struct.unpack_from(">Q", start, 8)[0], 0
        if struct.unpack_from(">I", start, 4)[0] >= 3:
            features = struct.unpack_from(">Q", start, 72)[0]
        if backing:
            raise _refused("it has a backing file", "Flatten it: qemu-img convert -O qcow2 OLD NEW")
        if features & 4:
            raise _refused(
                "it keeps its data in an external file", "Flatten it: qemu-img convert -O qcow2 OLD NEW"
            )
    facts: dict[str, Any] = json.loads(
        run([tool("qemu-img"), "info", "--output=json", str(file)], what="qemu-img info")
    )
    kind = facts["format"]
    if kind not in ("qcow2", "raw"):
        raise _refused(f"its format is {kind}", "Convert it: qemu-img convert -O qcow2 OLD NEW")
    if facts.get("backing-filename") or facts.get("format-specific", {}).get("data", {}).get("data-file"):
        raise _refused("it names other files", "Flatten it: qemu-img convert -O qcow2 OLD NEW")
    if facts.get("encrypted"):
        raise _refused("it is encrypted", "")
    return kind, int(facts["virtual-size"])


def _refused(why: str, remedy: str) -> Invalid:
    return Invalid(f"The image is refused: {why}", code="image_refused", remedy=remedy, facts={"reason": why})


def _receive(chunks: Iterator[bytes], target: Path, progress: Progress) -> str:
    """Write what comes to a file and return its SHA-256."""
    digest, length, told = hashlib.sha256(), 0, 0
    with target.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
            length += len(chunk)
            if length - told >= _TOLD_EVERY:
                told = length
                progress(f"{format_size(length)} read")
    return digest.hexdigest()


def _read(source: str) -> Iterator[bytes]:
    if not source.startswith(("http://", "https://")):
        try:
            with Path(source).expanduser().open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFound(f"There is no file {source}", code="no_such_file") from error
        return
    try:
        with httpx2.stream("GET", source, follow_redirects=True, timeout=60) as answer:
            if answer.status_code != 200:
                raise NotFound(
                    f"{source} answered {answer.status_code}",
                    code="no_such_file",
                    facts={"status": answer.status_code},
                )
            yield from answer.iter_bytes(_CHUNK)
    except httpx2.HTTPError as error:
        raise Unavailable(
            f"{source} is not within reach: {error}", code="source_unreachable", remedy="Try again later."
        ) from error


def _name_of(source: str) -> str:
    path = unquote(urlsplit(source).path) if "://" in source else source
    return re.sub(r"\.(qcow2|img|raw)$", "", Path(path).name) or "imported"
