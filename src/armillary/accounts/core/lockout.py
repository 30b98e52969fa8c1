"""How repeated wrong passwords slow down the next try. Pure: moments in, moments out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Wrong passwords in a row for one user name, whether or not somebody has that name."""

    count: int
    last_at: datetime
    locked_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class LockoutPolicy:
    """After `free` failures each try waits, at first `first`, then twice as long each time up to `most`.

    Failures are forgotten after `memory` without one, or with the right password.
    """

    free: int = 2
    first: timedelta = timedelta(seconds=5)
    most: timedelta = timedelta(minutes=5)
    memory: timedelta = timedelta(hours=1)

    def after_failure(self, before: Failures | None, now: datetime) -> Failures:
        """Return the record once one more wrong password has been given at `now`."""
        count = 1
        if before is not None and now - before.last_at <= self.memory:
            count = before.count + 1
        locked_until = None
        if count >= self.free:
            doublings = min(count - self.free, 16)  # enough for any `most`; keeps the figure small
            locked_until = now + min(self.first * 2**doublings, self.most)
        return Failures(count=count, last_at=now, locked_until=locked_until)

    def wait(self, failures: Failures | None, now: datetime) -> timedelta:
        """Return how long the next try must wait, zero if it may be made now."""
        if failures is None or failures.locked_until is None:
            return timedelta()
        return max(failures.locked_until - now, timedelta())
