"""Inside a machine: its boot log as it is written, terminals, its screen, and what runs in it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, RedirectResponse, Response

from armillary.accounts.cookies import session_of
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import CloudName, ServerId
from armillary.portal.context import Portal, Services, Visiting, sent
from armillary.portal.i18n import translations
from armillary.portal.inside.doorman import need_own
from armillary.portal.inside.logs import Piece, piece_after
from armillary.portal.inside.printing import printable
from armillary.portal.inside.reaching import login_of
from armillary.portal.inside.tickets import Kind, Pass, Place
from armillary.portal.inside.workspaces import Phase
from armillary.portal.security import HEADERS
from armillary.portal.visit import Visit
from armillary.portal.wording import error_text

LOG_LINES = 1000
WHOLE_LOG_LINES = 100_000
WINDOWS = {Kind.SHELL: "terminal", Kind.SERIAL: "terminal", Kind.SCREEN: "screen", Kind.DESKTOP: "screen"}
"""Which page shows what."""
WORKSPACES = (Kind.JUPYTER, Kind.DESKTOP)
_POLICY = "content-security-policy"
TERMINAL_POLICY = {_POLICY: HEADERS[_POLICY].replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")}
"""xterm.js and noVNC write style elements; no script gets more than elsewhere."""

router = APIRouter(prefix="/machines/{cloud}/{server_id}")


def place_of(visit: Visit, cloud: str, server_id: str) -> Place:
    return Place(project=visit.project, cloud=CloudName(cloud), server_id=ServerId(server_id))


def piece_of_log(portal: Portal, visit: Visit, cloud: str, server_id: str, after: str = "") -> Piece:
    """Return what is new in a machine's console log."""
    where = (CloudName(cloud), visit.project, ServerId(server_id))
    return piece_after(printable(portal.fleet.console_log(*where, lines=LOG_LINES)), after)


