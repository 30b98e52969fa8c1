"""Which properties a node has, and what setting them means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from armillary.base.clock import to_iso
from armillary.base.errors import Forbidden, Invalid
from armillary.vospace.core.names import CADC, CORE, FREE, GMS, HANDLED, INHERIT, QUOTA, READ_ONLY
from armillary.vospace.model import Change, Node

_T = TypeVar("_T")

MAX_PROPERTIES = 200
MAX_VALUE = 16_384
MAX_URI = 512
MAX_GROUPS = 32

_GROUP = re.compile(r"(?:ivo://[^\s?#]{1,300}\?)?[A-Za-z0-9,._~-]{1,128}")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(?:\s*;[\x20-\x7e]{0,100})?"
)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CODING = re.compile(r"[A-Za-z0-9._-]{0,40}")


def change_for_new(properties: Iterable[tuple[str, str | None]]) -> Change:
    """Read the properties of a node that is to be made; raises as `change_of`."""
    given = list(properties)
    for uri, value in given:
        if uri in READ_ONLY or uri == QUOTA:
            _refuse_other(uri, value, {})
    return change_of(given)


def change_of(
    properties: Iterable[tuple[str, str | None]], current: Node | None = None, *, target: str = ""
) -> Change:
    """Read the properties of a posted node; None means: remove it.

    Clients post whole nodes, so what is as it was on `current` is no change. Without `current` (the same
    change for many nodes) what is read-only is passed over.

    Raises:
        Invalid: a property of the standard that we do not know, or a value that does not fit.
        Forbidden: with code `permission_denied`; a property that is not the client's to change.
    """
    before = properties_of(current) if current else {}
    known: dict[str, str | None] = {}
    free: dict[str, str | None] = {}
    for uri, value in properties:
        if uri in READ_ONLY:
            if current:
                _refuse_other(uri, value, before)
        elif uri in HANDLED:
            # Two names of one thing may come together: the one that is new is meant.
            name = HANDLED[uri]
            if name not in known or value != before.get(uri):
                known[name] = value
        elif uri in FREE or not uri.startswith("ivo://ivoa.net/vospace/"):
            free[uri] = _free(uri, value)
        else:
            raise _invalid(
                f"{uri} is not a property of the standard.", uri, "Choose a URI of your own for it."
            )
    if len(free) > MAX_PROPERTIES:
        raise _invalid(f"More than {MAX_PROPERTIES} properties.", "", "Keep the rest in a file.")
    if known.get(QUOTA) == before.get(QUOTA) or current is None:
        known.pop(QUOTA, None)
    return Change(
        is_public=_flag(known, CORE + "ispublic"),
        group_read=_groups(known, CORE + "groupread"),
        group_write=_groups(known, CORE + "groupwrite"),
        inherits=_flag(known, INHERIT),
        is_locked=_flag(known, CADC + "islocked"),
        content_type=_matching(known, CORE + "type", _MEDIA_TYPE),
        content_encoding=_matching(known, CORE + "encoding", _CODING),
        target=target or None,
        quota=_octets(known, QUOTA),
        drops_quota=QUOTA in known and not known[QUOTA],
        properties=free,
    )


def without_echo(change: Change, node: Node) -> Change:
    """Return the change without what `node` has already and not everybody may set."""
    sharing = node.sharing
    return replace(
        change,
        is_public=_new(change.is_public, sharing.is_public),
        group_read=_new(change.group_read, sharing.group_read),
        group_write=_new(change.group_write, sharing.group_write),
        inherits=_new(change.inherits, sharing.inherits),
        target=_new(change.target, node.target),
    )


def properties_of(node: Node) -> dict[str, str]:
    """Return all properties of a node by URI, in a stable order."""
    public = "true" if node.sharing.is_public else "false"
    modified = _moment(node.modified_at)
    made = modified if node.created_at == node.modified_at else _moment(node.created_at)
    written = _moment(node.written_at) if node.is_file and node.written_at else modified
    shown = {
        CORE + "date": modified,
        CORE + "btime": made,
        CORE + "ctime": modified,
        CORE + "mtime": written if node.is_file else "",
        CORE + "creator": f"CN={node.owner_name}" if node.owner_name else "",
        CORE + "length": str(node.length),
        CORE + "ispublic": public,
        CORE + "publicread": public,
        CORE + "groupread": _group_uris(node.sharing.group_read),
        CORE + "groupwrite": _group_uris(node.sharing.group_write),
        CORE + "type": node.content_type if node.is_file else "",
        CORE + "encoding": node.content_encoding,
        CORE + "MD5": node.md5 if node.is_file else "",
        CADC + "islocked": "true" if node.is_locked else "",
    }
    if node.is_container:
        shown[INHERIT] = "true" if node.sharing.inherits else "false"
    if node.quota is not None:
        shown[QUOTA] = str(node.quota)
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


def _refuse_other(uri: str, value: str | None, before: Mapping[str, str]) -> None:
    if value != before.get(uri):
        raise Forbidden(
            f"{uri} is read-only.",
            code="permission_denied",
            facts={"field": uri, "value": before.get(uri)},
            remedy="Leave it out, or send it as it is.",
        )


def _octets(known: Mapping[str, str | None], uri: str) -> int | None:
    text = (known.get(uri) or "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _invalid(f"{text[:40]!r} is not a number of bytes.", uri, "Write digits only.")
    return int(text)


def _new(value: _T | None, old: _T) -> _T | None:
    return None if value == old else value


def _moment(moment: datetime) -> str:
    return to_iso(moment).removesuffix("Z")


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
        if not _GROUP.fullmatch(word):
            raise _invalid(f"{word[:80]!r} is not a group.", uri, f"Write it as {GMS}NAME.")
        names.add(word.removeprefix(GMS))
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
