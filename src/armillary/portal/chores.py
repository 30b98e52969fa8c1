"""Work that takes longer than a page may: begun by whoever asks for it first, and looked at until it is done."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, cast

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, TooManyRequests, Unavailable
from armillary.base.ids import PersonId

log = logging.getLogger(__name__)

T = TypeVar("T")
KEPT = timedelta(hours=1)
"""how long what was found can be looked at"""
MOST = 8
"""chores of a person, done or not; the oldest that is done makes room"""
AT_ONCE = 2
"""of a kind: what is long does not keep what is short waiting"""
SOON = 0.15
"""seconds that a page waits for what is often quick"""


def beside(work: Callable[[], None]) -> None:
    """Do it in a thread that nobody waits for: nothing of it is promised once we are killed."""
    threading.Thread(target=work, daemon=True, name="chore").start()


@dataclass(eq=False, kw_only=True)
class Chore(Generic[T]):
    """One piece of work. Either `result` or `error` is set when it is `done`; `step` of `steps` tells how far it is."""

    name: str
    began_at: datetime
    ended_at: datetime | None = None
    step: int = 0
    steps: int = 0
    result: T | None = None
    error: ArmillaryError | None = None
    over: threading.Event = field(default_factory=threading.Event)
    closing: Callable[[], None] = lambda: None
    """gives back what the result holds"""

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.over.is_set()

    def tell(self, step: int, steps: int) -> None:
        """Say how far it is."""
        self.step, self.steps = step, steps


Tell = Callable[[int, int], None]


class Chores:
    """The chores of people. Everybody sees their own. What stands before the first slash of a name is its kind."""

    def __init__(
        self,
        *,
        clock: Clock,
        run: Callable[[Callable[[], None]], object] = beside,
        at_once: int = AT_ONCE,
        most: int = MOST,
        kept: timedelta = KEPT,
        soon: float = SOON,
    ) -> None:
        self._clock = clock
        self._run = run
        self._turns: defaultdict[str, threading.BoundedSemaphore] = defaultdict(
            lambda: threading.BoundedSemaphore(at_once)
        )
        self._most = most
        self._kept = kept
        self._soon = soon
        self._guard = threading.Lock()
        self._of: dict[PersonId, dict[str, Chore[Any]]] = {}

    def begin(
        self,
        person: PersonId,
        name: str,
        work: Callable[[Tell], T],
        *,
        fresh: timedelta | None = None,
        closing: Callable[[], None] = lambda: None,
    ) -> Chore[T]:
        """Return the chore of that name, begun now unless there is one; one that ended longer ago than `fresh` is begun anew.

        Raises:
            TooManyRequests: the person has as many under way as one may have, code `chores_full`.
        """
        now = self._clock.now()
        with self._guard:
            mine = self._mine(person, now)
            known = mine.get(name)
            if known is not None and not (
                fresh is not None and known.ended_at is not None and known.ended_at + fresh <= now
            ):
                return known
            if known is not None:
                mine.pop(name).closing()
            if len(mine) >= self._most:
                idle = next((one for one in mine.values() if one.done), None)
                if idle is None:
                    raise TooManyRequests(
                        f"{len(mine)} of your requests are being worked on",
                        code="chores_full",
                        facts={"under_way": len(mine)},
                        remedy="Wait until one of them is done.",
                    )
                mine.pop(idle.name).closing()
            chore: Chore[T] = Chore(name=name, began_at=now, closing=closing)
            mine[name] = chore
            turns = self._turns[name.partition("/")[0]]
        self._run(lambda: self._do(chore, work, turns))
        chore.over.wait(self._soon)
        return chore

    def find(self, person: PersonId, name: str) -> Chore[Any] | None:
        """Return a chore of a person, if it is known."""
        with self._guard:
            return self._mine(person, self._clock.now()).get(name)

    def forget(self, person: PersonId, name: str) -> None:
        """Forget a chore that is done: what was found is no longer so."""
        with self._guard:
            known = self._of.get(person, {}).get(name)
            if known is not None and known.done:
                self._of[person].pop(name).closing()

    def trim(self, person: PersonId, kind: str, most: int) -> None:
        """Forget the oldest of a person's chores of a kind that are done, so that at most so many are left."""
        with self._guard:
            mine = self._of.get(person, {})
            done = [one for one in mine.values() if one.done and one.name.partition("/")[0] == kind]
            for one in done[: max(0, len(done) - most)]:
                mine.pop(one.name).closing()

    def close(self) -> None:
        """Give back what results hold."""
        with self._guard:
            for mine in self._of.values():
                for chore in mine.values():
                    chore.closing()
            self._of.clear()

    def _mine(self, person: PersonId, now: datetime) -> dict[str, Chore[Any]]:
        for whose in list(self._of):
            mine = self._of[whose]
            for name, one in list(mine.items()):
                if one.ended_at is not None and one.ended_at + self._kept <= now:
                    mine.pop(name).closing()
            if not mine:
                del self._of[whose]
        return self._of.setdefault(person, {})

    def _do(self, chore: Chore[T], work: Callable[[Tell], T], turns: threading.BoundedSemaphore) -> None:
        try:
            with turns:
                chore.result = work(chore.tell)
        except ArmillaryError as error:
            chore.error = error
        except Exception:  # whatever it is, who waits for it has to hear
            log.exception("%s failed", chore.name)
            chore.error = Unavailable(
                "Something went wrong on our side.", code="chore_failed", remedy="Try again; if it stays so, ask the operator."
            )  # fmt: skip
        finally:
            chore.ended_at = self._clock.now()
            chore.over.set()


def found(chore: Chore[T]) -> T:
    """Return what a chore that is done has found, or raise why it has not."""
    if chore.error is not None:
        raise chore.error
    return cast("T", chore.result)
