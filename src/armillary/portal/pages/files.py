"""Folders: the same VOSpace that `vls` and `vcp` see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response, StreamingResponse

from armillary.base.errors import Invalid
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.files_shown import address, crumbs, home_path, plain_name, shown, visible, vos_uri
from armillary.portal.forms import Form
from armillary.portal.pages.file import file_page, sending
from armillary.portal.pages.file_changes import change_node
from armillary.portal.visit import Visit
from armillary.vospace.core.conditions import ANY, Conditions
from armillary.vospace.model import Node, Order, Page
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import HOME_DEPTH
from armillary.vospace.service.bin import BIN, in_bin
from armillary.vospace.service.packages import Packages
from armillary.vospace.service.weighing import weigh

SHOWN = 200
CHUNK = 2**20
ORDERS = {"name": Order.NAME, "size": Order.LENGTH, "date": Order.DATE, "owner": Order.OWNER}
NEARLY_FULL = 0.8
MOST_UNDONE = 40
"""Deletions that one button takes back; the bin has the others."""

_BINNED = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")

router = APIRouter()


@router.get("/files")
def home(portal: Services, visit: Visiting) -> Response:
    node = portal.files.ensure_home(visit.person)
    return RedirectResponse(address(node.path), 303)


@router.get("/files/{where:path}")
def look(portal: Services, visit: Visiting, where: str) -> Response:
    asked = visit.request.query_params
    path = VOSPath.parse(where)
    if in_bin(path) and len(path.names) == HOME_DEPTH + 1:
        return bin_page(portal, visit, path)
    node = portal.files.node(visit.who, path)
    if asked.get("download"):
        return sending(portal.files.open_bytes(visit.who, path))
    if asked.get("weights"):
        parts, whole = weigh(portal.files, visit.who, path)
        template = "_weights.html" if visit.request.headers.get("hx-request") else "weights.html"
        return visit.page(
            template,
            node=node,
            name=visible(node.name),
            here=address(path),
            crumbs=crumbs(path),
            parts=[(part, visible(part.name), address(path / part.name)) for part in parts],
            whole=whole,
        )
    if not node.is_container or asked.get("about"):
        return file_page(portal, visit, node)
    return folder(portal, visit, node)


def folder(portal: Portal, visit: Visit, node: Node) -> Response:
    """Show a page of a folder: sorted, filtered and paged by the address."""
    asked = visit.request.query_params
    sort = asked.get("sort", "name")
    if sort not in ORDERS:
        raise Invalid(f"There is no order {sort[:40]!r}.", code="invalid_argument", facts={"field": "sort"})
    page = Page(
        start=asked.get("start", ""),
        limit=SHOWN + 1,
        order=ORDERS[sort],
        descending=bool(asked.get("down")),
        match=asked.get("match", "")[:255],
    )
    children = list(portal.files.children(visit.who, node.path, page))
    following = children[SHOWN].name if len(children) > SHOWN else ""
    at_home = len(node.path.names) == HOME_DEPTH
    top = home_path(node.path)
    home = None
    if len(top.names) == HOME_DEPTH:
        home = node if at_home else portal.files.node(visit.who, top) if _may(portal, visit, top) else None
    undo = [one for one in asked.getlist("undo")[:MOST_UNDONE] if _BINNED.fullmatch(one)]
    return visit.page(
        "files.html",
        node=node,
        name=visible(node.name),
        here=address(node.path),
        crumbs=crumbs(node.path),
        children=[shown(child) for child in children[:SHOWN] if not (at_home and child.name == BIN)],
        first=_with(visit, start=None) if page.start else None,
        following=_with(visit, start=following) if following else None,
        sort=sort,
        page=page,
        orders={name: _order(visit, name, sort, down=page.descending) for name in ORDERS},
        home=home,
        full=bool(home and home.quota and home.used >= NEARLY_FULL * home.quota),
        bin=address(top / BIN) if home else "",
        undo=undo,
        top=address(top),
        uploads="/vault/uploads" + quote(str(node.path)),
        uri=vos_uri(node.path, portal.files.authorities[0].replace("/", "~")),
    )


def bin_page(portal: Portal, visit: Visit, path: VOSPath) -> Response:
    """Show what was deleted, the newest first. Nothing may have been yet, and then there is no such folder."""
    portal.files.node(visit.who, path.parent)
    start = visit.request.query_params.get("start", "")
    found = portal.shelf.bins.contents(visit.who, path.parent, start, SHOWN + 1)
    return visit.page(
        "bin.html",
        here=address(path.parent),
        crumbs=crumbs(path),
        found=[(one, visible(one.node.name), visible(str(one.came_from))) for one in found[:SHOWN]],
        following=_with(visit, start=found[SHOWN].id) if len(found) > SHOWN else None,
        days=portal.shelf.bins.lifetime.days,
        uri=vos_uri(path, portal.files.authorities[0].replace("/", "~")),
    )


@router.post("/files/{where:path}")
def change(portal: Services, visit: Visiting, form: Sent, where: str) -> Response:
    path = VOSPath.parse(where)
    names = form.every("name") if form.flag("many") else []
    match form.text("action"):
        case "upload":
            return upload(portal, visit, form, path)
        case "mkdir":
            return make_folder(portal, visit, form, path)
        case "zip":
            return zipped(portal, visit, [path / name for name in names] or [path])
        case "restore":
            back = path
            for binned in form.every("id")[:MOST_UNDONE]:
                back = portal.shelf.bins.restore(visit.who, path, binned).path.parent
            return visit.go(address(back), notice="restored")
        case "empty":
            portal.shelf.bins.empty(visit.who, path)
            return visit.go(address(path), notice="bin-emptied")
        case "delete":
            return delete(portal, visit, path, names)
        case "move" | "copy" as action if names:
            target = _place(form.raw("to"), path)
            for name in names:
                act = portal.files.move if action == "move" else portal.files.copy
                act(visit.who, path / name, _inside(portal, visit, target) / name)
            return visit.go(address(path), notice="moved" if action == "move" else "copied")
        case _:
            return change_node(portal, visit, form, path)


def delete(portal: Portal, visit: Visit, path: VOSPath, names: Sequence[str]) -> Response:
    """Delete into the bin; what is in there, for good."""
    gone = [path / name for name in names] or [path]
    parent = path if names else path.parent
    undo: list[str] = []
    for one in gone:
        if in_bin(one):
            portal.files.delete(visit.who, one)
        else:
            undo.append(portal.shelf.bins.put(visit.who, one))
    if not undo:
        return visit.go(address(parent), notice="file-deleted")
    shown_there = urlencode([("notice", "binned"), *(("undo", one) for one in undo[:MOST_UNDONE])])
    return visit.go(f"{address(parent)}?{shown_there}")


def make_folder(portal: Portal, visit: Visit, form: Form, path: VOSPath) -> Response:
    """Make a folder, or for a script that sends a whole tree, several in one another that may be there already."""
    if form.flag("tree"):
        names = VOSPath.parse(form.raw("name")).names
        portal.files.make_container(visit.who, VOSPath((*path.names, *names)), parents=True)
        return Response(status_code=204)
    portal.files.make_container(visit.who, path / form.text("name"))
    return visit.go(address(path), notice="folder-made")


def upload(portal: Portal, visit: Visit, form: Form, path: VOSPath) -> Response:
    """Write each file; one that fails stops the rest, and those before it stay."""
    conditions = None if form.flag("replace") else Conditions(none_match=ANY)
    for item in form.uploads("files"):
        # some browsers send the path on the visitor's disk
        name = str(item.filename).replace("\\", "/").rsplit("/", maxsplit=1)[-1]
        writing = portal.files.begin_upload(
            visit.who,
            path / name,
            length=item.size,
            content_type=item.content_type or "",
            conditions=conditions,
        )
        try:
            for piece in _pieces(item.file):
                writing.write(piece)
            writing.commit()
        finally:
            writing.abort()
    return visit.go(address(path), notice="uploaded")


def zipped(portal: Portal, visit: Visit, paths: Sequence[VOSPath]) -> Response:
    """Answer with an archive that is written while it is sent: it takes no room here, however large it is."""
    packages = Packages(space=portal.files)
    asker = portal.files.access.asker(visit.who)
    packages.check(asker, paths)
    name = f"{paths[0].name or 'vospace'}.zip" if len(paths) == 1 else "files.zip"
    headers = {"content-disposition": plain_name(name), "content-security-policy": "sandbox"}
    return StreamingResponse(
        packages.open(asker, paths, "zip"), media_type="application/zip", headers=headers
    )


def _inside(portal: Portal, visit: Visit, target: VOSPath) -> VOSPath:
    """Return a folder that many things are to go into."""
    if not portal.files.node(visit.who, target).is_container:
        raise Invalid(
            f"{target} is not a folder.",
            code="invalid_argument",
            facts={"field": "to", "path": str(target)},
            remedy="Name a folder that is there.",
        )
    return target


def _place(text: str, here: VOSPath) -> VOSPath:
    return VOSPath.parse(text) if text.startswith("/") else VOSPath.parse(f"{here}/{text}")


def _may(portal: Portal, visit: Visit, path: VOSPath) -> bool:
    asker = portal.files.access.asker(visit.who)
    return asker is not None and (asker.is_admin or path.name == asker.user_name)


def _order(visit: Visit, name: str, sort: str, *, down: bool) -> tuple[str, str]:
    """Return where a click on the head of a column leads, and how that column is sorted now."""
    now = ("descending" if down else "ascending") if name == sort else "none"
    turned = "1" if name == sort and not down else None
    return _with(visit, sort=name, down=turned, start=None), now


def _with(visit: Visit, **changes: str | None) -> str:
    """Return the address of this page with other parameters; what was only for once is left out."""
    kept = {
        name: value
        for name, value in visit.request.query_params.items()
        if name not in {"notice", "undo", *changes}
    }
    query = urlencode({**kept, **{name: value for name, value in changes.items() if value}})
    path = quote(visit.request.scope["path"])
    return f"{path}?{query}" if query else path


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece
