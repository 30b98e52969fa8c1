"""The XML of nodes, in and out. Output is written as text, so that a listing of any length can be streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from armillary.vospace.core.properties import CORE, READ_ONLY, properties_of
from armillary.vospace.documents import DECLARATION, VOS, XSI, bad_document, parse_root, text_of
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import to_uri

_KINDS = {
    "ContainerNode": NodeKind.CONTAINER,
    "LinkNode": NodeKind.LINK,
    "DataNode": NodeKind.DATA,
    "StructuredDataNode": NodeKind.DATA,
    "UnstructuredDataNode": NodeKind.DATA,
}
_TYPES = {NodeKind.CONTAINER: "ContainerNode", NodeKind.LINK: "LinkNode", NodeKind.DATA: "DataNode"}


@dataclass(frozen=True, kw_only=True)
class NodeDocument:
    """What was posted about a node. A property with the value None is to be removed."""

    uri: str
    kind: NodeKind
    properties: Sequence[tuple[str, str | None]]
    target: str


def parse_node(body: bytes) -> NodeDocument:
    """Read a node document.

    Raises:
        Invalid: it is none.
    """
    root = parse_root(body, "node")
    kind = _KINDS.get(root.get(f"{{{XSI}}}type", "").rpartition(":")[2])
    if kind is None:
        raise bad_document("The node has no type that we know.", code="type_not_supported")
    properties = [
        (element.get("uri", ""), None if element.get(f"{{{XSI}}}nil") == "true" else element.text or "")
        for element in root.iterfind(f"{{{VOS}}}properties/{{{VOS}}}property")
    ]
    return NodeDocument(
        uri=root.get("uri", ""), kind=kind, properties=properties, target=text_of(root, "target")
    )


def node_text(node: Node, authority: str, *, detail: str = "max") -> str:
    """Return a node document without children."""
    return DECLARATION + "".join(_node(node, authority, detail, None, _namespaces()))


def listing(node: Node, children: Iterable[Node], authority: str, *, detail: str = "max") -> Iterator[str]:
    """Yield the document of a container with children, in pieces of some ten kilobytes."""
    buffer = [DECLARATION]
    size = 0
    for piece in _node(node, authority, detail, children, _namespaces()):
        buffer.append(piece)
        size += len(piece)
        if size > 65_536:
            yield "".join(buffer)
            buffer, size = [], 0
    yield "".join(buffer)


def _namespaces() -> str:
    return f' xmlns:vos="{VOS}" xmlns:xsi="{XSI}" version="2.1"'


def _node(
    node: Node, authority: str, detail: str, children: Iterable[Node] | None, namespaces: str = ""
) -> Iterator[str]:
    busy = ' busy="false"' if node.kind is NodeKind.DATA else ""
    uri = quoteattr(to_uri(node.path, authority))
    yield f'<vos:node{namespaces} uri={uri} xsi:type="vos:{_TYPES[node.kind]}"{busy}>'
    if detail != "min":
        yield "<vos:properties>"
        for name, value in properties_of(node).items():
            fixed = "true" if name in READ_ONLY else "false"
            yield f'<vos:property uri={quoteattr(name)} readOnly="{fixed}">{escape(value)}</vos:property>'
        yield "</vos:properties>"
    if node.kind is NodeKind.LINK:
        yield f"<vos:target>{escape(node.target)}</vos:target>"
    elif detail == "max":
        yield (
            f'<vos:accepts><vos:view uri="{CORE}anyview"/></vos:accepts>'
            f'<vos:provides><vos:view uri="{CORE}defaultview"/></vos:provides><vos:capabilities/>'
        )
    if node.is_container:
        yield "<vos:nodes>"
        for child in children or ():
            yield "".join(_node(child, authority, detail, None))
        yield "</vos:nodes>"
    yield "</vos:node>"
