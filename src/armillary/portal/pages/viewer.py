"""The image viewer: JS9, in a frame of no origin, which gets the pixels as messages.

JS9 unpacks foreign files with C code in WebAssembly and makes HTML of what it finds. In its frame that meets nothing:
no cookie, no address of ours, no way to ask anybody. So the page around it keeps the portal's own strict policy, but
for being allowed to hold a frame of ours.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import ArmillaryError
from armillary.portal.context import Services, Visiting
from armillary.portal.files_shown import address, crumbs, shown, visible
from armillary.portal.forms import whole
from armillary.portal.previews import Header, Part, header_of
from armillary.portal.security import HEADERS
from armillary.vospace.paths import VOSPath

MOST_PIXELS = 2048 * 2048
"""of an image that is sent as it is; a larger one is thinned out to the resolution of a screen"""
LONGER_SIDE = 2048

KEPT = "private, max-age=86400"
"""by browsers: the address of a thumbnail names the version of the file"""
BLANK = b'<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48"/>'

_FRAME_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
_POLICY = "content-security-policy"

router = APIRouter()


@router.get("/view/{where:path}")
def view(portal: Services, visit: Visiting, where: str) -> Response:
    asked = visit.request.query_params
    path = VOSPath.parse(where)
    node = portal.files.node(visit.who, path)
    here = address(path)
    header, error = None, None
    try:
        header = header_of(portal, visit, node, whole(asked.get("hdu")) or 0, "")
    except ArmillaryError as refusal:
        error = refusal
    images = [part for part in header.parts if part.has_pixels] if header else []
    image = _chosen(header, images)
    values = _source(image, shown(node).views, whole(asked.get("plane")) or 0) if image else {}
    answer = visit.page(
        "view.html",
        status=error.status if error else 200,
        name=visible(node.name),
        here=here,
        crumbs=crumbs(path),
        error=error,
        image=image,
        images=[
            (f"/view{here[len('/files') :]}?hdu={part.number}", part.name or str(part.number), part is image)
            for part in images
        ],
        **values,
    )
    answer.headers[_POLICY] = HEADERS[_POLICY] + "; frame-src 'self'"
    return answer


@router.get("/thumbnail/{where:path}")
async def thumbnail(portal: Services, visit: Visiting, where: str) -> Response:
    """A small picture of a file; of one that has none, such as a table, a blank one."""
    headers = {"content-security-policy": "sandbox; default-src 'none'", "cache-control": KEPT}
    try:
        started = portal.shelf.views.start(visit.who, VOSPath.parse(where), [("PREVIEW", "thumbnail")])
        viewed = await asyncio.wrap_future(started)
    except ArmillaryError as refusal:
        if refusal.status not in {400, 413}:
            raise
        return Response(BLANK, media_type="image/svg+xml", headers=headers)
    return Response(b"".join(viewed.answer), media_type="image/png", headers=headers)


@router.get("/viewer/frame")
def frame(visit: Visiting) -> Response:
    answer = visit.page("viewer_frame.html")
    answer.headers[_POLICY] = _FRAME_POLICY
    return answer


def _chosen(header: Header | None, images: list[Part]) -> Part | None:
    if header is None or not images:
        return None
    return next((part for part in images if part.number == header.number), images[0])


def _source(image: Part, views: str, plane: int) -> dict[str, object]:
    """Return where the pixels come from: a cutout of one plane, of which perhaps only each nth pixel is taken."""
    width, height = (*image.axes, 1)[:2]
    planes = image.axes[2] if len(image.axes) > 2 else 1
    plane = min(max(plane, 1), planes)
    step = -(-max(width, height) // LONGER_SIDE) if width * height > MOST_PIXELS else 1
    axes = [f"1:{width}:{step}", f"1:{height}:{step}"][: len(image.axes)]
    if len(image.axes) > 2:
        axes += [str(plane), *("1" for _ in image.axes[3:])]
    section = f"[{image.number}][{','.join(axes)}]"
    return {
        "source": f"{views}?SUB={section.replace('[', '%5B').replace(']', '%5D').replace(',', '%2C')}",
        "picture": f"{views}?PREVIEW=1024",
        "step": step,
        "plane": plane,
        "planes": planes,
    }
