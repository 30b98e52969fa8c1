"""What the XML documents of VOSpace and UWS have in common.

Documents come from strangers: entities, DTDs and the network are off.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator

import lxml.etree  # pyright: ignore[reportMissingTypeStubs, reportMissingImports]

from armillary.base.errors import Invalid
from armillary.vospace.paths import bare

VOS = "http://www.ivoa.net/xml/VOSpace/v2.0"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Element(typing.Protocol):
    """What we use of lxml's elements; it comes without types."""

    tag: str
    text: str | None

    def get(self, name: str, default: str = "", /) -> str: ...
    def iterfind(self, path: str, /) -> Iterator[Element]: ...
    def find(self, path: str, /) -> Element | None: ...
    def findtext(self, path: str, /) -> str | None: ...


_etree = typing.cast("typing.Any", lxml.etree)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]


def parse_root(body: bytes, name: str) -> Element:
    """Return the root element of a VOSpace document.

    Raises:
        Invalid: it is not well-formed, has a DTD, or is another document.
    """
    root = _parsed(body)
    if root.tag != f"{{{VOS}}}{name}":
        raise bad_document(f"The document is not a VOSpace {name}.")
    return root


def inner_text(body: bytes) -> str:
    """Return a document as text that can stand inside another one."""
    return _etree.tostring(_parsed(body), encoding="unicode", with_tail=False)


def text_of(root: Element, name: str) -> str:
    """Return the text of a child, empty when there is none."""
    return bare(root.findtext(f"{{{VOS}}}{name}") or "")


def bad_document(message: str, code: str = "invalid_argument") -> Invalid:
    """Return the refusal of a document."""
    return Invalid(message, code=code, facts={"field": "body"}, remedy="Send a VOSpace 2.1 document.")


def _parsed(body: bytes) -> typing.Any:
    parser = _etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = _etree.fromstring(body, parser)
    except (_etree.XMLSyntaxError, ValueError) as error:
        raise bad_document("The document is not well-formed XML.") from error
    if root.getroottree().docinfo.doctype:
        raise bad_document("The document has a DTD.")
    return root
