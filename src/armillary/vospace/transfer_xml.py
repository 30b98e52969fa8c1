"""Transfer documents of VOSpace 2.1, in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from armillary.vospace.documents import DECLARATION, VOS, Element, bad_document, parse_root, text_of
from armillary.vospace.paths import bare

MAX_PROTOCOLS = 32
MAX_TARGETS = 1000
MAX_PARAMS = 100

Params = tuple[tuple[str, str], ...]
"""URI and value."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to move bytes, with the ways to sign in that it asks for (none: pre-authorised)."""

    uri: str
    security: tuple[str, ...] = ()
    endpoint: str = ""
    params: Params = ()


@dataclass(frozen=True, kw_only=True)
class TransferDocument:
    """What is to be moved where. `direction` is a word of the standard or the URI of the goal.

    Only packages have several `targets`; `view` is empty when none was asked for.
    """

    targets: tuple[str, ...]
    direction: str
    keep_bytes: bool
    protocols: Sequence[Protocol] = ()
    view: str = ""
    view_params: Params = ()
    params: Params = ()

    @property
    def target(self) -> str:
        """The first target."""
        return self.targets[0] if self.targets else ""


def parse_transfer(body: bytes) -> TransferDocument:
    """Read a transfer document.

    Raises:
        Invalid: it is none.
    """
    root = parse_root(body, "transfer")
    targets = tuple(bare(element.text or "") for element in root.iterfind(f"{{{VOS}}}target"))
    if not 0 < len(targets) <= MAX_TARGETS:
        raise bad_document(f"A transfer has 1 to {MAX_TARGETS} targets.")
    protocols = [
        Protocol(
            uri=element.get("uri", ""),
            security=tuple(method.get("uri", "") for method in element.iterfind(f"{{{VOS}}}securityMethod")),
            endpoint=text_of(element, "endpoint").strip(),
            params=_params(element),
        )
        for element in root.iterfind(f"{{{VOS}}}protocol")
    ]
    view = root.find(f"{{{VOS}}}view")
    direction = text_of(root, "direction")
    return TransferDocument(
        targets=targets,
        direction=direction if direction.startswith("vos:") else direction.strip(),
        keep_bytes=text_of(root, "keepBytes").strip().lower() not in {"false", "0"},
        protocols=protocols[:MAX_PROTOCOLS],
        view=view.get("uri", "") if view is not None else "",
        view_params=_params(view) if view is not None else (),
        params=_params(root),
    )


def transfer_text(transfer: TransferDocument) -> str:
    """Return a transfer document with its endpoints."""
    return f"{DECLARATION}{transfer_element(transfer)}\n"


def transfer_element(transfer: TransferDocument) -> str:
    """Return a transfer as an element that can stand in another document."""
    targets = "".join(f"<vos:target>{escape(target)}</vos:target>" for target in transfer.targets)
    view = ""
    if transfer.view:
        view = (
            f"<vos:view uri={quoteattr(transfer.view)}>{_params_text(transfer.view_params)}</vos:view>"
            if transfer.view_params
            else f"<vos:view uri={quoteattr(transfer.view)}/>"
        )
    return (
        f'<vos:transfer xmlns:vos="{VOS}" version="2.1">{targets}'
        f"<vos:direction>{escape(transfer.direction)}</vos:direction>{view}"
        f"{''.join(_protocol_text(protocol) for protocol in transfer.protocols)}"
        f"<vos:keepBytes>{str(transfer.keep_bytes).lower()}</vos:keepBytes>"
        f"{_params_text(transfer.params)}</vos:transfer>"
    )


def _protocol_text(protocol: Protocol) -> str:
    endpoint = f"<vos:endpoint>{escape(protocol.endpoint)}</vos:endpoint>" if protocol.endpoint else ""
    methods = "".join(f"<vos:securityMethod uri={quoteattr(uri)}/>" for uri in protocol.security)
    params = _params_text(protocol.params)
    return f"<vos:protocol uri={quoteattr(protocol.uri)}>{endpoint}{params}{methods}</vos:protocol>"


def _params_text(params: Params) -> str:
    return "".join(f"<vos:param uri={quoteattr(uri)}>{escape(value)}</vos:param>" for uri, value in params)


def _params(parent: Element) -> Params:
    found = [(e.get("uri", ""), (e.text or "").strip()) for e in parent.iterfind(f"{{{VOS}}}param")]
    return tuple(found[:MAX_PARAMS])
