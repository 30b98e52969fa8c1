"""Transfer documents of VOSpace 2.1, in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from armillary.vospace.documents import DECLARATION, VOS, parse_root, text_of


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


def parse_transfer(body: bytes) -> TransferDocument:
    """Read a transfer document.

    Raises:
        Invalid: it is none.
    """
    root = parse_root(body, "transfer")
    protocols = [
        Protocol(
            uri=element.get("uri", ""),
            security=tuple(method.get("uri", "") for method in element.iterfind(f"{{{VOS}}}securityMethod")),
        )
        for element in root.iterfind(f"{{{VOS}}}protocol")
    ]
    view = root.find(f"{{{VOS}}}view")
    return TransferDocument(
        target=text_of(root, "target"),
        direction=text_of(root, "direction"),
        keep_bytes=text_of(root, "keepBytes").lower() != "false",
        protocols=protocols[:32],
        view=view.get("uri", "") if view is not None else "",
    )


def transfer_text(transfer: TransferDocument) -> str:
    """Return a transfer document with its endpoints."""
    protocols: list[str] = []
    for protocol in transfer.protocols:
        methods = "".join(f"<vos:securityMethod uri={quoteattr(uri)}/>" for uri in protocol.security)
        endpoint = f"<vos:endpoint>{escape(protocol.endpoint)}</vos:endpoint>" if protocol.endpoint else ""
        protocols.append(f"<vos:protocol uri={quoteattr(protocol.uri)}>{endpoint}{methods}</vos:protocol>")
    view = f"<vos:view uri={quoteattr(transfer.view)}/>" if transfer.view else ""
    return (
        f'{DECLARATION}<vos:transfer xmlns:vos="{VOS}" version="2.1">'
        f"<vos:target>{escape(transfer.target)}</vos:target>"
        f"<vos:direction>{escape(transfer.direction)}</vos:direction>{view}"
        f"{''.join(protocols)}<vos:keepBytes>{str(transfer.keep_bytes).lower()}</vos:keepBytes></vos:transfer>\n"
    )
