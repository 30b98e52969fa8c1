"""What the tests say to a space: documents to send, and answers taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from lxml import etree
from starlette.testclient import TestClient

VOS = "http://www.ivoa.net/xml/VOSpace/v2.0"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
CORE = "ivo://ivoa.net/vospace/core#"
CADC = "ivo://cadc.nrc.ca/vospace/core#"
XML = {"Content-Type": "text/xml"}


def uri(path: str, authority: str = "opencadc.org!vault") -> str:
    return f"vos://{authority}{path}"


def node_document(
    path: str,
    kind: str = "ContainerNode",
    properties: dict[str, str | None] | None = None,
    *,
    target: str = "",
    authority: str = "opencadc.org!vault",
) -> str:
    """A node to send; a property that is None is to be removed. Without a kind it says no type."""
    items = "".join(
        f'<vos:property uri={quoteattr(name)} xsi:nil="true"/>'
        if value is None
        else f"<vos:property uri={quoteattr(name)}>{escape(value)}</vos:property>"
        for name, value in (properties or {}).items()
    )
    kind = f'xsi:type="vos:{kind}"' if kind else ""
    end = f"<vos:target>{escape(target)}</vos:target>" if target else ""
    escaped = path.replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    return (
        f'<vos:node xmlns:vos="{VOS}" xmlns:xsi="{XSI}" {kind} uri={quoteattr(uri(escaped, authority))}>'
        f"<vos:properties>{items}</vos:properties>{end}</vos:node>"
    )


def transfer_document(
    target: str, direction: str, *protocols: str, keep: bool | None = None, view: str = "", ends: str = ""
) -> str:
    """A transfer to send: `target` is a path, `ends` what all protocols hold inside."""
    asked = "".join(f"<vos:protocol uri={quoteattr(name)}>{ends}</vos:protocol>" for name in protocols)
    return (
        f'<vos:transfer xmlns:vos="{VOS}" version="2.1"><vos:target>{escape(uri(target))}</vos:target>'
        f"<vos:direction>{escape(direction)}</vos:direction>"
        + (f"<vos:view uri={quoteattr(view)}/>" if view else "")
        + asked
        + ("" if keep is None else f"<vos:keepBytes>{str(keep).lower()}</vos:keepBytes>")
        + "</vos:transfer>"
    )


@dataclass(kw_only=True)
class Seen:
    """A node as it was answered."""

    uri: str
    kind: str
    properties: dict[str, str]
    parts: list[str]
    target: str
    accepts: list[str]
    provides: list[str]
    capabilities: dict[str, str]
    children: list[Seen] = field(default_factory=list["Seen"])

    @property
    def names(self) -> list[str]:
        return [child.uri.rpartition("/")[2] for child in self.children]


def seen(document: bytes | etree._Element) -> Seen:
    """Take a node document apart."""
    root = etree.fromstring(document) if isinstance(document, bytes) else document
    assert root.tag == f"{{{VOS}}}node", root.tag

    def uris(part: str) -> list[str]:
        return [item.get("uri") for item in root.iterfind(f"{{{VOS}}}{part}/{{{VOS}}}view")]

    return Seen(
        uri=root.get("uri"),
        kind=root.get(f"{{{XSI}}}type").removeprefix("vos:"),
        properties={
            item.get("uri"): item.text or ""
            for item in root.iterfind(f"{{{VOS}}}properties/{{{VOS}}}property")
        },
        parts=[etree.QName(child).localname for child in root],
        target=root.findtext(f"{{{VOS}}}target") or "",
        accepts=uris("accepts"),
        provides=uris("provides"),
        capabilities={
            item.get("uri"): item.findtext(f"{{{VOS}}}endpoint") or ""
            for item in root.iterfind(f"{{{VOS}}}capabilities/{{{VOS}}}capability")
        },
        children=[seen(child) for child in root.iterfind(f"{{{VOS}}}nodes/{{{VOS}}}node")],
    )


class Talk:
    """One person's conversation with the service `vault`; paths are plain."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def make(self, path: str, kind: str = "ContainerNode", **more: object) -> Seen:
        answer = self.put(path, node_document(path, kind, **more))  # pyright: ignore[reportArgumentType]
        assert answer.status_code == 201, answer.text
        return seen(answer.content)

    def put(self, path: str, document: str):
        return self.http.put(f"/vault/nodes{quote(path)}", content=document.encode(), headers=XML)

    def set(self, path: str, properties: dict[str, str | None], kind: str = "ContainerNode", **more: str):
        document = node_document(path, kind, properties, **more)
        return self.http.post(f"/vault/nodes{quote(path)}", content=document.encode(), headers=XML)

    def get(self, path: str, **query: str | int):
        return self.http.get(f"/vault/nodes{quote(path)}", params=query)

    def look(self, path: str, **query: str | int) -> Seen:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return seen(answer.content)

    def delete(self, path: str):
        return self.http.delete(f"/vault/nodes{quote(path)}")

    def write(self, path: str, data: bytes) -> int:
        return self.http.put(f"/vault/files{quote(path)}", content=data).status_code

    def read(self, path: str) -> bytes:
        answer = self.http.get(f"/arc/files{quote(path)}")
        assert answer.status_code in {200, 204}, answer.text
        return answer.content

    def ask(self, document: str, where: str = "synctrans"):
        return self.http.post(f"/vault/{where}", content=document.encode(), headers=XML)


def endpoints(document: bytes) -> list[tuple[str, str]]:
    """The protocols of a transfer document with their endpoints."""
    root = etree.fromstring(document)
    return [
        (item.get("uri"), item.findtext(f"{{{VOS}}}endpoint") or "")
        for item in root.iterfind(f"{{{VOS}}}protocol")
    ]
