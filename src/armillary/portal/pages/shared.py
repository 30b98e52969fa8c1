"""Links for people without an account, and the list of those that one has made.

What is behind a link is only ever sent to be saved: nothing that people upload is shown as a page of this origin.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.files_shown import address, plain_name, shown, visible
from armillary.portal.pages.file import sending
from armillary.portal.visit import Visit
from armillary.vospace.model import Node, Page
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.bin import in_bin
from armillary.vospace.service.packages import Packages

SHOWN = 500
_RANGE = re.compile(r"bytes=(\d{1,18})-")

Start = Annotated[int, Query(ge=0, le=2**63 - 1)]

router = APIRouter()


@router.get("/shares")
def shares(portal: Services, visit: Visiting, start: Start = 0) -> Response:
    now = portal.clock.now()
    found = portal.shelf.links.mine(visit.who)
    offering = portal.files.offering(visit.person, start=start, most=SHOWN)
    return visit.page(
        "shares.html",
        links=[
            (
                link,
                visible(str(link.path)),
                address(link.path),
                portal.shelf.links.secret(link),
                link.is_open(now),
            )
            for link in found[:SHOWN]
        ],
        more=len(found) > SHOWN,
        nodes=[(shown(node), visible(str(node.path))) for node in offering.nodes if not in_bin(node.path)],
        first="/shares" if start else None,
        following=_next("/shares", offering.following),
        origin=_origin(visit),
    )


@router.get("/shared")
def with_me(portal: Services, visit: Visiting, start: Start = 0) -> Response:
    found = portal.files.offered(visit.who, start=start, most=SHOWN)
    kept = [node for node in found.nodes if not in_bin(node.path)]
    return visit.page(
        "shared_with_me.html",
        nodes=[(shown(node), visible(str(node.path))) for node in kept],
        home="/files",
        first="/shared" if start else None,
        following=_next("/shared", found.following),
    )


@router.post("/shares/{link_id}")
def revoke(portal: Services, visit: Visiting, form: Sent, link_id: str) -> Response:
    link = portal.shelf.links.revoke(visit.who, link_id)
    if form.text("to") == "file":
        return visit.go(f"{address(link.path)}?about=1&notice=link-revoked#links")
    return visit.go("/shares", notice="link-revoked")


@router.get("/s/{secret}")
@router.get("/s/{secret}/{below:path}")
def follow(portal: Services, visit: Visiting, secret: str, below: str = "") -> Response:
    path = VOSPath.parse(below)
    link, node, asker = portal.shelf.links.look(secret, path)
    asked = visit.request.query_params
    if node.is_file and (asked.get("download") or path.names):
        answer = _file(portal, visit, secret, path)
    elif node.is_container and asked.get("download"):
        answer = _folder(portal, secret, path)
    else:
        listed = node.is_container and link.lists
        start = asked.get("start", "")
        children = (
            list(portal.files.children(asker, node.path, Page(start=start, limit=SHOWN + 1)))
            if listed
            else []
        )
        here = f"/s/{secret}" + (quote(str(path)) if path.names else "")
        answer = visit.page(
            "shared.html",
            link=link,
            node=node,
            name=visible(node.name),
            here=here,
            up=f"/s/{secret}" + quote(str(path.parent)).rstrip("/") if path.names else "",
            listed=listed,
            children=[
                _entry(here, child) for child in children[:SHOWN] if child.is_container or child.is_file
            ],
            following=f"{here}?start={quote(children[SHOWN].name)}" if len(children) > SHOWN else None,
            origin=_origin(visit),
        )
    # whoever has the address may read: it must not travel further, neither to other sites nor into an index
    answer.headers["referrer-policy"] = "no-referrer"
    answer.headers["x-robots-tag"] = "noindex, nofollow"
    answer.headers["cache-control"] = "private, no-store"
    return answer


def _next(page: str, start: int | None) -> str | None:
    return None if start is None else f"{page}?start={start}"


def _entry(here: str, child: Node) -> dict[str, Any]:
    return {"node": child, "name": visible(child.name), "here": f"{here}/{quote(child.name, safe='')}"}


def _file(portal: Portal, visit: Visit, secret: str, path: VOSPath) -> Response:
    asked = _RANGE.fullmatch(visit.request.headers.get("range", ""))
    start = int(asked.group(1)) if asked else 0
    opened = portal.shelf.links.fetch(secret, path, start)
    if asked and start >= opened.node.length:
        return Response(status_code=416, headers={"content-range": f"bytes */{opened.node.length}"})
    answer = sending(opened, status=206 if asked else 200)
    answer.headers["accept-ranges"] = "bytes"
    if asked:
        answer.headers["content-range"] = f"bytes {start}-{opened.stop - 1}/{opened.node.length}"
    return answer


def _folder(portal: Portal, secret: str, path: VOSPath) -> Response:
    node, asker = portal.shelf.links.fetch_folder(secret, path)
    headers = {"content-disposition": plain_name(f"{node.name}.zip"), "content-security-policy": "sandbox"}
    # it is read in the name of who made the link: a link in the folder, which a guest may have put there, leads to
    # whatever that person may read
    body = Packages(space=portal.files).open(asker, [node.path], "zip", follow=False)
    return StreamingResponse(body, media_type="application/zip", headers=headers)


def _origin(visit: Visit) -> str:
    return str(visit.request.base_url).rstrip("/")
