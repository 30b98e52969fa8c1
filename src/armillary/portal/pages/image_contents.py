"""What is inside of an image, read when somebody asks for it first, and how it differs from another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from armillary.base.errors import ArmillaryError, NotFound
from armillary.disks.comparing import compare
from armillary.disks.model import Comparison, Difference
from armillary.fleet.contents import Look
from armillary.portal.context import Portal, Services, Visiting, sent
from armillary.portal.pages.images import all_images, same_image
from armillary.portal.visit import Visit

MOST_SHOWN = 500
"""paths of one kind; the command line and the API give all"""

router = APIRouter(prefix="/images")
Key = Annotated[str, Query(max_length=200)]


@router.post("/{key}/read", dependencies=[Depends(sent)])
def read(portal: Services, visit: Visiting, key: str) -> Response:
    """Begin to read an image; the page that it leads to says how far that is."""
    image = same_image(portal, visit, key)
    portal.machinery.inside.contents.look(visit.project, image.key)
    return visit.go(f"/images/{image.key}")


@router.get("/{key}/compare")
def comparison(portal: Services, visit: Visiting, key: str, to: Key = "") -> Response:
    image = same_image(portal, visit, key)
    others = [one for one in all_images(portal, visit.project).images if one.key != image.key and one.settled]
    other = same_image(portal, visit, to) if to else None
    looks: Sequence[Look] = ()
    found: Comparison | None = None
    error: ArmillaryError | None = None
    if other is not None:
        try:
            looks = [portal.machinery.inside.contents.look(visit.project, one.key) for one in (image, other)]
            found = _compared(portal, visit, looks) if all(look.ready for look in looks) else None
        except ArmillaryError as refusal:
            error = refusal
    return visit.page(
        "image_compare.html",
        image=image,
        others=others,
        other=other,
        waiting=[look for look in looks if not look.ready],
        found=found,
        parts=_parts(visit, found) if found else [],
        error=error,
        most=MOST_SHOWN,
    )


def _compared(portal: Portal, visit: Visit, looks: Sequence[Look]) -> Comparison:
    contents = portal.machinery.inside.contents
    before, after = (contents.manifest(look.image.sha512 or "") for look in looks)
    if before is None or after is None:
        raise NotFound("What was written down of this image was lost.", code="manifest_lost")
    return compare(before, after)


def _parts(visit: Visit, found: Comparison) -> list[tuple[str, Difference]]:
    _ = visit.gettext
    return [
        (_("Configuration (/etc)"), found.configuration),
        (_("Files outside of packages"), found.outside),
        (_("Files of packages, changed by hand"), found.altered),
    ]
