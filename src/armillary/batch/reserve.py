"""Workers that are kept ready though no job waits: what the settings say, brought to groups of projects and digests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import CloudName
from armillary.batch.booting import Run
from armillary.batch.model import Group
from armillary.batch.ports import Clouds, People

log = logging.getLogger(__name__)

AGAIN = timedelta(seconds=60)
"""How long an image's name is believed to mean the same digest."""


@dataclass(frozen=True, kw_only=True)
class Reserve:
    """One line of the settings. `cloud` None: on whichever cloud."""

    project: str
    image: str
    flavor: str
    workers: int
    cloud: CloudName | None = None


PerCloud = Mapping[CloudName | None, int]


class Reserves:
    """Knows which groups have a reserve. Names are looked up beside the scaler's loop."""

    def __init__(
        self, *, wanted: Sequence[Reserve], clouds: Clouds, people: People, clock: Clock, run: Run
    ) -> None:
        self._wanted = wanted
        self._clouds = clouds
        self._people = people
        self._clock = clock
        self._run = run
        self._lock = threading.Lock()
        self._busy = False
        self._looked_at: datetime | None = None
        self._groups: dict[Reserve, Group] = {}

    def per_group(self) -> dict[Group, PerCloud]:
        """Return how many idle workers each group is to have, as far as the names are known."""
        self._refresh()
        found: dict[Group, dict[CloudName | None, int]] = {}
        with self._lock:
            for reserve, group in self._groups.items():
                counts = found.setdefault(group, {})
                counts[reserve.cloud] = counts.get(reserve.cloud, 0) + reserve.workers
        return dict(found)

    def _refresh(self) -> None:
        now = self._clock.now()
        with self._lock:
            fresh = self._looked_at is not None and now - self._looked_at < AGAIN
            if not self._wanted or self._busy or fresh:
                return
            self._busy = True

        def look() -> None:
            for reserve in self._wanted:
                try:
                    group = self._group(reserve)
                except ArmillaryError as error:
                    log.warning("no reserve of %s in %s: %s", reserve.image, reserve.project, error.message)
                    continue
                with self._lock:
                    self._groups[reserve] = group
            with self._lock:
                self._busy, self._looked_at = False, now

        self._run(look)

    def _group(self, reserve: Reserve) -> Group:
        for project in self._people.projects():
            if reserve.project in (project.name, project.id):
                image = self._clouds.find_image(project, reserve.image)
                if image.sha512 is not None:
                    return Group(project.id, image.sha512, reserve.flavor)
        raise NotFound(f"there is no project {reserve.project}", code="project_not_found")
