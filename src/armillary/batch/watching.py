"""Compares the worker machines on record with what clouds and engine say, and draws the conclusions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from armillary.base.bell import Bell
from armillary.base.ids import CloudName, ServerId, WorkerId
from armillary.batch.booting import Yard
from armillary.batch.genuine import WRONG_IMAGE
from armillary.batch.model import Machine, MachineState, WorkerReport
from armillary.batch.ports import Workforce
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.survey import Place, View
from armillary.fleet.model import WORKER_MARK, FleetServer

log = logging.getLogger(__name__)

DEAD = frozenset({"ERROR", "SHUTOFF", "DELETED", "SOFT_DELETED", "SHELVED", "SHELVED_OFFLOADED", "CRASHED"})
"""States of a server in which no job runs, and from which a worker does not come back by itself."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long machines are waited for."""

    register: timedelta = timedelta(minutes=15)
    """from the create call until its agent must have registered"""
    silent: timedelta = timedelta(minutes=3)
    """a registered agent that says nothing for so long is taken for dead"""
    unseen: timedelta = timedelta(seconds=30)
    """a new server may be missing from a cloud's list for so long"""
    orphans: timedelta = timedelta(hours=1)
    """servers of machines that ended are looked for at each tick for so long, then now and then"""
    deleting: timedelta = timedelta(minutes=5)
    """a server whose deletion lasts longer than this no longer counts against the project's batch cores"""
    deaf: timedelta = timedelta(minutes=5)
    """a worker that takes none of the jobs that wait for it for so long is not what it should be"""
    slow_copy: timedelta = timedelta(seconds=60)
    """jobs wait for an image that is being copied for so long before they look for room elsewhere"""


class Seen:
    """One place's servers, by the workers that they stand for."""

    def __init__(self, view: View) -> None:
        self.asked_at = view.asked_at
        self._by_worker: dict[str, list[FleetServer]] = {}
        for server in view.servers or ():
            self._by_worker.setdefault(server.metadata.get(WORKER_MARK, ""), []).append(server)

    def workers(self) -> Mapping[str, Sequence[FleetServer]]:
        """Return all servers, by worker."""
        return self._by_worker

    def server_of(self, machine: Machine) -> FleetServer | None:
        """Return the machine's server: the oldest of those that carry its mark, until one has been chosen."""
        mine = self._by_worker.get(machine.id, [])
        if machine.server_id is not None:
            return next((s for s in mine if s.id == machine.server_id), None)
        return min(mine, key=lambda s: (s.created_at, s.id), default=None)


