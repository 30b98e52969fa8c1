"""The workers of a pool: what the collector says of them, and which of them get no more jobs."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy import Engine as Database

from armillary.base.ids import ProjectId, Sha512, WorkerId
from armillary.batch.engines.htcondor.ports import Ad, Site
from armillary.batch.engines.htcondor.translate import AVOID, IMAGE, PLATFORM, WORKER, avoided, of_group
from armillary.batch.model import Group
from armillary.batch.store.tables import workers

log = logging.getLogger(__name__)

_WANTED = (
    *(
        WORKER,
        IMAGE,
        "LastHeardFrom",
        "PartitionableSlot",
        "AuthenticatedIdentity",
        "CondorVersion",
    ),
    *("TotalSlotCpus", "TotalSlotMemory", "TotalSlotDisk", "TotalSlotGPUs"),
)
_VERSION = re.compile(r"\$CondorVersion: ([0-9.]+)")
_FORGOTTEN_FOR = timedelta(hours=1)
"""how long a machine that was given up may come back with its ads"""


class Machines:
    """Call `look` every few seconds, from one thread."""

    def __init__(self, *, site: Site) -> None:
        self._database = site.database
        self._clock = site.clock
        self._pool = site.pool
        self._platform = site.platform
        self._spared: dict[Group, frozenset[str]] = {}

    def look(self) -> None:
        """Write down which of the invited machines are there."""
        there = {
            str(ad[WORKER]): ad
            for ad in self._pool.machines(f'{PLATFORM} == "{self._platform}"', _WANTED)
            if _whole(ad)
        }
        gone: list[str] = []
        with self._database.begin() as db:
            for row in self._invited(db):
                ad = there.get(row.id)
                if ad is None:
                    continue
                if row.lost_at is not None:
                    gone.append(row.id)
                elif ad.get(IMAGE) != row.image or not _its_own(ad, row.id):
                    log.warning("machine %s says that it is what it is not; it is not used", row.id)
                    gone.append(row.id)
                else:
                    facts = _facts(row, ad)
                    # A machine speaks every half minute, and is looked at every few seconds.
                    if any(getattr(row, name) != value for name, value in facts.items()):
                        db.execute(update(workers).where(workers.c.id == row.id).values(facts))
        for name in gone:
            self.forget(WorkerId(name))

    def spare(self) -> None:
        """Have the schedd send no more jobs to workers that are to end, those included that it has already.

        A machine behind NAT takes no orders, and needs none: it is the jobs that do not want it any more.
        """
        avoid = avoided_by_group(self._database)
        for group, names in avoid.items():
            if not names <= self._spared.get(group, frozenset()):
                self._pool.edit_where(of_group(self._platform, group), AVOID, avoided(sorted(names)))
        self._spared = avoid

    def forget(self, worker: WorkerId) -> None:
        """Have the collector send no more jobs to a machine."""
        self._pool.forget(_is(worker))

    def _invited(self, db: Connection) -> list[Row[Any]]:
        recent = self._clock.now() - _FORGOTTEN_FOR
        alive = workers.c.lost_at.is_(None) | (workers.c.lost_at > recent)
        return list(db.execute(select(workers).where(alive)).all())


def _is(worker: WorkerId) -> str:
    return f'{WORKER} == "{worker}"'


def _whole(ad: Ad) -> bool:
    return bool(ad.get("PartitionableSlot")) and WORKER in ad


def _its_own(ad: Ad, worker: str) -> bool:
    """Whether the ad came with the worker's own token: a machine cannot speak for another."""
    return str(ad.get("AuthenticatedIdentity", "")).partition("@")[0] == worker


def _facts(row: Row[Any], ad: Ad) -> Mapping[str, Any]:
    heard = datetime.fromtimestamp(int(ad["LastHeardFrom"]), UTC)
    facts: dict[str, Any] = {
        "last_seen_at": heard,
        "cpus": int(ad.get("TotalSlotCpus") or 0),
        "memory_mib": int(ad.get("TotalSlotMemory") or 0),
        "disk_kib": int(ad.get("TotalSlotDisk") or 0),
        "gpus": int(ad.get("TotalSlotGPUs") or 0),
    }
    version = _VERSION.match(str(ad.get("CondorVersion", "")))
    if version:
        facts["agent_version"] = f"HTCondor {version[1]}"
    if row.registered_at is None:
        # The token in its user data is worth nothing from now on.
        facts |= {"registered_at": heard, "idle_since": heard, "session_used": True}
    return facts


def avoided_by_group(database: Database) -> dict[Group, frozenset[str]]:
    """Return the workers that are to get no more jobs, by the group whose jobs they would take."""
    query = select(workers).where(workers.c.draining.is_(True), workers.c.lost_at.is_(None))
    found: dict[Group, set[str]] = {}
    with database.execution_options(readonly=True).connect() as db:
        for row in db.execute(query):
            found.setdefault(Group(ProjectId(row.project), Sha512(row.image), row.flavor), set()).add(row.id)
    return {group: frozenset(names) for group, names in found.items()}
