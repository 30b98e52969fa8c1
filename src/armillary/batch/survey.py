"""What the clouds say: asked beside the scaler's loop, so that a cloud that hangs stops nobody.

An answer carries the moment when it was asked for. What happened after that moment is not in it, and nobody may
conclude anything from its absence.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import CloudName, ProjectId
from armillary.batch.booting import DEPLOYMENT_MARK, Run
from armillary.batch.ports import Clouds, People
from armillary.fleet.model import FleetFlavor, FleetImage, FleetServer, Limits

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A project on a cloud."""

    cloud: CloudName
    project: ProjectId


@dataclass(frozen=True, kw_only=True)
class View:
    """What one place looked like at `asked_at`. `error`: it did not say; then all that is left is older."""

    asked_at: datetime
    servers: tuple[FleetServer, ...] | None = None
    """those of this deployment; None: unknown"""
    limits: Limits | None = None
    flavors: tuple[FleetFlavor, ...] | None = None
    images: tuple[FleetImage, ...] | None = None
    error: ArmillaryError | None = None


@dataclass(kw_only=True)
class _Memory:
    view: View | None = None
    busy: bool = False
    began: float = 0.0
    not_before: datetime | None = None
    things_at: dict[str, datetime] = field(default_factory=dict[str, datetime])
    things: dict[str, Any] = field(default_factory=dict[str, Any])


class Survey:
    """Keeps the last answer of each place. `run` starts a poll beside; each place has at most one under way."""

    def __init__(
        self,
        *,
        clouds: Clouds,
        people: People,
        clock: Clock,
        run: Run,
        mark: str,
        kept: timedelta = timedelta(seconds=60),
        wait_seconds: float = 1.0,
        hangs_seconds: float = 30.0,
    ) -> None:
        """Believe flavors and images for `kept`, and take a poll that lasts for `hangs_seconds` for silence."""
        self._clouds = clouds
        self._people = people
        self._clock = clock
        self._run = run
        self._mark = mark
        self._kept = kept
        self._wait = wait_seconds
        self._hangs = hangs_seconds
        self._news = threading.Condition()
        self._places: dict[Place, _Memory] = {}

    def look(self, watched: Iterable[Place], wanted: Iterable[Place]) -> dict[Place, View]:
        """Ask again of all places; return what is known of each once most have answered.

        Of `watched` places the servers are asked for, of `wanted` ones also what could be booted there. Clouds that
        are no longer in the settings are not asked: nothing is known of them.
        """
        known = set(self._clouds.clouds())
        wanted_set = {place for place in wanted if place.cloud in known}
        asked = sorted({place for place in watched if place.cloud in known} | wanted_set)
        with self._news:
            for place in [place for place in self._places if place not in asked]:
                if not self._places[place].busy:
                    del self._places[place]
        for place in asked:
            self._begin(place, place in wanted_set)
        deadline = time.monotonic() + self._wait
        with self._news:
            self._news.wait_for(
                lambda: not any(self._places[place].busy for place in asked),
                max(0.0, deadline - time.monotonic()),
            )
            return {place: view for place in asked if (view := self._view(place)) is not None}

    def _view(self, place: Place) -> View | None:
        memory = self._places[place]
        if memory.busy and time.monotonic() - memory.began > self._hangs:
            silent = Unavailable(
                f"Cloud {place.cloud} has not answered for {int(time.monotonic() - memory.began)} s.",
                code="cloud_unreachable",
                facts={"cloud": place.cloud},
            )
            return View(asked_at=self._clock.now(), error=silent)
        return memory.view

    def _begin(self, place: Place, whole: bool) -> None:
        now = self._clock.now()
        with self._news:
            memory = self._places.setdefault(place, _Memory())
            if memory.busy or (memory.not_before is not None and now < memory.not_before):
                return
            memory.busy = True
            memory.began = time.monotonic()

        def poll() -> None:
            view = self._ask(place, memory, whole, now)
            with self._news:
                memory.view, memory.busy = view, False
                self._news.notify_all()

        self._run(poll)

    def _ask(self, place: Place, memory: _Memory, whole: bool, now: datetime) -> View:
        try:
            project = self._people.project(place.project)
            servers = tuple(
                self._clouds.servers(place.cloud, project, metadata={DEPLOYMENT_MARK: self._mark})
            )
            view = View(asked_at=now, servers=servers)
            if not whole:
                return view
            return View(
                asked_at=now,
                servers=servers,
                limits=self._clouds.limits(place.cloud, project),
                flavors=self._remembered(
                    memory, "flavors", now, lambda: tuple(self._clouds.flavors(place.cloud, project))
                ),
                images=self._remembered(
                    memory, "images", now, lambda: tuple(self._clouds.images(place.cloud, project))
                ),
            )
        except ArmillaryError as error:
            wait = error.facts.get("retry_after")
            memory.not_before = now + timedelta(seconds=float(wait)) if wait else None
            before = memory.view.error if memory.view else None
            if before is None or before.code != error.code:  # a cloud may be away for a weekend
                log.warning("cannot look at the workers on %s: %s", place.cloud, error.message)
            return View(asked_at=now, error=error)

    def _remembered(self, memory: _Memory, name: str, now: datetime, ask: Callable[[], Any]) -> Any:
        at = memory.things_at.get(name)
        if at is None or now - at > self._kept:
            memory.things[name] = ask()
            memory.things_at[name] = now
        return memory.things[name]
