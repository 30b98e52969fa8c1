"""Has the images that jobs wait for looked into, so that each of their workers can be asked whether it is one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import ProjectId, Sha512
from armillary.batch.model import Demand

log = logging.getLogger(__name__)

SOON, LATE = timedelta(minutes=10), timedelta(days=1)
"""An image that could not be read is fetched again after the first, and each time after twice as long, up to the second:
a cloud may only have been out of reach, and until then no worker of the image is asked."""


class Inspecting:
    """Call `tick` once a minute. What it begins goes on beside it: workers that come sooner are not asked."""

    def __init__(
        self,
        *,
        demand: Callable[[], Sequence[Demand]],
        has: Callable[[str], bool],
        look: Callable[[ProjectId, Sha512], object],
        clock: Clock,
    ) -> None:
        """`has` says whether an image was looked into; `look` begins to, for a project that may use it."""
        self._demand = demand
        self._has = has
        self._look = look
        self._clock = clock
        self._tried: dict[Sha512, tuple[datetime, timedelta]] = {}
        """when it is tried again, and how long it was left alone until then"""

    def tick(self) -> None:
        """Begin to look into what nobody has."""
        now = self._clock.now()
        self._tried = {image: known for image, known in self._tried.items() if now - known[0] < LATE}
        for group in {demand.group for demand in self._demand()}:
            at, pause = self._tried.get(group.image, (now, SOON / 2))
            if now < at or self._has(group.image):
                continue
            pause = min(2 * pause, LATE)
            self._tried[group.image] = now + pause, pause
            try:
                self._look(group.project, group.image)
            except ArmillaryError as error:
                log.warning("image %s is not looked into: %s", group.image[:16], error.message)
