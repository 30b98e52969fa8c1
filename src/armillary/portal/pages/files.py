"""Files: the same VOSpace that `vls` and `vcp` see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response, StreamingResponse

from armillary.base.errors import Invalid
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.forms import Form
from armillary.portal.visit import Visit
from armillary.vospace.model import Node, Page
from armillary.vospace.paths import VOSPath

SHOWN = 500
CHUNK = 2**20

router = APIRouter()


def address(path: VOSPath) -> str:
    """Return the portal's address of a node."""
    return "/files" + quote(str(path)) if path.names else "/files/"


def views_of(node: Node) -> str:
    """Return where a FITS file's picture and headers are made; nothing for other files."""
    is_fits = not node.is_container and node.name.lower().endswith((".fits", ".fit", ".fts", ".fz"))
    return "/arc/files" + quote(str(node.path)) if is_fits and node.length else ""


@router.get("/files")
def home(portal: Services, visit: Visiting) -> Response:
    node = portal.files.ensure_home(visit.person)
    return RedirectResponse(address(node.path), 303)


@router.get("/files/{where:path}")
def look(portal: Services, visit: Visiting, where: str, start: str = "", ask: str = "") -> Response:
    path = VOSPath.parse(where)
    node = portal.files.node(visit.who, path)
    if ask == "delete":
        return visit.page("delete_file.html", node=node, here=address(path))
    if not node.is_container:
        return download(portal, visit, path)
    children = list(portal.files.children(visit.who, path, Page(start=start, limit=SHOWN + 1)))
    ways = [(VOSPath(path.names[:depth]), path.names[depth - 1]) for depth in range(1, len(path.names) + 1)]
    return visit.page(
        "files.html",
        node=node,
        here=address(path),
        crumbs=[(address(way), name) for way, name in ways],
        children=[(child, address(child.path), views_of(child)) for child in children[:SHOWN]],
        following=children[SHOWN].name if len(children) > SHOWN else "",
        home=portal.files.node(visit.who, VOSPath(path.names[:2])) if len(path.names) >= 2 else None,
    )


@router.post("/files/{where:path}")
def change(portal: Services, visit: Visiting, form: Sent, where: str) -> Response:
    path = VOSPath.parse(where)
    match form.text("action"):
        case "upload":
            return upload(portal, visit, form, path)
        case "mkdir":
            portal.files.make_container(visit.who, path / form.text("name"))
            return visit.go(address(path), notice="folder-made")
        case "move":
            target = form.text("to")
            goal = VOSPath.parse(target if target.startswith("/") else f"{path.parent}/{target}")
            portal.files.move(visit.who, path, goal)
            return visit.go(address(path.parent), notice="moved")
        case "delete":
            portal.files.delete(visit.who, path)
            return visit.go(address(path.parent), notice="file-deleted")
        case other:
            raise Invalid(f"There is no action {other!r}.")


def upload(portal: Portal, visit: Visit, form: Form, path: VOSPath) -> Response:
    """Write each file; one that fails stops the rest, and those before it stay."""
    for item in form.uploads("files"):
        # some browsers send the path on the visitor's disk
        name = str(item.filename).replace("\\", "/").rsplit("/", maxsplit=1)[-1]
        portal.files.put_bytes(
            visit.who, path / name, _pieces(item.file), length=item.size, content_type=item.content_type or ""
        )
    return visit.go(address(path), notice="uploaded")


def download(portal: Portal, visit: Visit, path: VOSPath) -> Response:
    """Answer with a file's bytes, always to be saved: what people upload is never shown as a page of ours."""
    opened = portal.files.open_bytes(visit.who, path)
    headers = {
        "content-length": str(opened.stop - opened.start),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(opened.node.name, safe='')}",
        "content-security-policy": "sandbox",
    }
    return StreamingResponse(opened.chunks, media_type="application/octet-stream", headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece
