"""Clouds on which no new workers boot: an administrator says so, before the cloud is taken down for a while."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Engine as Database
from sqlalchemy import delete, insert, select

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import CloudName
from armillary.batch.seeing import need_write
from armillary.batch.store.tables import drained

audit = logging.getLogger("armillary.audit")
REASON_MAX = 500


class Clouds(Protocol):
    """The fleet, as far as it is asked."""

    def clouds(self) -> Sequence[CloudName]:
        """The names of all clouds."""
        ...


@dataclass(frozen=True, kw_only=True)
class Drained:
    """Since when a cloud takes no new workers, by whom, and why."""

    cloud: CloudName
    since: datetime
    by: str
    reason: str


class Draining:
    """Keeps which clouds are drained. Workers that are there finish their jobs, and are retired when they are idle."""

    def __init__(self, *, database: Database, clouds: Clouds, clock: Clock) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)
        self._clouds = clouds
        self._clock = clock

    def drained(self) -> Mapping[CloudName, Drained]:
        """Return the clouds that are drained now."""
        with self._reading.connect() as db:
            rows = db.execute(select(drained).order_by(drained.c.cloud)).all()
        return {
            CloudName(row.cloud): Drained(
                cloud=CloudName(row.cloud), since=row.since, by=row.by_name, reason=row.reason
            )
            for row in rows
        }

    def drain(self, who: Principal, cloud: CloudName, *, reason: str = "") -> None:
        """Boot no new workers there from the next round on. Raises Forbidden, NotFound `cloud_not_found`."""
        self._need(who, cloud)
        with self._database.begin() as db:
            db.execute(delete(drained).where(drained.c.cloud == cloud))
            db.execute(
                insert(drained).values(
                    cloud=cloud,
                    since=self._clock.now(),
                    by_name=who.person.user_name,
                    reason=reason.strip()[:REASON_MAX],
                )
            )
        audit.info("cloud %s: drained by %s: %s", cloud, who.person.user_name, reason.strip()[:REASON_MAX])

    def resume(self, who: Principal, cloud: CloudName) -> None:
        """Let workers boot there again. Raises Forbidden, NotFound `cloud_not_found`."""
        self._need(who, cloud)
        with self._database.begin() as db:
            db.execute(delete(drained).where(drained.c.cloud == cloud))
        audit.info("cloud %s: in use again by %s", cloud, who.person.user_name)

    def _need(self, who: Principal, cloud: CloudName) -> None:
        if not who.person.is_admin:
            raise Forbidden(
                "Only an administrator of the platform drains clouds.", code="not_an_administrator"
            )
        need_write(who)
        if cloud not in self._clouds.clouds():
            raise NotFound(
                f"There is no cloud {cloud}.",
                code="cloud_not_found",
                facts={"cloud": cloud},
                remedy="Choose one of the clouds.",
            )
