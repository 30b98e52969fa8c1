"""Nodes as the file pages show them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import HOME_DEPTH

FITS = (".fits", ".fit", ".fts", ".fz")
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff")
TABLES = (".csv", ".tsv", ".ecsv", ".vot", ".votable")

# They turn the text around them: a name could pretend to end in something else.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What the stock client does not take after a short name, or takes for something else.
_NOT_SHORT = re.compile(r"[^A-Za-z0-9._/+,=@:~-]")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A node with its addresses: `here` of its page, `views` of what is made from its bytes, if anything is."""

    node: Node
    name: str
    here: str
    kind: str
    views: str = ""
    thumbnail: str = ""


def address(path: VOSPath) -> str:
    """Return the portal's address of a node."""
    return "/files" + quote(str(path)) if path.names else "/files/"


def visible(name: str) -> str:
    """Return a name with what would turn its letters round written out."""
    return _TURNING.sub(lambda match: f"‹U+{ord(match.group()):04X}›", name)


def kind_of(node: Node) -> str:
    """Say what a node is, by its name: folder, link, fits, picture, table or file."""
    if node.is_container:
        return "folder"
    if not node.is_file:
        return "link"
    name = node.name.lower()
    if name.endswith(FITS):
        return "fits"
    if name.endswith(PICTURES):
        return "picture"
    return "table" if name.endswith(TABLES) else "file"


def shown(node: Node) -> Shown:
    """Return a node as it is shown."""
    kind = kind_of(node)
    views = (
        "/arc/files" + quote(str(node.path)) if kind in {"fits", "picture", "table"} and node.length else ""
    )
    drawn = bool(views) and kind in {"fits", "picture"}
    return Shown(
        node=node,
        name=visible(node.name),
        here=address(node.path),
        kind=kind,
        views=views,
        thumbnail=f"/thumbnail{quote(str(node.path))}?of={node.md5[:12]}" if drawn else "",
    )


def crumbs(path: VOSPath) -> Sequence[tuple[str, str]]:
    """Return the folders above a node, from the top: addresses and names."""
    ways = [VOSPath(path.names[:depth]) for depth in range(1, len(path.names))]
    return [(address(way), visible(way.name)) for way in ways]


def home_path(path: VOSPath) -> VOSPath:
    """Return the home that a path is in, or itself where it is in none."""
    return VOSPath(path.names[:HOME_DEPTH])


def vos_uri(path: VOSPath, authority: str) -> str:
    """Return how the stock clients call a node: short where they understand that."""
    text = "/".join(path.names)
    if not _NOT_SHORT.search(text):
        return f"vos:{text}"
    escaped = text.replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    return f"vos://{authority}/{escaped}"


def plain_name(name: str) -> str:
    """Return the value of a Content-Disposition for a file to be saved under `name`."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
