"""Which properties a node has, and which of them can be set.

Names are the URIs of the VOSpace 2.1 standard and of the stock clients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from armillary.base.clock import to_iso
from armillary.base.errors import Invalid
from armillary.vospace.model import Change, Node, NodeKind

CORE = "ivo://ivoa.net/vospace/core#"
CADC = "ivo://cadc.nrc.ca/vospace/core#"
GMS = "ivo://cadc.nrc.ca/gms?"
"""The prefix of group URIs; the stock client has it built in."""

READ_ONLY = frozenset(
    {
        *(CORE + name for name in ("length", "MD5", "date", "creator", "btime", "ctime", "mtime", "atime")),
        *(CORE + name for name in ("quota", "availableSpace", "contributor", "publisher")),
        CADC + "creatorJWT",
    }
)
FREE = frozenset(
    CORE + name
    for name in (
        "title", "subject", "description", "contributer", "format", "identifier", "source", "language",
        "relation", "coverage", "rights",
    )
)  # fmt: skip
HANDLED = frozenset(
    {
        *(CORE + name for name in ("ispublic", "publicread", "groupread", "groupwrite", "type", "encoding")),
        CORE + "inheritPermissions",
        CADC + "islocked",
    }
)
MAX_PROPERTIES = 200
MAX_VALUE = 16_384
MAX_URI = 512
MAX_GROUPS = 32

_GROUP = re.compile(r"(?:ivo://[^\s?]+\?)?([A-Za-z0-9,._~-]{1,128})")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(?:\s*;[\x20-\x7e]{0,100})?"
)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CODING = re.compile(r"[A-Za-z0-9._-]{0,40}")


def change_of(properties: Iterable[tuple[str, str | None]]) -> Change:
    """Read the properties of a posted node; None means: remove it. What is read-only is passed over.

    Raises:
        Invalid: a property of the standard that we do not know, or a value that does not fit.
    """
    known: dict[str, str | None] = {}
    free: dict[str, str | None] = {}
    for uri, value in properties:
        if uri in READ_ONLY:
            continue
        if uri in HANDLED:
            known[uri] = value
        elif uri in FREE or not uri.startswith("ivo://ivoa.net/vospace/"):
            free[uri] = _free(uri, value)
        else:
            raise _invalid(
                f"{uri} is not a property of the standard.", uri, "Choose a URI of your own for it."
            )
    if len(free) > MAX_PROPERTIES:
        raise _invalid(f"More than {MAX_PROPERTIES} properties.", "", "Keep the rest in a file.")
    return Change(
        is_public=_flag(known, CORE + "ispublic"),
        group_read=_groups(known, CORE + "groupread"),
        group_write=_groups(known, CORE + "groupwrite"),
        is_locked=_flag(known, CADC + "islocked"),
        content_type=_matching(known, CORE + "type", _MEDIA_TYPE),
        content_encoding=_matching(known, CORE + "encoding", _CODING),
        properties=free,
    )


def properties_of(node: Node) -> dict[str, str]:
    """Return all properties of a node by URI, in a stable order."""
    shown = {
        CORE + "date": to_iso(node.modified_at).removesuffix("Z"),
        CORE + "btime": to_iso(node.created_at).removesuffix("Z"),
        CORE + "creator": f"CN={node.owner_name}" if node.owner_name else "",
        CORE + "length": str(node.length),
        CORE + "ispublic": "true" if node.sharing.is_public else "false",
        CORE + "groupread": _group_uris(node.sharing.group_read),
        CORE + "groupwrite": _group_uris(node.sharing.group_write),
        CORE + "type": node.content_type if node.kind is NodeKind.DATA else "",
        CORE + "encoding": node.content_encoding,
        CORE + "MD5": node.md5 if node.kind is NodeKind.DATA else "",
        CADC + "islocked": "true" if node.is_locked else "",
    }
    if node.quota is not None:
        shown[CORE + "quota"] = str(node.quota)
        shown[CORE + "availableSpace"] = str(max(0, node.quota - node.used))
    return {**{uri: value for uri, value in shown.items() if value}, **node.properties}


def merged(current: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return `current` with `changes` applied; None removes.

    Raises:
        Invalid: there would be too many.
    """
    result = {uri: value for uri, value in {**current, **changes}.items() if value is not None}
    if len(result) > MAX_PROPERTIES:
        raise _invalid(f"More than {MAX_PROPERTIES} properties.", "", "Keep the rest in a file.")
    return result


def _group_uris(names: frozenset[str]) -> str:
    return " ".join(GMS + name for name in sorted(names))


def _free(uri: str, value: str | None) -> str | None:
    if not uri or len(uri) > MAX_URI or any(letter.isspace() for letter in uri):
        raise _invalid("The name of a property is not a URI.", uri[:MAX_URI], "Use a URI without blanks.")
    if value is not None and _NOT_IN_XML.search(value):
        raise _invalid("The value contains a control character.", uri, "Leave it out.")
    if value is not None and len(value) > MAX_VALUE:
        raise _invalid(f"The value is longer than {MAX_VALUE} characters.", uri, "Keep it in a file.")
    return value


def _flag(known: Mapping[str, str | None], uri: str) -> bool | None:
    if uri not in known:
        return None
    text = (known[uri] or "false").strip().lower()
    if text not in {"true", "false"}:
        raise _invalid(f"{text[:40]!r} is neither true nor false.", uri, "Write true or false.")
    return text == "true"


def _groups(known: Mapping[str, str | None], uri: str) -> frozenset[str] | None:
    if uri not in known:
        return None
    names: set[str] = set()
    for word in (known[uri] or "").split():
        match = _GROUP.fullmatch(word)
        if not match:
            raise _invalid(f"{word[:80]!r} is not a group.", uri, f"Write it as {GMS}NAME.")
        names.add(match.group(1))
    if len(names) > MAX_GROUPS:
        raise _invalid(f"More than {MAX_GROUPS} groups.", uri, "Make one group of them.")
    return frozenset(names)


def _matching(known: Mapping[str, str | None], uri: str, pattern: re.Pattern[str]) -> str | None:
    if uri not in known:
        return None
    text = (known[uri] or "").strip()
    if text and not pattern.fullmatch(text):
        raise _invalid(f"{text[:80]!r} does not fit.", uri, "Write it as in HTTP.")
    return text


def _invalid(message: str, uri: str, remedy: str) -> Invalid:
    return Invalid(message, code="invalid_argument", facts={"field": uri}, remedy=remedy)
