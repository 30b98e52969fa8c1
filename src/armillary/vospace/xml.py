"""The XML of VOSpace 2.1 and UWS 1.1, in and out.

Documents come from strangers: entities, DTDs and the network are off. Output is written as text, so that a
listing of any length can be streamed.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import lxml.etree  # pyright: ignore[reportMissingTypeStubs, reportMissingImports]

from armillary.base.clock import to_iso
from armillary.base.errors import Invalid
from armillary.vospace.core.properties import CORE, READ_ONLY, properties_of
from armillary.vospace.model import Job, Node, NodeKind
from armillary.vospace.paths import to_uri

VOS = "http://www.ivoa.net/xml/VOSpace/v2.0"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_UWS = (
    'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    f'xmlns:xsi="{_XSI}" version="1.1"'
)
_KINDS = {
    "ContainerNode": NodeKind.CONTAINER,
    "LinkNode": NodeKind.LINK,
    "DataNode": NodeKind.DATA,
    "StructuredDataNode": NodeKind.DATA,
    "UnstructuredDataNode": NodeKind.DATA,
}
_TYPES = {NodeKind.CONTAINER: "ContainerNode", NodeKind.LINK: "LinkNode", NodeKind.DATA: "DataNode"}


class _Element(typing.Protocol):
    """What we use of lxml's elements; it comes without types."""

    tag: str
    text: str | None

    def get(self, name: str, default: str = "", /) -> str: ...
    def iterfind(self, path: str, /) -> Iterator[_Element]: ...
    def find(self, path: str, /) -> _Element | None: ...
    def findtext(self, path: str, /) -> str | None: ...


_etree = typing.cast("typing.Any", lxml.etree)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]


