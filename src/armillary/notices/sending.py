"""Sends what is due, each until it has arrived or there is no hope."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Forbidden, Invalid
from armillary.notices.model import Channel, Delivery
from armillary.notices.outbox import DUE, GIVEN_UP, SENT, Outbox

log = logging.getLogger(__name__)

Send = Callable[[Delivery], None]
"""Raises ArmillaryError when it did not arrive."""
_AT_ONCE = 32
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
_TRIES = 15
"""over about nine hours"""
_UNTIL_AGAIN = timedelta(minutes=5)
"""from taking a delivery to trying it again, if nobody says how it went: its sender was killed"""
_KEPT = timedelta(days=30)
_SWEEP_EVERY = timedelta(hours=1)


class Sending:
    """Call `tick` every few seconds. All that it knows is in the records: any tick may be the last."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        clock: Clock,
        senders: Mapping[Channel, Send],
        run: Callable[[Callable[[], None]], object],
    ) -> None:
        """`senders` has what is set up; `run` does work beside the loop."""
        self._outbox = outbox
        self._clock = clock
        self._senders = senders
        self._run = run
        self._swept_at: datetime | None = None

    @property
    def channels(self) -> Collection[Channel]:
        """What is set up."""
        return self._senders.keys()

    def tick(self) -> None:
        """Begin to send what is due."""
        now = self._clock.now()
        for delivery in self._outbox.take_due(now=now, again=_UNTIL_AGAIN, limit=_AT_ONCE):
            self._run(lambda it=delivery: self.deliver(it))
        if (
            self._swept_at is None or now - self._swept_at > _SWEEP_EVERY
        ):  # a write, and there is seldom anything
            self._swept_at = now
            self._outbox.sweep(before=now - _KEPT)

    def deliver(self, delivery: Delivery) -> None:
        """Try once, and write down how it went."""
        now = self._clock.now()
        send = self._senders.get(delivery.channel)
        if send is None:
            self._outbox.settle(delivery, GIVEN_UP, said="this platform sends none", next_at=now)
            return
        if (
            delivery.tries > _TRIES
        ):  # nobody came back from any try: what breaks its sender goes on breaking it
            log.error("notice %s: given up, since no try of it ended", delivery.id)
            self._outbox.settle(delivery, GIVEN_UP, said="no try of it ended", next_at=now)
            return
        try:
            send(delivery)
        except ArmillaryError as error:
            hopeless = isinstance(error, Forbidden | Invalid) or delivery.tries >= _TRIES
            log.warning("notice %s (try %d): %s", delivery.id, delivery.tries, error.message)
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(delivery.tries - 1, 20))
            state = GIVEN_UP if hopeless else DUE
            self._outbox.settle(delivery, state, said=error.message, next_at=now + pause)
        else:
            self._outbox.settle(delivery, SENT, said="", next_at=now)
