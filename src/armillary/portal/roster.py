"""The machines of a project on all clouds, as last seen: a cloud that is slow or silent holds no page up."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import CloudName
from armillary.fleet.model import FleetServer

PATIENCE_FIRST, PATIENCE_AGAIN = 3.0, 0.12
"""seconds that a page waits for a cloud that it knows nothing of yet, and for one that it has seen before"""
REST = 4.0
"""A list that took a second is not asked for again within so many."""
PROJECTS = 200


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


@dataclass
class _Seen:
    servers: Sequence[FleetServer] | None = None
    error: ArmillaryError | None = None
    took: float = 0.0
    ended: float = 0.0
    asking: Future[None] | None = None
    again: bool = field(default=False)


class Roster:
    """Asks the clouds beside the pages, and remembers what they said. Safe to use from many threads."""

    def __init__(
        self,
        *,
        clouds: Sequence[CloudName],
        servers: Callable[[CloudName, Project], list[FleetServer]],
    ) -> None:
        self._clouds = list(clouds)
        self._servers = servers
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(
            max_workers=max(4, 2 * len(self._clouds)), thread_name_prefix="roster"
        )
        self._seen: OrderedDict[tuple[str, CloudName], _Seen] = OrderedDict()

    def look(self, project: Project) -> Machines:
        """Return the project's machines; waits for clouds that answer at once, and not for the others."""
        mine = {cloud: self._ask(project, cloud) for cloud in self._clouds}
        new = [
            seen.asking for seen in mine.values() if seen.asking and seen.servers is None and not seen.error
        ]
        old = [seen.asking for seen in mine.values() if seen.asking and seen.asking not in new]
        began = time.monotonic()
        wait(new, timeout=PATIENCE_FIRST)
        wait(old, timeout=max(0.0, PATIENCE_AGAIN - (time.monotonic() - began)))
        servers: list[FleetServer] = []
        errors: list[ArmillaryError] = []
        for cloud, seen in mine.items():
            servers += seen.servers or ()
            if seen.error:
                errors.append(seen.error)
            elif seen.servers is None:
                errors.append(
                    Unavailable(
                        f"Cloud {cloud} has not answered yet.",
                        code="cloud_slow",
                        facts={"cloud": cloud},
                        remedy="This page asks again by itself.",
                    )
                )
        servers.sort(key=lambda server: server.created_at, reverse=True)
        return Machines(servers=servers, errors=errors)

    def changed(self, project: Project) -> None:
        """Something was done to the project's machines: what is remembered of them is asked for again at once."""
        with self._lock:
            for cloud in self._clouds:
                seen = self._seen.get((project.id, cloud))
                if seen:
                    seen.took, seen.again = 0.0, True

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, project: Project, cloud: CloudName) -> _Seen:
        with self._lock:
            seen = self._seen.setdefault((project.id, cloud), _Seen())
            self._seen.move_to_end((project.id, cloud))
            while len(self._seen) > PROJECTS * max(1, len(self._clouds)):
                self._seen.popitem(last=False)
            if seen.asking and not seen.asking.done():
                return seen
            if time.monotonic() - seen.ended >= REST * seen.took or seen.ended == 0:
                seen.asking = self._pool.submit(self._fetch, project, cloud, seen)
            else:
                seen.asking = None
            return seen

    def _fetch(self, project: Project, cloud: CloudName, seen: _Seen) -> None:
        began = time.monotonic()
        seen.again = False
        try:
            servers, error = self._servers(cloud, project), None
        except ArmillaryError as refused:
            servers, error = None, refused
        now = time.monotonic()
        with self._lock:
            if servers is not None:
                seen.servers = servers
            seen.error = error
            seen.ended, seen.took = now, 0.0 if seen.again else now - began
