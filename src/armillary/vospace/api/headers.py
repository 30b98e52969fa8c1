"""What the headers of requests for bytes say, and those of the answers."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from urllib.parse import quote

from starlette.datastructures import Headers

from armillary.base.errors import Invalid
from armillary.vospace.core.conditions import ANY, Conditions, tag_of, whole_second
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath

MAX_RANGES = 16
"""Parts of one answer. Whoever asks for more gets the whole file, as HTTP allows."""

_RANGE = re.compile(r"(\d{0,18})-(\d{0,18})")
_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_DIGESTS = {"md5": ("md5", 16), "sha-256": ("sha256", 32), "sha": ("sha1", 20)}

Span = tuple[int, int]
"""From a first byte to one that is no longer meant."""


@dataclass(frozen=True, kw_only=True)
class Checksums:
    """What the bytes must add up to, in hexadecimal digits; empty: not said."""

    md5: str = ""
    sha256: str = ""


def conditions(headers: Headers) -> Conditions:
    """Return the conditions of a request. A date that is none is as good as not there (RFC 9110)."""
    return Conditions(
        match=_tags(headers.get("if-match"), weak=False),
        none_match=_tags(headers.get("if-none-match"), weak=True),
        modified_since=_moment(headers.get("if-modified-since")),
        unmodified_since=_moment(headers.get("if-unmodified-since")),
    )


def ranges(headers: Headers, node: Node, now: datetime) -> Sequence[Span] | None:
    """Return the asked parts of a file: None when the whole is meant, nothing when no part of it exists.

    What HTTP lets us ignore is ignored: other units, nonsense, overlapping parts and too many of them.
    """
    unit, _, asked = headers.get("range", "").partition("=")
    if unit.strip().lower() != "bytes" or not _is_same(headers.get("if-range"), node, now):
        return None
    found: list[Span] = []
    parts = asked.split(",")
    if len(parts) > MAX_RANGES:
        return None
    for part in parts:
        match = _RANGE.fullmatch(part.strip())
        if not match or match.groups() == ("", ""):
            return None
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, node.length - int(last))
        stop = min(int(last) + 1, node.length) if first and last else node.length
        if start < stop:
            found.append((start, stop))
    ordered = sorted(found)
    if any(before[1] > after[0] for before, after in pairwise(ordered)):
        return None
    return found


def _is_same(condition: str | None, node: Node, now: datetime) -> bool:
    """Whether `If-Range` holds. A second in which a file was written may have seen several versions."""
    if condition is None:
        return True
    if condition.startswith('"'):
        return condition == f'"{tag_of(node)}"'
    written = whole_second(node)
    return _moment(condition) == written and (now - written).total_seconds() >= 2


def length(headers: Headers, name: str = "content-length") -> int | None:
    """Return a length, None when it is not said."""
    text = headers.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid(
            f"{name} is not a length.",
            code="invalid_argument",
            facts={"field": name},
            remedy="Send a number of bytes.",
        )
    return int(text)


def checksums(headers: Headers) -> Checksums:
    """Return what the bytes must add up to: `Digest`, `Repr-Digest`, `Content-Digest` or `Content-MD5`."""
    said = {"md5": hexadecimal(headers.get("content-md5", ""), 16)}
    for header in ("digest", "content-digest", "repr-digest"):
        for part in headers.get(header, "").split(","):
            name, _, value = part.strip().partition("=")
            if name.lower() in {"md5", "sha-256"}:
                field, size = _DIGESTS[name.lower()]
                said[field] = hexadecimal(value.strip(":"), size)
    return Checksums(**said)


def one_checksum(text: str) -> tuple[str, str]:
    """Read `algorithm value`, as tus writes it; return the name that hashlib knows, and hexadecimal digits.

    Raises:
        Invalid: it is none, or of an algorithm that we do not offer.
    """
    name, _, value = text.strip().partition(" ")
    known = {"md5": 16, "sha1": 20, "sha256": 32}
    if name.lower() not in known or not value:
        raise Invalid(
            "This checksum is not understood.",
            code="invalid_argument",
            facts={"field": "upload-checksum", "algorithms": sorted(known)},
            remedy="Send md5, sha1 or sha256, a blank, and the digest in Base64.",
        )
    return name.lower(), hexadecimal(value, known[name.lower()])


def hexadecimal(text: str, size: int) -> str:
    """Return a digest of `size` bytes in hexadecimal digits; it may be in Base64. Empty stays empty."""
    if re.fullmatch(rf"[0-9A-Fa-f]{{{size * 2}}}", text):
        return text.lower()
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        octets = b"?"
    if len(octets) not in {0, size}:
        raise Invalid(
            "The checksum cannot be read.",
            code="invalid_argument",
            facts={"field": "digest", "bytes": size},
            remedy="Send md5= or sha-256= and the digest in Base64.",
        )
    return octets.hex()


def content_type(headers: Headers, path: VOSPath) -> str:
    """Return the type of new bytes: what was said, unless it says nothing, else what the name says."""
    said = headers.get("content-type", "")
    if len(said) <= 200 and said.split(";")[0] not in {"", "application/octet-stream", "text/xml"}:
        return said
    return guessed_type(path)


def guessed_type(path: VOSPath) -> str:
    """Return what the name of a file says about its type; empty when it says nothing."""
    return mimetypes.guess_type(path.name)[0] or ""


def of_node(node: Node) -> dict[str, str]:
    """Return the headers that tell about a file."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", node.name)
    escaped = quote(node.name, safe="")
    return {
        "Content-Type": node.content_type or "application/octet-stream",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{escaped}",
        "Accept-Ranges": "bytes",
        "Digest": digest(node.md5),
        **version(node),
        # Users' bytes come from the portal's origin: never let a browser run them as a page of ours.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        # The address may be a pre-authorised one: nobody else is to learn it.
        "Referrer-Policy": "no-referrer",
    }


def version(node: Node) -> dict[str, str]:
    """Return the headers that tell which version of a file this is: all that a 304 says."""
    return {
        "ETag": f'"{tag_of(node)}"',
        "Last-Modified": node.modified_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "Cache-Control": "private, no-cache",
    }


def digest(md5: str) -> str:
    """Return an MD5 as the header `Digest` says it."""
    return "md5=" + base64.b64encode(bytes.fromhex(md5)).decode()


def _tags(text: str | None, *, weak: bool) -> frozenset[str] | None:
    """Read a list of entity tags. A weak one never holds where a strong comparison is asked for."""
    if text is None:
        return None
    if text.strip() == "*":
        return ANY
    return frozenset(tag for prefix, tag in _TAG.findall(text) if weak or not prefix)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
