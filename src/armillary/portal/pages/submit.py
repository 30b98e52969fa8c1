"""The submit page: from a form with a table of parameters, or from a file; what it would do is told before the click."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from fastapi import APIRouter, Path
from starlette.responses import PlainTextResponse, Response

from armillary.base.errors import ArmillaryError
from armillary.base.ids import ClusterId, new_hex
from armillary.batch.model import OPEN_FLAVOR
from armillary.fleet.model import FleetFlavor
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.forms import Form
from armillary.portal.pages.images import all_images
from armillary.portal.submit_ahead import Ahead, look_ahead
from armillary.portal.submit_form import FIELDS
from armillary.portal.submitting import kept_files, submit, submit_text
from armillary.portal.visit import Visit

LONGEST_ADDRESS = 6_000
"""characters of an address that reopens a form; with a longer table it leaves the table out"""
KEPT = ("way", "image", "flavor", "again", "submit_text", *FIELDS)
"""what an address may fill in"""

router = APIRouter()


def show_form(
    portal: Portal,
    visit: Visit,
    values: Mapping[str, str],
    *,
    error: ArmillaryError | None = None,
    ahead: Ahead | None = None,
) -> Response:
    """Answer with the submit page."""
    known = all_images(portal, visit.member())
    flavors = {flavor.name: flavor for flavor in _flavors(portal, visit)}
    return visit.page(
        "submit.html",
        status=error.status if error else 200,
        images=[image.first for image in known.images if image.settled],
        flavors=sorted(flavors.values(), key=lambda flavor: (flavor.vcpus, flavor.ram)),
        open_flavor=OPEN_FLAVOR,
        values=values,
        way="file" if values.get("way") == "file" else "form",
        kept=kept_files(portal, visit, values.get("again", "")),
        key=new_hex(),
        error=error,
        ahead=ahead,
        address=address_of(values),
        other=address_of({**values, "way": "form" if values.get("way") == "file" else "file"}),
    )


def address_of(values: Mapping[str, str]) -> str:
    """Return the address that opens the page filled like this."""
    given = {name: values[name] for name in KEPT if values.get(name)}
    query = urlencode(given)
    if len(query) > LONGEST_ADDRESS:
        query = urlencode(
            {name: value for name, value in given.items() if name not in ("rows", "submit_text")}
        )
    return f"/jobs/submit?{query}" if query else "/jobs/submit"


def _flavors(portal: Portal, visit: Visit) -> Iterator[FleetFlavor]:
    for cloud in portal.fleet.clouds():
        try:
            yield from portal.fleet.flavors(cloud, visit.project)
        except ArmillaryError:
            continue  # the other clouds may still run the jobs


@router.get("/submit")
def short_address(visit: Visiting) -> Response:
    return visit.go(f"/jobs/submit?{visit.request.url.query}")


@router.get("/jobs/submit")
def submit_form(portal: Services, visit: Visiting) -> Response:
    query = visit.request.query_params
    return show_form(portal, visit, {name: query[name] for name in KEPT if name in query})


@router.post("/jobs/submit")
def submit_sent(portal: Services, visit: Visiting, form: Sent) -> Response:
    visit.member()
    try:
        queued = submit(portal, visit, form)
    except ArmillaryError as error:
        return show_form(portal, visit, form.values(), error=error, ahead=_as_it_is(form))
    return visit.go(f"/jobs/{queued.cluster}", notice="submitted")


@router.post("/jobs/submit/check")
def look_first(portal: Services, visit: Visiting, form: Sent) -> Response:
    visit.member()
    ahead = look_ahead(portal, visit, form)
    if visit.request.headers.get("hx-request"):
        return visit.page("_ahead.html", ahead=ahead, address=address_of(form.values()))
    return show_form(portal, visit, form.values(), ahead=ahead)


@router.post("/jobs/submit/file")
def made_file(visit: Visiting, form: Sent) -> Response:
    visit.member()
    headers = {"content-disposition": 'attachment; filename="jobs.sub"'}
    return PlainTextResponse(submit_text(form), headers=headers)


@router.get("/jobs/{cluster}/again")
def again(portal: Services, visit: Visiting, cluster: int = Path(ge=0, le=2**53)) -> Response:
    summary = portal.batch.cluster(visit.who, ClusterId(cluster))
    text = portal.board.submit_text(visit.who, ClusterId(cluster))
    values = {"way": "file", "again": str(cluster), "image": summary.image.sha512, "flavor": summary.flavor}
    return show_form(portal, visit, {**values, "submit_text": text})


def _as_it_is(form: Form) -> Ahead | None:
    """Return the submit file that was refused, to show its lines."""
    try:
        return Ahead(text=submit_text(form))
    except ArmillaryError:
        return None
