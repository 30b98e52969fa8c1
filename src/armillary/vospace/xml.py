"""The XML of nodes, in and out. Output is written as text, so that a listing of any length can be streamed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from armillary.base.errors import Invalid
from armillary.vospace.core import views
from armillary.vospace.core.names import READ_ONLY, VOSPACE_CAPABILITY
from armillary.vospace.core.properties import properties_of
from armillary.vospace.documents import DECLARATION, VOS, XSI, bad_document, parse_root, text_of
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import to_uri

_MARKUP = re.compile("[&<>]")
_TYPES = {
    NodeKind.CONTAINER: "ContainerNode",
    NodeKind.LINK: "LinkNode",
    NodeKind.DATA: "DataNode",
    NodeKind.STRUCTURED: "StructuredDataNode",
    NodeKind.UNSTRUCTURED: "UnstructuredDataNode",
}
# A node without a type is a plain `Node`; the service may put a subtype in its place.
_KINDS = {name: kind for kind, name in _TYPES.items()} | {"Node": NodeKind.DATA, "": NodeKind.DATA}


def _list(uris: Iterable[str]) -> str:
    return "".join(f"<vos:view uri={quoteattr(uri)}/>" for uri in uris)


# Listings are long: what is the same in many nodes is written once.
_VIEWS = {
    of_file: f"<vos:accepts>{_list(views.accepts(of_file))}</vos:accepts>"
    f"<vos:provides>{_list(views.provides(of_file))}</vos:provides>"
    for of_file in (False, True)
}


@dataclass(frozen=True, kw_only=True)
class NodeDocument:
    """What was posted about a node. A property with the value None is to be removed."""

    uri: str
    kind: NodeKind
    properties: Sequence[tuple[str, str | None]]
    target: str


def parse_node(body: bytes) -> NodeDocument:
    """Read a node document.

    Clients send back whole nodes: what is marked there as read-only, and is, is left out.

    Raises:
        Invalid: it is none.
    """
    root = parse_root(body, "node")
    name = root.get(f"{{{XSI}}}type", "")
    kind = _KINDS.get(name.rpartition(":")[2])
    if kind is None:
        raise bad_document(f"{name[:100]} is not a type of node.", code="type_not_supported")
    properties = [
        (uri, None if element.get(f"{{{XSI}}}nil") in {"true", "1"} else element.text or "")
        for element in root.iterfind(f"{{{VOS}}}properties/{{{VOS}}}property")
        if not ((uri := element.get("uri", "")) in READ_ONLY and element.get("readOnly") == "true")
    ]
    return NodeDocument(
        uri=root.get("uri", ""), kind=kind, properties=properties, target=text_of(root, "target")
    )


def asks_for_protocols(body: bytes) -> bool:
    """Whether a document posted to a node is the empty list of protocols that asks for those of the node."""
    try:
        parse_root(body, "protocols")
    except Invalid:
        return False
    return True


def node_text(node: Node, authority: str, *, detail: str = "max", url: str = "") -> str:
    """Return a node document without children; `url` is where the node is found, for its capabilities."""
    return "".join(listing(node, (), authority, detail=detail, url=url))


def listing(
    node: Node, children: Iterable[Node], authority: str, *, detail: str = "max", url: str = ""
) -> Iterator[str]:
    """Yield the document of a container with children, in pieces of some ten kilobytes."""
    buffer = [DECLARATION]
    size = 0
    for piece in _document(node, children, authority, detail, url):
        buffer.append(piece)
        size += len(piece)
        if size > 65_536:
            yield "".join(buffer)
            buffer, size = [], 0
    yield "".join(buffer)


def _document(node: Node, children: Iterable[Node], authority: str, detail: str, url: str) -> Iterator[str]:
    yield _start(node, authority, detail, f' xmlns:vos="{VOS}" xmlns:xsi="{XSI}" version="2.1"', url)
    if node.is_container:
        yield "<vos:nodes>"
        for child in children:
            nodes = "<vos:nodes/>" if child.is_container else ""
            yield f"{_start(child, authority, detail)}{nodes}</vos:node>"
        yield "</vos:nodes>"
    yield "</vos:node>\n"


def _start(node: Node, authority: str, detail: str, namespaces: str = "", url: str = "") -> str:
    """Return a node up to its children. The order of the elements is that of the schema."""
    busy = ' busy="false"' if node.is_file else ""
    uri = quoteattr(to_uri(node.path, authority))
    parts = [f'<vos:node{namespaces} uri={uri} xsi:type="vos:{_TYPES[node.kind]}"{busy}>']
    if detail != "min":
        parts.append("<vos:properties>")
        parts += [
            f"{_opening(name)}{_text(value)}</vos:property>" for name, value in properties_of(node).items()
        ]
        parts.append("</vos:properties>")
    if node.kind is NodeKind.LINK:
        # The schema wants the target always, and has no place for the capabilities of links.
        parts.append(f"<vos:target>{escape(node.target)}</vos:target>")
    elif detail == "max":
        parts.append(_VIEWS[node.is_file])
        parts.append(_capabilities(url) if url else "<vos:capabilities/>")
    return "".join(parts)


@lru_cache(maxsize=1024)
def _opening(name: str) -> str:
    """Return the start of a property. The same few stand in every node of a listing."""
    fixed = "true" if name in READ_ONLY else "false"
    return f'<vos:property uri={quoteattr(name)} readOnly="{fixed}">'


def _text(value: str) -> str:
    return escape(value) if _MARKUP.search(value) else value


def _capabilities(url: str) -> str:
    return (
        f'<vos:capabilities><vos:capability uri="{VOSPACE_CAPABILITY}">'
        f"<vos:endpoint>{escape(url)}</vos:endpoint></vos:capability></vos:capabilities>"
    )
