"""Where a node is: paths inside the tree, and the `vos:` URIs that name them.

A name is any text of 1 to 255 bytes in UTF-8 without `/` and without control characters (XML 1.0 could not
carry them); `.` and `..` are refused, so a path can never climb.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from armillary.base.errors import Invalid

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096
MAX_DEPTH = 128

AUTO = ".auto"
"""The standard's name for «choose one»."""
NULL = ".null"
"""The standard's name for a file that takes everything and holds nothing."""

_URI = re.compile(r"vos://([^/!~?#]+)[!~]([^/?#]+)(/[^?#]*)?", re.DOTALL)
# Only a % followed by two hexadecimal digits is an escape: the stock client sends names as they are typed.
_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# C0 and C1 controls, lone surrogates and the two non-characters that XML 1.0 excludes.
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, order=True)
class VOSPath:
    """An absolute path in the tree, as its names from the top; the top itself has none."""

    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be a path."""
        for name in self.names:
            check_name(name)
        if len(self.names) > MAX_DEPTH or len(str(self).encode()) > MAX_PATH_BYTES:
            raise Invalid(
                f"A path may have {MAX_DEPTH} names and {MAX_PATH_BYTES} bytes.",
                code="invalid_uri",
                facts={"field": "path", "names": len(self.names)},
                remedy="Use shorter or fewer names.",
            )

    @classmethod
    def parse(cls, text: str) -> VOSPath:
        """Read a path as a person or a service writes it: `/home/ada/a b.fits`, nothing escaped."""
        return cls(tuple(name for name in text.strip("/").split("/") if name))

    @classmethod
    def trusted(cls, names: tuple[str, ...]) -> VOSPath:
        """Make a path of names that were checked when they were stored: listings make very many."""
        path = object.__new__(cls)
        object.__setattr__(path, "names", names)
        return path

    @classmethod
    def from_url(cls, raw: bytes | str) -> VOSPath:
        """Read the path part of a URL, with its escapes."""
        octets = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        return cls(tuple(_unescape(name) for name in octets.strip(b"/").split(b"/") if name))

    @property
    def name(self) -> str:
        """The last name; empty for the top."""
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> VOSPath:
        """The container; the top is its own parent."""
        return VOSPath(self.names[:-1])

    def __truediv__(self, name: str) -> VOSPath:
        """Return the path of a child."""
        return VOSPath((*self.names, name))

    def contains(self, other: VOSPath) -> bool:
        """Whether `other` is this path or below it."""
        return other.names[: len(self.names)] == self.names

    def __str__(self) -> str:
        """Render with a leading slash, nothing escaped."""
        return "/" + "/".join(self.names)


def check_name(name: str) -> None:
    """Refuse a name that cannot be a node's.

    Raises:
        Invalid: with code `invalid_uri`.
    """
    problem = ""
    if name in {"", ".", ".."}:
        problem = "is not a name"
    elif "/" in name:
        problem = "contains a slash"
    elif _NOT_IN_NAMES.search(name):
        problem = "contains a control character"
    elif len(name.encode()) > MAX_NAME_BYTES:
        problem = f"is longer than {MAX_NAME_BYTES} bytes"
    if problem:
        shown = name.encode("utf-8", "replace").decode()[:80]
        raise Invalid(
            f"{shown!r} {problem}.",
            code="invalid_uri",
            facts={"field": "path", "name": shown},
            remedy=f"Use a name of 1 to {MAX_NAME_BYTES} bytes without / and control characters.",
        )


def bare(text: str) -> str:
    """Return a text without the lines and indents that documents put around it.

    Blanks at its end stay, unless a line ends behind them: they may be those of a name.
    """
    end = text.rstrip(" \t\r\n")
    laid_out = not set(text[len(end) :]).isdisjoint("\r\n")
    return (end if laid_out else text).lstrip(" \t\r\n")


def parse_uri(uri: str, authorities: Collection[str]) -> VOSPath:
    """Read a `vos://authority~service/path` URI (or with `!`) that one of our `authorities` serves.

    Raises:
        Invalid: with code `invalid_uri`; it is no such URI, or names another space.
    """
    match = _URI.fullmatch(bare(uri))
    if not match:
        raise Invalid(
            "This is not a VOSpace URI.",
            code="invalid_uri",
            facts={"field": "uri", "uri": uri[:200]},
            remedy="Write it as vos://authority~service/path.",
        )
    authority, service, path = match.groups()
    if f"{authority}/{service}" not in authorities:
        raise Invalid(
            f"vos://{authority}~{service} is another space.",
            code="invalid_uri",
            facts={"field": "uri", "authority": authority, "service": service},
            remedy="Use one of the names in /reg/resource-caps.",
        )
    return VOSPath.from_url(path or "")


def is_local_uri(uri: str, authorities: Collection[str]) -> bool:
    """Whether a URI names a node of ours."""
    match = _URI.fullmatch(bare(uri))
    return bool(match) and f"{match.group(1)}/{match.group(2)}" in authorities


def to_uri(path: VOSPath, authority: str) -> str:
    """Return the URI of a path; `authority` is written `authority~service`.

    Only `%`, `?` and `#` are escaped. The standard would escape blanks and letters beyond ASCII too, but the
    stock client takes names from here as they are: `vls` would print, and `vcp` create, files with `%20` in
    their names.
    """
    escaped = str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    return f"vos://{authority}{'' if escaped == '/' else escaped}"


def _unescape(name: bytes) -> str:
    try:
        return unquote_to_bytes(_LONE_PERCENT.sub(b"%25", name)).decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            "A name in the path is not UTF-8.",
            code="invalid_uri",
            facts={"field": "path"},
            remedy="Use UTF-8.",
        ) from error
