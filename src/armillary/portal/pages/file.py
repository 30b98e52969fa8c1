"""The page of one file or folder: what is in it, what it is, who may come near, and what can be done with it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response, StreamingResponse

from armillary.base.errors import ArmillaryError
from armillary.portal.context import Portal
from armillary.portal.files_shown import crumbs, plain_name, shown, visible, vos_uri
from armillary.portal.forms import whole
from armillary.portal.previews import ROWS_SHOWN, header_of, table_of, text_of
from armillary.portal.visit import Visit
from armillary.vospace.core.permissions import Action
from armillary.vospace.core.properties import properties_of
from armillary.vospace.model import Node
from armillary.vospace.service.files import Opened

NOTHING: dict[str, Any] = dict.fromkeys(
    ("error", "header", "has_picture", "picture", "text", "is_binary", "table")
)
LINK_DAYS = (1, 7, 30, 90, 365)


def file_page(portal: Portal, visit: Visit, node: Node) -> Response:
    """Show a file with its preview, or what there is to know about a folder."""
    seen = shown(node)
    who = portal.files.access.asker(visit.who)
    with portal.files.records.reading() as tree:
        way = tree.walk(node.path)
        may_write = portal.files.access.allowed(who, Action.WRITE, way)
        may_share = portal.files.access.allowed(who, Action.SHARE, way) and len(way) > 2
    links = [
        (link, portal.shelf.links.secret(link), link.is_open(portal.clock.now()))
        for link in portal.shelf.links.mine(visit.who, node.path)
    ]
    return visit.page(
        "file.html",
        node=node,
        seen=seen,
        name=visible(node.name or "/"),
        crumbs=crumbs(node.path),
        inside=NOTHING | _inside(portal, visit, node) if node.is_file and node.length else None,
        has_records=portal.provenance is not None,
        may_write=may_write,
        may_share=may_share,
        groups=sorted(group.name for group in portal.accounts.groups_in_role(visit.person, "member")),
        properties=sorted(properties_of(node).items()),
        free=sorted(node.properties.items()),
        links=links,
        origin=str(visit.request.base_url).rstrip("/"),
        link_days=LINK_DAYS,
        uri=vos_uri(node.path, portal.files.authorities[0].replace("/", "~")),
    )


def sending(opened: Opened, *, status: int = 200) -> Response:
    """Answer with a file's bytes, always to be saved: what people upload is never shown as a page of ours."""
    headers = {
        "content-length": str(opened.stop - opened.start),
        "content-disposition": plain_name(opened.node.name),
        "content-security-policy": "sandbox",
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(
        opened.chunks, status_code=status, media_type="application/octet-stream", headers=headers
    )


def _inside(portal: Portal, visit: Visit, node: Node) -> dict[str, Any]:
    """Return what is shown of a file's inside: of one that cannot be read, why."""
    asked = visit.request.query_params
    kind = shown(node).kind
    try:
        if kind == "fits":
            header = header_of(portal, visit, node, whole(asked.get("hdu")) or 0, asked.get("find", "")[:80])
            has_picture = any(part.has_pixels for part in header.parts)
            found: dict[str, Any] = {"header": header, "has_picture": has_picture}
            chosen = header.parts[header.number] if header.number < len(header.parts) else None
            if chosen and chosen.is_table:
                found |= _rows(portal, visit, node, header.number)
            return found
        if kind == "table":
            return _rows(portal, visit, node, None)
        if kind == "picture":
            return {"picture": True}
        text = text_of(portal, visit, node, whole(asked.get("at"), digits=15) or 0)
        return {"text": text, "is_binary": text is None}
    except ArmillaryError as error:
        return {"error": error}


def _rows(portal: Portal, visit: Visit, node: Node, hdu: int | None) -> dict[str, Any]:
    row = whole(visit.request.query_params.get("row"), digits=14) or 0
    table = table_of(portal, visit, node, hdu, row)
    return {"table": table, "row": row, "rows": ROWS_SHOWN}
