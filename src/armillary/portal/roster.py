"""What clouds say of a project, as last seen: a cloud that is slow or silent holds no page up."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import CloudName
from armillary.fleet.model import FleetServer, Limits

PATIENCE_FIRST, PATIENCE_AGAIN = 3.0, 0.12
"""seconds that a page waits for a cloud that it knows nothing of lately, and for one that it has just seen"""
LATELY = 60.0
REST = 4.0
"""An answer that took a second is not asked for again within so many."""
PROJECTS = 200

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The machines of a project, newest first, and what keeps them from being all of them, and of now."""

    servers: Sequence[FleetServer]
    errors: Sequence[ArmillaryError]
    """clouds that do not answer"""

    @property
    def moving(self) -> bool:
        """Whether something changes by itself soon, so that looking again is worth it."""
        return not all(server.is_settled for server in self.servers)


@dataclass(frozen=True, kw_only=True)
class Told(Generic[T]):
    """What clouds said last, and why some say nothing now."""

    answers: Mapping[CloudName, T]
    errors: Sequence[ArmillaryError]


@dataclass
class _Seen(Generic[T]):
    answer: T | None = None
    error: ArmillaryError | None = None
    took: float = 0.0
    asked: float = 0.0
    ended: float = 0.0
    asking: Future[None] | None = None
    again: bool = field(default=False)


class Beside(Generic[T]):
    """Asks all clouds one thing of a project, beside the pages. Safe to use from many threads."""

    def __init__(
        self, *, clouds: Sequence[CloudName], ask: Callable[[CloudName, Project], T], keep: bool
    ) -> None:
        """`keep`: whether what a cloud said before it fell silent is still told."""
        self._clouds = list(clouds)
        self._ask = ask
        self._keep = keep
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(
            max_workers=max(4, 2 * len(self._clouds)), thread_name_prefix="roster"
        )
        self._seen: OrderedDict[tuple[str, CloudName], _Seen[T]] = OrderedDict()

    def look(self, project: Project) -> Told[T]:
        """Return what the clouds say; waits for those that answer at once, and not for the others."""
        mine = self.ask(project)
        lately = time.monotonic() - LATELY
        new = [
            seen.asking
            for seen in mine.values()
            if seen.asking and not seen.error and (seen.answer is None or seen.ended < lately)
        ]
        old = [seen.asking for seen in mine.values() if seen.asking and seen.asking not in new]
        wait(new, timeout=PATIENCE_FIRST)
        # counted from the question: who asks several things first and looks then, waits once for all of them
        until = PATIENCE_AGAIN + min((seen.asked for seen in mine.values()), default=0.0)
        wait(old, timeout=max(0.0, until - time.monotonic()))
        answers: dict[CloudName, T] = {}
        errors: list[ArmillaryError] = []
        for cloud, seen in mine.items():
            answer, error = seen.answer, seen.error
            if answer is not None and (self._keep or error is None):
                answers[cloud] = answer
            elif error is None:
                error = Unavailable(
                    f"Cloud {cloud} has not answered yet.",
                    code="cloud_slow",
                    facts={"cloud": cloud},
                    remedy="This page asks again by itself.",
                )
            if error is not None:
                errors.append(error)
        return Told(answers=answers, errors=errors)

    def ask(self, project: Project) -> Mapping[CloudName, _Seen[T]]:
        """Begin to ask, where what is known is not of just now."""
        return {cloud: self._begin(project, cloud) for cloud in self._clouds}

    def changed(self, project: Project) -> None:
        """What is remembered of the project is asked for again at once."""
        with self._lock:
            for cloud in self._clouds:
                seen = self._seen.get((project.id, cloud))
                if seen:
                    seen.took, seen.again = 0.0, True

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, project: Project, cloud: CloudName) -> _Seen[T]:
        with self._lock:
            seen = self._seen.setdefault((project.id, cloud), _Seen())
            self._seen.move_to_end((project.id, cloud))
            while len(self._seen) > PROJECTS * max(1, len(self._clouds)):
                self._seen.popitem(last=False)
            if seen.asking and not seen.asking.done():
                return seen
            if time.monotonic() - seen.ended >= REST * seen.took or seen.ended == 0:
                seen.asked = time.monotonic()
                seen.asking = self._pool.submit(self._fetch, project, cloud, seen)
            else:
                seen.asking = None
            return seen

    def _fetch(self, project: Project, cloud: CloudName, seen: _Seen[T]) -> None:
        began = time.monotonic()
        seen.again = False
        try:
            answer, error = self._ask(cloud, project), None
        except ArmillaryError as refused:
            answer, error = None, refused
        now = time.monotonic()
        with self._lock:
            if answer is not None:
                seen.answer = answer
            seen.error = error
            seen.ended, seen.took = now, 0.0 if seen.again else now - began


class Roster:
    """The machines of projects on all clouds, and what they use of their quotas there."""

    def __init__(
        self,
        *,
        clouds: Sequence[CloudName],
        servers: Callable[[CloudName, Project], list[FleetServer]],
        limits: Callable[[CloudName, Project], Limits],
    ) -> None:
        self._servers = Beside(clouds=clouds, ask=servers, keep=True)
        self._limits = Beside(clouds=clouds, ask=limits, keep=False)

    def ask(self, project: Project) -> None:
        """Begin to ask for machines and quotas at once, for a page that looks at both."""
        self._servers.ask(project)
        self._limits.ask(project)

    def look(self, project: Project) -> Machines:
        """Return the project's machines."""
        told = self._servers.look(project)
        servers = [server for there in told.answers.values() for server in there]
        servers.sort(key=lambda server: server.created_at, reverse=True)
        return Machines(servers=servers, errors=told.errors)

    def limits(self, project: Project) -> Told[Limits]:
        """Return the project's quotas and their use. What a click will be refused for is asked anew, elsewhere."""
        return self._limits.look(project)

    def changed(self, project: Project) -> None:
        """Something was done to the project's machines: what is remembered of them is asked for again at once."""
        self._servers.changed(project)
        self._limits.changed(project)

    def close(self) -> None:
        """Ask no more."""
        self._servers.close()
        self._limits.close()