@dataclass(frozen=True, kw_only=True)
class NodeDocument:
    """What was posted about a node. A property with the value None is to be removed."""

    uri: str
    kind: NodeKind
    properties: Sequence[tuple[str, str | None]]
    target: str


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to move bytes, with the ways to sign in that it asks for (none: pre-authorised)."""

    uri: str
    security: tuple[str, ...] = ()
    endpoint: str = ""


@dataclass(frozen=True, kw_only=True)
class TransferDocument:
    """What is to be moved where. `direction` is a word of the standard or the URI of the goal."""

    target: str
    direction: str
    keep_bytes: bool
    protocols: Sequence[Protocol]
    view: str = ""


def parse_node(body: bytes) -> NodeDocument:
    """Read a node document.

    Raises:
        Invalid: it is none.
    """
    root = _root(body, "node")
    kind = _KINDS.get(root.get(f"{{{_XSI}}}type", "").rpartition(":")[2])
    if kind is None:
        raise _bad("The node has no type that we know.", code="type_not_supported")
    properties = [
        (element.get("uri", ""), None if element.get(f"{{{_XSI}}}nil") == "true" else element.text or "")
        for element in root.iterfind(f"{{{VOS}}}properties/{{{VOS}}}property")
    ]
    return NodeDocument(
        uri=root.get("uri", ""), kind=kind, properties=properties, target=_text(root, "target")
    )


def parse_transfer(body: bytes) -> TransferDocument:
    """Read a transfer document.

    Raises:
        Invalid: it is none.
    """
    root = _root(body, "transfer")
    protocols = [
        Protocol(
            uri=element.get("uri", ""),
            security=tuple(method.get("uri", "") for method in element.iterfind(f"{{{VOS}}}securityMethod")),
        )
        for element in root.iterfind(f"{{{VOS}}}protocol")
    ]
    view = root.find(f"{{{VOS}}}view")
    return TransferDocument(
        target=_text(root, "target"),
        direction=_text(root, "direction"),
        keep_bytes=_text(root, "keepBytes").lower() != "false",
        protocols=protocols[:32],
        view=view.get("uri", "") if view is not None else "",
    )


def node_text(node: Node, authority: str, *, detail: str = "max") -> str:
    """Return a node document without children."""
    return _DECLARATION + "".join(_node(node, authority, detail, None, _namespaces()))


def listing(node: Node, children: Iterable[Node], authority: str, *, detail: str = "max") -> Iterator[str]:
    """Yield the document of a container with children, in pieces of some ten kilobytes."""
    buffer = [_DECLARATION]
    size = 0
    for piece in _node(node, authority, detail, children, _namespaces()):
        buffer.append(piece)
        size += len(piece)
        if size > 65_536:
            yield "".join(buffer)
            buffer, size = [], 0
    yield "".join(buffer)


def transfer_text(transfer: TransferDocument) -> str:
    """Return a transfer document with its endpoints."""
    protocols: list[str] = []
    for protocol in transfer.protocols:
        methods = "".join(f"<vos:securityMethod uri={quoteattr(uri)}/>" for uri in protocol.security)
        endpoint = f"<vos:endpoint>{escape(protocol.endpoint)}</vos:endpoint>" if protocol.endpoint else ""
        protocols.append(f"<vos:protocol uri={quoteattr(protocol.uri)}>{endpoint}{methods}</vos:protocol>")
    view = f"<vos:view uri={quoteattr(transfer.view)}/>" if transfer.view else ""
    return (
        f'{_DECLARATION}<vos:transfer xmlns:vos="{VOS}" version="2.1">'
        f"<vos:target>{escape(transfer.target)}</vos:target>"
        f"<vos:direction>{escape(transfer.direction)}</vos:direction>{view}"
        f"{''.join(protocols)}<vos:keepBytes>{str(transfer.keep_bytes).lower()}</vos:keepBytes></vos:transfer>\n"
    )


def job_text(job: Job) -> str:
    """Return a UWS job document."""
    return (
        f"{_DECLARATION}<uws:job {_UWS}>"
        f"<uws:jobId>{escape(job.id)}</uws:jobId>"
        f"<uws:ownerId>{escape(job.owner_name)}</uws:ownerId>"
        f"<uws:phase>{job.phase.value}</uws:phase>"
        '<uws:quote xsi:nil="true"/>'
        f"<uws:creationTime>{to_iso(job.created_at)}</uws:creationTime>"
        f"{_moment('startTime', job.started_at and to_iso(job.started_at))}"
        f"{_moment('endTime', job.ended_at and to_iso(job.ended_at))}"
        "<uws:executionDuration>0</uws:executionDuration>"
        f"<uws:destruction>{to_iso(job.destroy_at)}</uws:destruction>"
        f"<uws:parameters/>{_results(job.results, '')}{_error(job.error)}</uws:job>\n"
    )


def results_text(results: Mapping[str, str]) -> str:
    """Return the results of a UWS job."""
    return _DECLARATION + _results(results, " " + _UWS.removesuffix(' version="1.1"')) + "\n"


def jobs_text(jobs: Sequence[Job]) -> str:
    """Return a list of UWS jobs."""
    refs = "".join(
        f"<uws:jobref id={quoteattr(job.id)}><uws:phase>{job.phase.value}</uws:phase>"
        f"<uws:ownerId>{escape(job.owner_name)}</uws:ownerId>"
        f"<uws:creationTime>{to_iso(job.created_at)}</uws:creationTime></uws:jobref>"
        for job in jobs
    )
    return f"{_DECLARATION}<uws:jobs {_UWS}>{refs}</uws:jobs>\n"


def _results(results: Mapping[str, str], attributes: str) -> str:
    items = "".join(
        f"<uws:result id={quoteattr(name)} xlink:href={quoteattr(href)}/>" for name, href in results.items()
    )
    return f"<uws:results{attributes}>{items}</uws:results>"


def _error(error: str) -> str:
    if not error:
        return ""
    message = f"<uws:message>{escape(error)}</uws:message>"
    return f'<uws:errorSummary type="fatal" hasDetail="false">{message}</uws:errorSummary>'


def _moment(name: str, text: str | None) -> str:
    return f"<uws:{name}>{text}</uws:{name}>" if text else f'<uws:{name} xsi:nil="true"/>'


def _namespaces() -> str:
    return f' xmlns:vos="{VOS}" xmlns:xsi="{_XSI}" version="2.1"'


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


def _root(body: bytes, name: str) -> _Element:
    parser = _etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = _etree.fromstring(body, parser)
    except (_etree.XMLSyntaxError, ValueError) as error:
        raise _bad("The document is not well-formed XML.") from error
    if root.getroottree().docinfo.doctype:
        raise _bad("The document has a DTD.")
    if root.tag != f"{{{VOS}}}{name}":
        raise _bad(f"The document is not a VOSpace {name}.")
    return root


def _text(root: _Element, name: str) -> str:
    return (root.findtext(f"{{{VOS}}}{name}") or "").strip()


def _bad(message: str, code: str = "invalid_argument") -> Invalid:
    return Invalid(message, code=code, facts={"field": "body"}, remedy="Send a VOSpace 2.1 document.")
