"""A cluster that is kept for ever: what that would copy, doing it, letting it go, a DOI, and its crate to take along."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId
from armillary.portal.archive import Archive
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.files_shown import visible
from armillary.portal.pages.jobs import Number
from armillary.portal.visit import Visit
from armillary.provenance.crate_api import place_of
from armillary.provenance.exporting import Target
from armillary.vospace.paths import VOSPath

FRESH = timedelta(seconds=20)
"""how long what was looked up ahead is taken for true"""

Place = Annotated[str, Query(max_length=4096)]
Title = Annotated[str, Query(max_length=500)]
Ticked = Annotated[str, Query(max_length=10)]

router = APIRouter()


def archive_of(portal: Portal) -> Archive:
    """Return what works with crates. Raises NotFound on a platform without it."""
    if portal.archive is None:
        raise NotFound("There is no such page.", code="page_not_found")
    return portal.archive


@router.get("/jobs/{cluster}/keep")
def keep_page(
    portal: Services,
    visit: Visiting,
    cluster: Number,
    to: Place = "",
    title: Title = "",
    image: Ticked = "",
) -> Response:
    archive, number, who = archive_of(portal), ClusterId(cluster), visit.who
    summary = portal.batch.cluster(who, number)
    doing = archive.chores.find(visit.person.id, _doing(cluster))
    found = archive.freezes.find(number)
    error = doing.error if doing else None
    if error:
        archive.chores.forget(visit.person.id, _doing(cluster))  # it is told once
    looked = None
    if found is None and (doing is None or doing.done):
        place = _place(visit, to)
        looked = archive.chores.begin(
            visit.person.id,
            f"ahead/{cluster}/{bool(image)}/{place or ''}",
            lambda _tell: archive.freezes.ahead(who, number, to=place, with_image=bool(image)),
            fresh=FRESH,
        )
        error = error or looked.error
    return visit.page(
        "keep.html",
        cluster=summary,
        found=found if doing is None or doing.done else None,
        mine=found is not None and (found.person == visit.person.id or visit.person.is_admin),
        public=found is not None and archive.freezes.is_public(found),
        can_cite=archive.freezes.can_cite,
        folder=visible(found.path) if found else "",
        doing=doing if doing and not doing.done else None,
        looked=looked,
        ahead=looked.result if looked and looked.done else None,
        to=to,
        title=title,
        image=bool(image),
        included=found is not None and archive.freezes.has_image(who, found),
        error=error,
    )


@router.post("/jobs/{cluster}/keep")
def keep(portal: Services, visit: Visiting, cluster: Number, form: Sent) -> Response:
    archive, number, who = archive_of(portal), ClusterId(cluster), visit.who
    portal.batch.cluster(who, number)
    to, title = form.text("to")[:4096], form.text("title")[:500]
    place, image = _place(visit, to), form.flag("image")
    chore = archive.chores.begin(
        visit.person.id,
        _doing(cluster),
        lambda _tell: archive.freezes.freeze(who, number, to=place, title=title or None, with_image=image),
        fresh=timedelta(0),  # what was tried before is tried anew
    )
    if chore.error is None and chore.done:
        return visit.go(f"/jobs/{cluster}/keep", notice="kept")
    typed = (("to", to), ("title", title), ("image", "1" if image else ""))
    given = {name: value for name, value in typed if value}
    return visit.go(f"/jobs/{cluster}/keep", **given)


@router.get("/jobs/{cluster}/unfreeze")
def unfreeze_page(portal: Services, visit: Visiting, cluster: Number) -> Response:
    found = archive_of(portal).freezes.find(ClusterId(cluster))
    summary = portal.batch.cluster(visit.who, ClusterId(cluster))
    if found is None:
        return visit.go(f"/jobs/{cluster}/keep")
    return visit.page("unfreeze.html", cluster=summary, found=found, folder=visible(found.path))


@router.post("/jobs/{cluster}/unfreeze")
def unfreeze(portal: Services, visit: Visiting, cluster: Number, _form: Sent) -> Response:
    archive = archive_of(portal)
    archive.freezes.unfreeze(visit.who, ClusterId(cluster))
    archive.chores.forget(visit.person.id, _doing(cluster))
    return visit.go(f"/jobs/{cluster}/keep", notice="thawed")


@router.post("/jobs/{cluster}/cite")
def cite(portal: Services, visit: Visiting, cluster: Number, form: Sent) -> Response:
    archive_of(portal).freezes.cite(visit.who, ClusterId(cluster), publish=form.flag("publish"))
    return visit.go(f"/jobs/{cluster}/keep", notice="cited")


@router.get("/jobs/{cluster}/crate.zip")
def crate(portal: Services, visit: Visiting, cluster: Number, image: Ticked = "") -> Response:
    return _packed(archive_of(portal), visit, Target(cluster=ClusterId(cluster)), with_image=bool(image))


@router.get("/jobs/{cluster}/{proc}/crate.zip")
def crate_of_job(portal: Services, visit: Visiting, cluster: Number, proc: Number) -> Response:
    return _packed(archive_of(portal), visit, Target(cluster=ClusterId(cluster), proc=proc), with_image=False)


def _packed(archive: Archive, visit: Visit, target: Target, *, with_image: bool) -> Response:
    found, who = archive.exports.crate(visit.who, target), visit.who
    if with_image:
        disk = archive.disks.disk(who, found)
        parcel = archive.exports.pack(who, disk.crate, archive.disks.chunks(disk))
    else:
        parcel = archive.exports.pack(who, found)
    headers = {"Content-Disposition": f'attachment; filename="crate-{target}.zip"'}
    return StreamingResponse(parcel.chunks, media_type="application/zip", headers=headers)


def _place(visit: Visit, to: str) -> VOSPath | None:
    return place_of(visit.who, to) if to else None


def _doing(cluster: int) -> str:
    return f"freeze/{cluster}"
