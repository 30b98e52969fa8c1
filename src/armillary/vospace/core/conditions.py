"""Conditional requests (RFC 9110, sections 8.8 and 13): which version of a file a request is about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from armillary.base.errors import PreconditionFailed
from armillary.vospace.model import Node

ANY = frozenset({"*"})


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What must hold. Tags are opaque, without quotes; `ANY`: whichever there is; None: not asked."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None
    modified_since: datetime | None = None
    unmodified_since: datetime | None = None

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return self != _NONE


_NONE = Conditions()


def tag_of(node: Node) -> str:
    """Return the strong entity tag of a file: another one for each version that was written, and for each type.

    The MD5 would not do: it can be the same for different bytes, on purpose, and a download that is resumed
    would be stitched together from two files.
    """
    version = "\0".join((node.blob or "", node.md5, node.content_type, node.content_encoding))
    return hashlib.blake2b(version.encode(), digest_size=16).hexdigest()


def require(conditions: Conditions, node: Node | None) -> None:
    """Refuse when the file (None: there is none) is not the one that the request is about.

    Raises:
        PreconditionFailed: `If-Match` or `If-Unmodified-Since` does not hold.
    """
    if conditions.match is not None:
        if not _matches(conditions.match, node):
            raise _failed(node)
    elif conditions.unmodified_since is not None and (
        node is None or whole_second(node) > conditions.unmodified_since
    ):
        raise _failed(node)


def require_for_writing(conditions: Conditions, node: Node | None) -> None:
    """Refuse to write when the file (None: there is none) is not the one that the request is about.

    Raises:
        PreconditionFailed: a condition does not hold.
    """
    require(conditions, node)
    if conditions.none_match is not None and _matches(conditions.none_match, node):
        raise _failed(node)


def is_known(conditions: Conditions, node: Node) -> bool:
    """Whether who reads has this version already (304)."""
    if conditions.none_match is not None:
        return _matches(conditions.none_match, node)
    return conditions.modified_since is not None and whole_second(node) <= conditions.modified_since


def whole_second(node: Node) -> datetime:
    """When the node was last written, as precisely as HTTP can say it."""
    return node.modified_at.replace(microsecond=0)


def _matches(tags: frozenset[str], node: Node | None) -> bool:
    return node is not None and (tags == ANY or tag_of(node) in tags)


def _failed(node: Node | None) -> PreconditionFailed:
    return PreconditionFailed(
        "The file has another version by now." if node else "There is no such file by now.",
        code="precondition_failed",
        facts={"etag": f'"{tag_of(node)}"'} if node else {},
        remedy="Fetch it again, and decide anew.",
    )