class Watch:
    """Looks at all machines once. Nothing is concluded about a cloud that does not answer."""

    def __init__(
        self,
        *,
        workforce: Workforce,
        records: FleetRecords,
        yard: Yard,
        bell: Bell,
        patience: Patience,
    ) -> None:
        self._workforce = workforce
        self._records = records
        self._yard = yard
        self._bell = bell
        self._patience = patience

    def look(
        self,
        machines: Sequence[Machine],
        reports: Mapping[WorkerId, WorkerReport],
        views: Mapping[Place, View],
        *,
        clouds: frozenset[CloudName],
        now: datetime,
    ) -> None:
        """Bring the records up to date. `clouds` are those of the settings."""
        seen = {place: Seen(view) for place, view in views.items() if view.servers is not None}
        came_up: list[tuple[Machine, datetime]] = []
        for machine in machines:
            if self._yard.busy(machine.id):
                continue
            if machine.cloud not in clouds:
                self._without_cloud(machine, reports.get(machine.id), now)
            else:
                there = seen.get(Place(machine.cloud, machine.group.project))
                report = reports.get(machine.id)
                if self._judge(machine, there, report, now) and report is not None:
                    came_up.append((machine, report.registered_at))
        self._yard.worked(came_up)
        self._delete_orphans(seen, {machine.id: machine for machine in machines})

    def _judge(self, machine: Machine, seen: Seen | None, report: WorkerReport | None, now: datetime) -> bool:
        """Draw the conclusions about one machine. Returns whether it has come up."""
        server = seen.server_of(machine) if seen is not None else None
        match machine.state:
            case MachineState.PLANNED:
                if seen is not None and machine.asked_at is not None:
                    self._asked(machine, server, seen, now)
            case MachineState.BOOTING:
                return self._booting(machine, server, report, now, seen)
            case MachineState.READY | MachineState.DRAINING:
                self._working(machine, server, report, now, seen)
            case MachineState.ENDING:
                if seen is not None:
                    self._ending(machine, server, seen)
            case MachineState.GONE:
                pass
        return False

    def _asked(self, machine: Machine, server: FleetServer | None, seen: Seen, now: datetime) -> None:
        """The cloud was asked for a server, and we do not know whether it made one."""
        if server is not None:
            self._yard.adopt(machine, server.id, at=now)
        elif self._would_be_listed(machine, seen):
            # One that appears later still carries the mark of a machine that is gone, and is deleted.
            self._yard.end(machine, "no_answer", machine.reason or "its server was asked for and never seen")
            self._yard.gone(machine)

    def _booting(
        self,
        machine: Machine,
        server: FleetServer | None,
        report: WorkerReport | None,
        now: datetime,
        seen: Seen | None,
    ) -> bool:
        if seen is not None and self._is_dead(machine, server, report, seen):
            fault = _fault(machine, server)
            self._yard.failed(machine, "boot_failed", fault)
            self._give_up(machine, "boot_failed", fault)
        elif machine.reason_code == WRONG_IMAGE and report is None:
            reason = f"{machine.cloud} booted something else than the image: {machine.reason}"
            self._yard.failed(machine, WRONG_IMAGE, reason)
            self._give_up(machine, WRONG_IMAGE, reason)
        elif report is not None:
            self._records.set(machine.id, state=MachineState.READY, registered_at=report.registered_at)
            return True
        elif now - (machine.booted_at or machine.created_at) > self._patience.register:
            seconds = int(self._patience.register.total_seconds())
            if server is not None and server.status == "BUILD":
                code, reason = "stuck_building", f"{machine.cloud} still builds its server after {seconds} s"
            else:
                code, reason = "never_registered", f"its agent did not report within {seconds} s of the boot"
            self._yard.failed(machine, code, reason)
            self._give_up(machine, code, reason)
        return False

    def _working(
        self,
        machine: Machine,
        server: FleetServer | None,
        report: WorkerReport | None,
        now: datetime,
        seen: Seen | None,
    ) -> None:
        if report is None:
            self._yard.end(machine, "given_up", machine.reason or "the engine gave it up")
        elif seen is not None and self._is_dead(machine, server, report, seen):
            self._give_up(machine, "server_lost", _fault(machine, server))
        elif report.server_id and machine.server_id and report.server_id != machine.server_id:
            self._give_up(machine, "wrong_server", "another server registered in its name")
        elif report.left or (machine.state is MachineState.DRAINING and not report.jobs):
            self._give_up(machine, "retired", machine.reason or "there was no more work for it")
        elif now - report.last_seen_at > self._patience.silent:
            seconds = int(self._patience.silent.total_seconds())
            self._give_up(machine, "silent", f"its agent said nothing for {seconds} s")

    def _ending(self, machine: Machine, server: FleetServer | None, seen: Seen) -> None:
        if server is not None:
            self._yard.scrap(machine, server.id)
        elif machine.asked_at is None or self._would_be_listed(machine, seen):
            self._yard.gone(machine)

    def _without_cloud(self, machine: Machine, report: WorkerReport | None, now: datetime) -> None:
        """The cloud was taken out of the settings: its machines can work on, but we cannot reach them."""
        reason = f"{machine.cloud} is no longer in the settings"
        match machine.state:
            case MachineState.PLANNED | MachineState.BOOTING if report is None:
                self._give_up(machine, "cloud_gone", reason)
            case MachineState.READY | MachineState.DRAINING:
                self._working(machine, None, report, now, None)
            case MachineState.ENDING if now - (machine.ending_at or now) > self._patience.deleting:
                log.warning("server %s on %s was never deleted: %s", machine.server_id, machine.cloud, reason)
                self._yard.gone(machine)
            case _:
                pass

    def _give_up(self, machine: Machine, code: str, reason: str) -> None:
        # First the jobs, then the machine's state: a crash in between repeats both.
        self._workforce.lost(machine.id, reason)
        self._yard.end(machine, code, reason)
        self._bell.ring(("work", machine.group), ("worker", machine.id))

    def _is_dead(
        self, machine: Machine, server: FleetServer | None, report: WorkerReport | None, seen: Seen
    ) -> bool:
        if server is not None:
            return server.status.upper() in DEAD
        # A list without it proves nothing if it is older than the machine, or than the last word of its agent.
        spoke = report is not None and report.last_seen_at > seen.asked_at
        return not spoke and self._would_be_listed(machine, seen)

    def _would_be_listed(self, machine: Machine, seen: Seen) -> bool:
        since = machine.booted_at or machine.asked_at or machine.created_at
        return seen.asked_at - since > self._patience.unseen

    def _delete_orphans(self, seen: Mapping[Place, Seen], machines: Mapping[WorkerId, Machine]) -> None:
        """Delete servers that carry our mark and that no machine on record stands for.

        They come from creates whose reply was lost, or from deletes that a cloud forgot.
        """
        for place, there in seen.items():
            for name, servers in there.workers().items():
                machine = machines.get(WorkerId(name)) or self._records.machine(WorkerId(name))
                for server in servers:
                    if not self._is_orphan(machine, server.id):
                        continue
                    if server.state != "DELETING" and server.status not in ("DELETED", "SOFT_DELETED"):
                        self._yard.scrap_server(*place, server.id)

    def _is_orphan(self, machine: Machine | None, server: ServerId) -> bool:
        if machine is None or machine.state is MachineState.GONE:
            return True
        double = machine.server_id is not None and machine.server_id != server
        return double and not self._yard.busy(machine.id)


def _fault(machine: Machine, server: FleetServer | None) -> str:
    if server is None:
        return f"its server is no longer on {machine.cloud}"
    return f"{machine.cloud} says {server.status}" + (f": {server.fault}" if server.fault else "")
