"""Compares the worker machines on record with what clouds and engine say, and draws the conclusions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, ProjectId, WorkerId
from armillary.batch.booting import DEPLOYMENT_MARK, WORKER_MARK, Yard
from armillary.batch.model import Machine, MachineState, WorkerReport
from armillary.batch.ports import Clouds, People, Workforce
from armillary.batch.store.fleet_records import FleetRecords
from armillary.fleet.model import FleetServer

log = logging.getLogger(__name__)

DEAD = frozenset({"ERROR", "SHUTOFF", "DELETED", "SOFT_DELETED", "SHELVED", "SHELVED_OFFLOADED", "CRASHED"})
"""States of a server in which no job runs, and from which a worker does not come back by itself."""

Place = tuple[CloudName, ProjectId]


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
    """servers of machines that ended are looked for so long"""


class Watch:
    """Looks at all machines once. Nothing is concluded about a cloud that does not answer."""

    def __init__(
        self,
        *,
        workforce: Workforce,
        clouds: Clouds,
        people: People,
        records: FleetRecords,
        yard: Yard,
        clock: Clock,
        bell: Bell,
        patience: Patience | None = None,
    ) -> None:
        self._workforce = workforce
        self._clouds = clouds
        self._people = people
        self._records = records
        self._yard = yard
        self._clock = clock
        self._bell = bell
        self._patience = patience or Patience()

    def look(self) -> dict[WorkerId, WorkerReport]:
        """Bring the records up to date; returns what the engine says of its workers."""
        now = self._clock.now()
        machines = self._records.machines()
        # The engine is asked before the clouds: a machine that registers meanwhile is simply seen next time.
        reports = {report.id: report for report in self._workforce.workers()}
        ended = self._records.ended_since(now - self._patience.orphans)
        servers = self._servers({(m.cloud, m.group.project) for m in [*machines, *ended]})
        for machine in machines:
            there = servers.get((machine.cloud, machine.group.project))
            if not self._yard.busy(machine.id):
                self._judge(machine, there, reports.get(machine.id), now)
        self._delete_orphans(servers, machines)
        return reports

    def _servers(self, places: set[Place]) -> dict[Place, list[FleetServer]]:
        found: dict[Place, list[FleetServer]] = {}
        for cloud, project_id in sorted(places):
            try:
                project = self._people.project(project_id)
                found[cloud, project_id] = self._clouds.servers(
                    cloud, project, metadata={DEPLOYMENT_MARK: self._yard.mark}
                )
            except ArmillaryError as error:
                log.warning("cannot look at the workers on %s: %s", cloud, error.message)
        return found

    def _judge(
        self,
        machine: Machine,
        servers: Sequence[FleetServer] | None,
        report: WorkerReport | None,
        now: datetime,
    ) -> None:
        server = _server_of(machine, servers) if servers is not None else None
        match machine.state:
            case MachineState.PLANNED:
                if servers is not None:
                    self._planned(machine, server, now)
            case MachineState.BOOTING:
                self._booting(machine, server, report, now, answered=servers is not None)
            case MachineState.READY | MachineState.DRAINING:
                self._working(machine, server, report, now, answered=servers is not None)
            case MachineState.ENDING:
                if servers is not None:
                    self._ending(machine, server)
            case MachineState.GONE:
                pass

    def _planned(self, machine: Machine, server: FleetServer | None, now: datetime) -> None:
        if server is not None:
            self._yard.adopt(machine, server.id, at=now)
        elif now - machine.created_at > self._patience.register:
            self._yard.end(machine, "never_booted", "its server could not be made in time")
        else:
            self._yard.build(machine)  # we were stopped in between

    def _booting(
        self,
        machine: Machine,
        server: FleetServer | None,
        report: WorkerReport | None,
        now: datetime,
        *,
        answered: bool,
    ) -> None:
        if answered and self._is_dead(machine, server, now):
            fault = _fault(machine, server)
            self._yard.failed(machine.cloud, fault)
            self._give_up(machine, "boot_failed", fault)
        elif report is not None:
            self._records.set(machine.id, state=MachineState.READY, registered_at=report.registered_at)
            self._yard.worked(machine.cloud)
        elif now - (machine.booted_at or machine.created_at) > self._patience.register:
            seconds = int(self._patience.register.total_seconds())
            reason = f"its agent did not report within {seconds} s of the boot"
            self._yard.failed(machine.cloud, reason)
            self._give_up(machine, "never_registered", reason)

    def _working(
        self,
        machine: Machine,
        server: FleetServer | None,
        report: WorkerReport | None,
        now: datetime,
        *,
        answered: bool,
    ) -> None:
        if report is None:
            self._yard.end(machine, "given_up", machine.reason or "the engine gave it up")
        elif answered and self._is_dead(machine, server, now):
            self._give_up(machine, "server_lost", _fault(machine, server))
        elif report.server_id and machine.server_id and report.server_id != machine.server_id:
            self._give_up(machine, "wrong_server", "another server registered in its name")
        elif report.left or (machine.state is MachineState.DRAINING and not report.jobs):
            self._give_up(machine, "retired", "there was no more work for it")
        elif now - report.last_seen_at > self._patience.silent:
            seconds = int(self._patience.silent.total_seconds())
            self._give_up(machine, "silent", f"its agent said nothing for {seconds} s")

    def _ending(self, machine: Machine, server: FleetServer | None) -> None:
        if server is None:
            self._yard.gone(machine)
        else:
            self._yard.scrap(machine, server.id)

    def _give_up(self, machine: Machine, code: str, reason: str) -> None:
        # First the jobs, then the machine's state: a crash in between repeats both.
        self._workforce.lost(machine.id, reason)
        self._yard.end(machine, code, reason)
        self._bell.ring(("work", machine.group), ("worker", machine.id))

    def _is_dead(self, machine: Machine, server: FleetServer | None, now: datetime) -> bool:
        if server is None:
            return now - (machine.booted_at or machine.created_at) > self._patience.unseen
        return server.status.upper() in DEAD

    def _delete_orphans(
        self, servers: Mapping[Place, Sequence[FleetServer]], machines: Sequence[Machine]
    ) -> None:
        """Delete servers that carry our mark and that no machine on record stands for.

        They come from creates whose reply was lost and that were done again, or from deletes that a cloud forgot.
        """
        known = {machine.id: machine for machine in machines}
        for (cloud, project), there in servers.items():
            for server in there:
                name = WorkerId(server.metadata.get(WORKER_MARK, ""))
                machine = known.get(name) or self._records.machine(name)
                if machine is not None and machine.state is not MachineState.GONE:
                    double = machine.server_id is not None and machine.server_id != server.id
                    if not double or self._yard.busy(machine.id):
                        continue
                log.warning("server %s on %s stands for no worker of ours; deleting it", server.id, cloud)
                self._yard.scrap_server(cloud, project, server.id)


def _server_of(machine: Machine, servers: Sequence[FleetServer]) -> FleetServer | None:
    mine = [s for s in servers if s.metadata.get(WORKER_MARK) == machine.id]
    if machine.server_id is not None:
        return next((s for s in mine if s.id == machine.server_id), None)
    return min(mine, key=lambda s: (s.created_at, s.id), default=None)


def _fault(machine: Machine, server: FleetServer | None) -> str:
    if server is None:
        return f"its server is no longer on {machine.cloud}"
    return f"{machine.cloud} says {server.status}" + (f": {server.fault}" if server.fault else "")
