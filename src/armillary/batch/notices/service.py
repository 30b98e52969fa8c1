"""Sees that submits are over, and tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from armillary.accounts.model import Person
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Forbidden, Invalid, NotFound
from armillary.base.ids import ClusterId, PersonId
from armillary.batch.model import Wishes
from armillary.batch.notices.book import DUE, GIVEN_UP, SENT, NoticeBook, standing
from armillary.batch.notices.model import Delivery, Kind, Wanted, wants
from armillary.batch.ports import People

log = logging.getLogger(__name__)

Send = Callable[[Delivery], None]
"""Raises ArmillaryError when it did not arrive."""
_PAGE = 500
_AT_ONCE = 32
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
_TRIES = 15
"""over about nine hours"""
_UNTIL_AGAIN = timedelta(minutes=5)
"""from taking a delivery to trying it again, if nobody says how it went: its sender was killed"""
_KEPT = timedelta(days=30)
_SWEEP_EVERY = timedelta(hours=1)


class Notices:
    """Call `tick` every few seconds. All that it knows is in the records: any tick may be the last."""

    def __init__(
        self,
        *,
        book: NoticeBook,
        people: People,
        clock: Clock,
        senders: Mapping[Kind, Send],
        run: Callable[[Callable[[], None]], object],
        to_others: bool = False,
    ) -> None:
        """`senders` has what is set up; `run` does work beside the loop; mail `to_others` than the owner is rare."""
        self._book = book
        self._people = people
        self._clock = clock
        self._senders = senders
        self._run = run
        self._to_others = to_others
        self._swept_at: datetime | None = None

    def tick(self) -> None:
        """Write down what is to be told, then begin to tell what is due."""
        self._look()
        now = self._clock.now()
        for delivery in self._book.take_due(now=now, again=_UNTIL_AGAIN, limit=_AT_ONCE):
            self._run(lambda it=delivery: self.deliver(it))
        if (
            self._swept_at is None or now - self._swept_at > _SWEEP_EVERY
        ):  # a write, and there is seldom anything
            self._swept_at = now
            self._book.sweep(before=now - _KEPT)

    def warnings(self, wishes: Wishes, who: Person) -> list[str]:
        """Return what a person who submits should know of what will not happen."""
        if wishes.notification == Wanted.NEVER:
            return []
        if Kind.MAIL not in self._senders:
            return ["This platform sends no mail: nobody will be written to about these jobs."]
        other = wishes.notify_user
        if other and other != who.email and not self._to_others:
            return [f"This platform writes to nobody but you: mail goes to {who.email}, not to {other}."]
        return []

    def deliver(self, delivery: Delivery) -> None:
        """Try once, and write down how it went."""
        now = self._clock.now()
        send = self._senders.get(delivery.kind)
        if send is None:
            self._book.settle(delivery, GIVEN_UP, said="this platform sends none", next_at=now)
            return
        try:
            send(delivery)
        except ArmillaryError as error:
            hopeless = isinstance(error, Forbidden | Invalid) or delivery.tries >= _TRIES
            log.warning("notice %s (try %d): %s", delivery.id, delivery.tries, error.message)
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(delivery.tries - 1, 20))
            state = GIVEN_UP if hopeless else DUE
            self._book.settle(delivery, state, said=error.message, next_at=now + pause)
        else:
            self._book.settle(delivery, SENT, said="", next_at=now)

    def _look(self) -> None:
        after = ""
        while page := self._book.waiting(after=after, limit=_PAGE):
            after = page[-1].id
            for row in page:
                self._judge(row)

    def _judge(self, row: Any) -> None:
        happened = standing(row).happened
        if happened is None:
            if row.said:
                self._book.goes_on(row.id)
            return
        if row.said == happened.value:
            return
        kind = Kind(row.kind)
        body = self._book.facts(ClusterId(row.cluster), happened)
        told = kind is Kind.URL or wants(Wanted(row.notification), happened, failed=body["failed"])
        target = row.target if kind is Kind.URL else self._address(row)
        self._book.tell(
            row.id, happened, target=target, body=body if told and target else None, now=self._clock.now()
        )

    def _address(self, row: Any) -> str:
        """Return whom to write to; nobody when the owner is gone."""
        try:
            own = self._people.person(PersonId(row.owner)).email
        except NotFound:
            return ""
        return row.target if row.target and self._to_others else own
