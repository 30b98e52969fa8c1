"""`/api/v1/notices` and `/api/v1/announcements`: what one was told, where one wants to be told, and what all are told."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependencies that close over `whole`

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from armillary.accounts.model import Person, Principal
from armillary.base.clock import to_iso
from armillary.base.errors import Forbidden
from armillary.bounded import BoundedRoute
from armillary.notices.announcements import LONGEST, Announcement, Announcements, Level
from armillary.notices.model import Channel, Note, NoticeKind, Wishes
from armillary.notices.service import PAGE, Notices

SCOPE = "accounts"
"""What a limited credential must name: notices tell of all of a person's projects."""
Words = Callable[[str, NoticeKind, Mapping[str, Any]], str]
"""The line of a notice in a language."""


class ReadBody(BaseModel):
    """Which note is read, or not; none: all."""

    note: str | None = Field(default=None, max_length=64)
    read: bool = True


class WishesBody(BaseModel):
    """Where to be told of each kind; kinds that are not named stay as they are. `url` is where POSTs go."""

    model_config = ConfigDict(extra="forbid")

    channels: dict[NoticeKind, set[Channel]] = Field(default_factory=dict[NoticeKind, set[Channel]])
    url: str | None = Field(default=None, max_length=2048)


class AnnounceBody(BaseModel):
    """What is announced, in both languages, from when until when."""

    model_config = ConfigDict(extra="forbid")

    level: Level = Level.INFO
    en: str = Field(max_length=LONGEST)
    fr: str = Field(max_length=LONGEST)
    since: datetime | None = None
    until: datetime
    notify: bool = False
    """Whether everybody gets a notice of it, too."""


def notices_router(
    *,
    notices: Notices,
    announcements: Announcements,
    people: Callable[[], list[Person]],
    words: Words,
    authenticate: Callable[..., Principal],
) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    routes = APIRouter(prefix="/api/v1", tags=["notices"], route_class=BoundedRoute)

    def whole(who: Annotated[Principal, Depends(authenticate)]) -> Principal:
        if not who.allows(SCOPE):
            raise Forbidden(
                "This credential is not for this.",
                code="scope_missing",
                facts={"scope": SCOPE},
                remedy="Sign in, or make a token without limits.",
            )
        return who

    def administrator(who: Annotated[Principal, Depends(whole)]) -> Principal:
        if not who.person.is_admin:
            raise Forbidden(
                "Only an administrator of the platform may do this.",
                code="not_an_administrator",
                remedy="Ask an administrator.",
            )
        return who

    def note_shape(note: Note, locale: str) -> dict[str, Any]:
        return {
            "id": note.id,
            "kind": note.kind.value,
            "text": words(locale, note.kind, note.facts),
            "facts": dict(note.facts),
            "at": to_iso(note.at),
            "read_at": to_iso(note.read_at) if note.read_at else None,
        }

    @routes.get("/notices")
    def mine(
        who: Annotated[Principal, Depends(whole)],
        before: datetime | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    ) -> dict[str, Any]:
        moment = before.replace(tzinfo=before.tzinfo or UTC) if before else None
        found = notices.notes(who.person.id, before=moment, limit=limit + 1)
        shown = found[:limit]
        return {
            "notices": [note_shape(note, who.person.locale) for note in shown],
            "unread": notices.unread(who.person.id),
            "next": shown[-1].at.astimezone(UTC).isoformat() if len(found) > limit else None,
        }

    @routes.post("/notices/read", status_code=204)
    def read(body: ReadBody, who: Annotated[Principal, Depends(whole)]) -> None:
        if body.note is not None:
            notices.note(who.person.id, body.note)
        notices.mark_read(who.person.id, body.note, read=body.read)

    def wishes_shape(who: Principal) -> dict[str, Any]:
        wanted = notices.wishes(who.person.id)
        return {
            "channels": {kind.value: sorted(wanted.of(kind)) for kind in NoticeKind},
            "url": wanted.url,
            "sends": sorted({Channel.PAGE, *notices.sends}),
            "key": notices.key(who.person.user_name),
        }

    @routes.get("/notices/wishes")
    def wishes(who: Annotated[Principal, Depends(whole)]) -> dict[str, Any]:
        return wishes_shape(who)

    @routes.put("/notices/wishes")
    def choose(body: WishesBody, who: Annotated[Principal, Depends(whole)]) -> dict[str, Any]:
        before = notices.wishes(who.person.id)
        chosen = {kind: frozenset(body.channels.get(kind, before.of(kind))) for kind in NoticeKind}
        notices.choose(
            who.person.id, Wishes(channels=chosen, url=before.url if body.url is None else body.url)
        )
        return wishes_shape(who)

    @routes.get("/announcements")
    def announced(
        who: Annotated[Principal, Depends(whole)], everything: Annotated[bool, Query(alias="all")] = False
    ) -> dict[str, Any]:
        found = announcements.all() if everything and administrator(who) else announcements.current()
        return {"announcements": [announcement_shape(one) for one in found]}

    @routes.post("/announcements", status_code=201)
    def announce(body: AnnounceBody, who: Annotated[Principal, Depends(administrator)]) -> dict[str, Any]:
        made = announcements.announce(
            level=body.level,
            en=body.en,
            fr=body.fr,
            since=_aware(body.since) if body.since else announcements.now(),
            until=_aware(body.until),
            by=who.person.user_name,
        )
        if body.notify:
            notices.notify_all([person.id for person in people()], made)
        return announcement_shape(made)

    @routes.delete("/announcements/{announcement_id}", status_code=204)
    def end(announcement_id: str, _who: Annotated[Principal, Depends(administrator)]) -> None:
        announcements.end(announcement_id)

    return routes


def announcement_shape(one: Announcement) -> dict[str, Any]:
    """The JSON shape of an announcement."""
    return {
        "id": one.id,
        "level": one.level.value,
        "en": one.en,
        "fr": one.fr,
        "since": to_iso(one.since),
        "until": to_iso(one.until),
        "made_by": one.made_by,
    }


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
