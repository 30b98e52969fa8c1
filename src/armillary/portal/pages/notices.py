"""What one was told, and where one wants to be told of what."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.clock import from_iso, to_iso
from armillary.base.errors import ArmillaryError, Invalid
from armillary.notices.model import Channel, NoticeKind, Wishes
from armillary.notices.service import PAGE
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.letters import KINDS, line
from armillary.portal.visit import Visit

router = APIRouter(prefix="/notices")


def moment_in(text: str) -> datetime | None:
    """Read a moment of an address. Raises Invalid."""
    try:
        return from_iso(text) if text else None
    except ValueError as error:
        raise Invalid(
            "This is no moment.", facts={"field": "before"}, remedy="Start again from the first page."
        ) from error


def show(
    portal: Portal, visit: Visit, before: str = "", *, status: int = 200, error: ArmillaryError | None = None
) -> Response:
    person = visit.person
    found = portal.office.notices.notes(person.id, before=moment_in(before), limit=PAGE + 1)
    return visit.page(
        "notices.html",
        status=status,
        notes=[(note, line(visit.locale, note.kind, note.facts)) for note in found[:PAGE]],
        older=f"/notices?before={to_iso_exact(found[PAGE - 1].at)}" if len(found) > PAGE else None,
        newer="/notices" if before else None,
        kinds=KINDS,
        channels=[
            Channel.PAGE,
            *(c for c in (Channel.MAIL, Channel.URL) if c in portal.office.notices.sends),
        ],
        wishes=portal.office.notices.wishes(person.id),
        key=portal.office.notices.key(person.user_name),
        error=error,
    )


def to_iso_exact(moment: datetime) -> str:
    """Render a moment to the microsecond, so that the next page begins behind it."""
    return to_iso(moment) if not moment.microsecond else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@router.get("")
def notices(portal: Services, visit: Visiting, before: str = "") -> Response:
    return show(portal, visit, before)


@router.post("/read")
def read_all(portal: Services, visit: Visiting, form: Sent) -> Response:
    portal.office.notices.mark_read(
        visit.person.id, form.text("note") or None, read=form.text("as") != "unread"
    )
    return visit.go("/notices")


@router.get("/{note_id}")
def follow(portal: Services, visit: Visiting, note_id: str) -> Response:
    note = portal.office.notices.note(visit.person.id, note_id)
    portal.office.notices.mark_read(visit.person.id, note.id)
    return visit.go(line(visit.locale, note.kind, note.facts).link)


@router.post("/wishes")
def choose(portal: Services, visit: Visiting, form: Sent) -> Response:
    there = {
        kind: frozenset(channel for channel in Channel if form.flag(f"{kind.value}-{channel.value}"))
        for kind in NoticeKind
    }
    try:
        portal.office.notices.choose(visit.person.id, Wishes(channels=there, url=form.text("notify_url")))
    except ArmillaryError as error:
        return show(portal, visit, status=error.status, error=error)
    return visit.go("/notices", notice="wishes-kept")
