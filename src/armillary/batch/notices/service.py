"""Sees that submits are over, and tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from armillary.accounts.model import Person
from armillary.base.clock import Clock
from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId, PersonId
from armillary.batch.model import Wishes
from armillary.batch.notices.book import NoticeBook, Told, standing
from armillary.batch.notices.model import Happened, Wanted, wants
from armillary.batch.ports import People
from armillary.notices.model import Channel, NoticeKind
from armillary.notices.sending import Sending

_PAGE = 500

Notify = Callable[[PersonId, NoticeKind, Mapping[str, Any], str], object]
"""Tells a person of an event, by its key once for ever."""


class Notices:
    """Call `tick` every few seconds. All that it knows is in the records: any tick may be the last."""

    def __init__(
        self,
        *,
        book: NoticeBook,
        people: People,
        clock: Clock,
        sending: Sending,
        notify: Notify,
        to_others: bool = False,
    ) -> None:
        """`notify` tells the owner in the portal; mail `to_others` than the owner is rare."""
        self._book = book
        self._people = people
        self._clock = clock
        self._sending = sending
        self._notify = notify
        self._to_others = to_others

    def tick(self) -> None:
        """Write down what is to be told, then begin to tell what is due."""
        self._look()
        self._sending.tick()

    def warnings(self, wishes: Wishes, who: Person) -> list[str]:
        """Return what a person who submits should know of what will not happen."""
        if wishes.notification == Wanted.NEVER:
            return []
        if Channel.MAIL not in self._sending.channels:
            return ["This platform sends no mail: nobody will be written to about these jobs."]
        other = wishes.notify_user
        if other and other != who.email and not self._to_others:
            return [f"This platform writes to nobody but you: mail goes to {who.email}, not to {other}."]
        return []

    def _look(self) -> None:
        after = ""
        while page := self._book.waiting(after=after, limit=_PAGE):
            after = page[-1].id
            for row in page:
                self._judge(row)

    def _judge(self, row: Any) -> None:
        happened = standing(row).happened or self._under_way(row)
        if happened is None:
            if row.said:
                self._book.goes_on(row.id)
            return
        if row.said == happened.value:
            return
        channel = Channel(row.kind)
        body = self._book.facts(ClusterId(row.cluster), happened)
        letter = None
        if channel is Channel.PAGE:
            kind = NoticeKind.BATCH_FAILING if 2 * body["failed"] > body["jobs"] else NoticeKind.BATCH_OVER
            event = f"batch/{row.cluster}/{happened.value}"
            if happened is Happened.FAILING:
                kind = NoticeKind.BATCH_FAILING  # and of a submit once for ever
            else:
                event = f"{event}/{body['ended_at']}"
            self._notify(PersonId(row.owner), kind, body, event)  # said twice it is told once
        elif channel is Channel.URL or wants(Wanted(row.notification), happened, failed=body["failed"]):
            letter = self._letter(row, channel, body)
        self._book.tell(row.id, happened, letter=letter, now=self._clock.now())

    def _under_way(self, row: Any) -> Happened | None:
        if Channel(row.kind) is not Channel.PAGE:
            return None
        said = row.said == Happened.FAILING.value
        return Happened.FAILING if said or self._book.mostly_fails(row) else None

    def _letter(self, row: Any, channel: Channel, body: Mapping[str, Any]) -> Told | None:
        """Return what to send; nothing to somebody who is gone, or has no address."""
        try:
            owner = self._people.person(PersonId(row.owner))
        except NotFound:
            owner = None
        target = row.target if channel is Channel.URL or (row.target and self._to_others) else ""
        target = target or (owner.email if owner else "")
        if not target:
            return None
        locale = owner.locale if owner else "en"
        return Told(target=target, owner=body["owner"], locale=locale, body=body)
