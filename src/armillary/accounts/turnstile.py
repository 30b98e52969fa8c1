"""Counts what strangers try from each network address, in the records: a restart forgives nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from armillary.accounts.core.addresses import AddressPolicy, counted_as
from armillary.accounts.core.lockout import LockoutPolicy
from armillary.accounts.store import Records
from armillary.base.clock import Clock
from armillary.base.errors import TooManyRequests


class Attempt(StrEnum):
    """What is counted, each for itself."""

    PROOF = "proof"
    """a wrong password or code"""
    REQUEST = "request"
    """a registration, or a letter for a new password"""


class Turnstile:
    """Lets an address try as long as its policy allows. `origin` is the address as the server sees it; empty: none."""

    def __init__(
        self, *, clock: Clock, policies: Mapping[Attempt, AddressPolicy], forget_after: timedelta
    ) -> None:
        self._clock = clock
        self._policies = policies
        self._forget_after = forget_after

    def need_turn(self, records: Records, attempt: Attempt, origin: str) -> None:
        """Refuse an address that has tried too often.

        Raises:
            TooManyRequests: code `too_many_from_here`, with `facts["retry_after"]` (seconds).
        """
        key = self._key(attempt, origin)
        wait = LockoutPolicy().wait(records.people.failures(key), self._clock.now()) if key else None
        if wait:
            seconds = max(1, round(wait.total_seconds()))
            raise TooManyRequests(
                f"There were too many tries from your network address; the next may come in {seconds} seconds.",
                code="too_many_from_here",
                facts={"retry_after": seconds},
                remedy="Wait, then try again.",
            )

    def count(self, records: Records, attempt: Attempt, origin: str) -> None:
        """Count a try."""
        key, now = self._key(attempt, origin), self._clock.now()
        if key:
            counted = self._policies[attempt].after(records.people.failures(key), now)
            records.people.set_failures(key, counted, forget_before=now - self._forget_after)

    def _key(self, attempt: Attempt, origin: str) -> str | None:
        address = counted_as(origin) if attempt in self._policies and self._policies[attempt].most else None
        return address and f"{attempt.value} from {address}"  # no user name has a space