@router.get("/log")
def log(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    server = portal.fleet.server(CloudName(cloud), visit.project, ServerId(server_id))
    piece = piece_of_log(portal, visit, cloud, server_id)
    return visit.page("inside_log.html", server=server, piece=piece)


@router.get("/log/part")
def log_part(
    portal: Services,
    visit: Visiting,
    cloud: str,
    server_id: str,
    after: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """As JSON, for `inside/log.js`, which puts it on the page as text."""
    piece = piece_of_log(portal, visit, cloud, server_id, after)
    return JSONResponse(
        {"whole": piece.whole, "text": piece.text, "partial": piece.partial, "anchor": piece.anchor}
    )


@router.get("/log/download")
def log_download(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    """All that the cloud has kept, as it was written."""
    where = (CloudName(cloud), visit.project, ServerId(server_id))
    text = portal.fleet.console_log(*where, lines=WHOLE_LOG_LINES)
    headers = {"content-disposition": f'attachment; filename="console-{where[2][:8]}.log"'}
    return Response(text.encode(errors="replace"), media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/inside/{kind}")
def window(portal: Services, visit: Visiting, cloud: str, server_id: str, kind: Kind) -> Response:
    """A page with a terminal or a screen; it asks for its ticket itself."""
    if kind not in WINDOWS:
        raise _nothing()
    visit.member()
    place = place_of(visit, cloud, server_id)
    server = portal.fleet.server(place.cloud, place.project, place.server_id)
    page = visit.page(
        f"inside_{WINDOWS[kind]}.html",
        server=server,
        kind=kind.value,
        path=f"/machines/{cloud}/{server_id}",
        login=login_of(portal.fleet, place.project, server),
    )
    page.headers.update(TERMINAL_POLICY)
    return page


@router.get("/inside/screen/elsewhere")
def elsewhere(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    """Lead to the cloud's own page with the screen: a link, since a form may lead nowhere but here (see security)."""
    where = (CloudName(cloud), visit.member(), ServerId(server_id))
    need_own(portal.fleet.server(*where))
    address = portal.fleet.screen(*where)
    if not address.startswith(("http://", "https://")):
        raise _nothing()
    return RedirectResponse(address, 303)


@router.post("/inside/{kind}/ticket", dependencies=[Depends(sent)])
def ticket(portal: Services, visit: Visiting, cloud: str, server_id: str, kind: Kind) -> Response:
    """A one-time ticket, as the address of the WebSocket that takes it."""
    if kind not in WINDOWS:
        raise _nothing()
    visit.member()
    assert visit.membership
    try:
        secret = portal.inside.ticket(
            session_of(visit.request),
            visit.membership,
            place_of(visit, cloud, server_id),
            kind,
        )
    except ArmillaryError as error:
        words = error_text(translations(visit.locale), error)
        return JSONResponse({"message": words.message, "remedy": words.remedy}, status_code=error.status)
    path = f"/machines/{cloud}/{server_id}/inside/{kind.value}/socket?ticket={secret}"
    return JSONResponse({"socket": path}, status_code=201)


@router.websocket("/inside/{kind}/socket")
async def socket(
    websocket: WebSocket,
    cloud: str,
    server_id: str,
    kind: Kind,
    ticket: Annotated[str, Query(max_length=100)] = "",
) -> None:
    if not from_here(websocket):
        await websocket.close()  # before it is accepted: the server answers 403
        return
    portal: Portal = websocket.app.state.portal
    try:
        await portal.inside.serve(
            websocket,
            session=session_of(websocket),
            ticket=ticket,
            kind=kind,
            cloud=cloud,
            server_id=server_id,
        )
    except ArmillaryError:
        await websocket.close()


@router.get("/inside/{kind}/start")
def workspace(portal: Services, visit: Visiting, cloud: str, server_id: str, kind: Kind) -> Response:
    """How far JupyterLab or the desktop is; when it is ready, the way to it."""
    place = place_of(visit, cloud, server_id)
    server = portal.fleet.server(place.cloud, place.project, place.server_id)
    standing = portal.inside.workspaces.standing(admitted(portal, visit, place, kind))
    return visit.page(
        "workspace.html",
        server=server,
        path=f"/machines/{cloud}/{server_id}",
        kind=kind.value,
        standing=standing,
    )


@router.post("/inside/{kind}/start", dependencies=[Depends(sent)])
async def begin(portal: Services, visit: Visiting, cloud: str, server_id: str, kind: Kind) -> Response:
    place = place_of(visit, cloud, server_id)
    what = await run_in_threadpool(admitted, portal, visit, place, kind)
    portal.inside.workspaces.begin(what)
    return visit.go(f"/machines/{cloud}/{server_id}/inside/{kind.value}/start")


@router.get("/inside/{kind}/standing")
def standing(portal: Services, visit: Visiting, cloud: str, server_id: str, kind: Kind) -> Response:
    """A part of the page of `workspace`; when all is ready, the page goes on by its link."""
    place = place_of(visit, cloud, server_id)
    how = portal.inside.workspaces.standing(admitted(portal, visit, place, kind))
    return visit.page("_workspace.html", path=f"/machines/{cloud}/{server_id}", kind=kind.value, standing=how)


@router.get("/inside/{kind}/open")
def open_(portal: Services, visit: Visiting, cloud: str, server_id: str, kind: Kind) -> Response:
    """Lead to it: a desktop is a page of ours; what a notebook shows has an origin of its own."""
    what = admitted(portal, visit, place_of(visit, cloud, server_id), kind)
    path = f"/machines/{cloud}/{server_id}/inside"
    if portal.inside.workspaces.standing(what).phase is not Phase.READY:
        return visit.go(f"{path}/{kind.value}/start")
    if kind is Kind.DESKTOP:
        return visit.go(f"{path}/desktop")
    return RedirectResponse(portal.inside.way_to(what), 303)


def admitted(portal: Portal, visit: Visit, place: Place, kind: Kind) -> Pass:
    """Who visits, as somebody who may have a workspace of that kind in that machine."""
    if kind not in WORKSPACES:
        raise _nothing()
    visit.member()
    assert visit.membership
    session = session_of(visit.request)
    return portal.inside.admit(session, visit.membership, place, kind)


def from_here(websocket: WebSocket) -> bool:
    """Whether a page of ours opens the WebSocket: browsers let any page try, and send our cookies along."""
    origin = websocket.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == websocket.headers.get("host")


def _nothing() -> NotFound:
    return NotFound("There is no such page.", code="page_not_found")
