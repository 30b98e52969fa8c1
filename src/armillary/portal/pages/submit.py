"""The submit page: from a file, or from a form with a table of parameters."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import ArmillaryError
from armillary.base.ids import new_hex
from armillary.fleet.model import FleetFlavor
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.pages.images import all_images
from armillary.portal.submitting import submit
from armillary.portal.visit import Visit

router = APIRouter()


def show_form(
    portal: Portal, visit: Visit, values: dict[str, str], *, error: ArmillaryError | None = None
) -> Response:
    """Answer with the submit form."""
    known = all_images(portal, visit.member())
    flavors = {flavor.name: flavor for flavor in _flavors(portal, visit)}
    return visit.page(
        "submit.html",
        status=error.status if error else 200,
        images=[image.first for image in known.images if image.settled],
        flavors=flavors.values(),
        values=values,
        key=new_hex(),
        error=error,
    )


def _flavors(portal: Portal, visit: Visit) -> Iterator[FleetFlavor]:
    for cloud in portal.fleet.clouds():
        try:
            yield from portal.fleet.flavors(cloud, visit.project)
        except ArmillaryError:
            continue  # the other clouds may still run the jobs


@router.get("/jobs/submit")
def submit_form(portal: Services, visit: Visiting, image: str = "") -> Response:
    return show_form(portal, visit, {"image": image})


@router.post("/jobs/submit")
def submit_sent(portal: Services, visit: Visiting, form: Sent) -> Response:
    visit.member()
    try:
        queued = submit(portal.batch, visit, form)
    except ArmillaryError as error:
        return show_form(portal, visit, form.values(), error=error)
    return visit.go(f"/jobs/{queued.cluster}", notice="submitted")
