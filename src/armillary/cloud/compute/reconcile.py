"""Makes records and machines agree, at the start and ever after."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from armillary.base.ids import ServerId
from armillary.cloud import store
from armillary.cloud.compute.lifecycle import Lifecycle
from armillary.cloud.compute.model import TaskState, VmState
from armillary.cloud.compute.records import alive, fault, save
from armillary.cloud.compute.store import restless_servers
from armillary.cloud.compute.work import Workbench
from armillary.cloud.core.states import observed
from armillary.cloud.model import MachineState

_GONE = "The machine's disks are gone from this computer."


@dataclass(frozen=True, kw_only=True)
class _Brief:
    """As much of a server's record as a pass looks at: there may be many thousands."""

    id: ServerId
    vm_state: VmState
    task_state: TaskState | None
    charged: bool


def _brief(connection: Connection) -> list[_Brief]:
    columns = store.servers.c
    query = select(columns.id, columns.vm_state, columns.task_state, columns.charged)
    rows = connection.execute(query.where(columns.deleted_at.is_(None))).mappings()
    return [_Brief(**row) for row in rows]


class Reconciler:
    """One pass: take up work that nobody does, believe the world about servers at rest, end machines of nobody."""

    def __init__(self, *, bench: Workbench, lifecycle: Lifecycle) -> None:
        self._engine = bench.engine
        self._clock = bench.clock
        self._machines = bench.machines
        self._strands = bench.strands
        self._keeper = bench.keeper
        self._lifecycle = lifecycle

    def run(self) -> None:
        """Make one pass. Work that it finds is queued, not waited for."""
        # Records before machines: a machine that a record has just been written for is then never an orphan, and
        # whatever changed between the two looks is checked again before it is acted on.
        with self._engine.execution_options(readonly=True).connect() as connection:
            servers = _brief(connection)
            restless = restless_servers(connection)
        states = self._machines.states()
        for server in servers:
            if self._strands.busy(server.id):
                continue
            if server.task_state is not None:
                self._resume(server.id)
            elif server.id in restless:
                self._lifecycle.disks.pursue(server.id)
                self._lifecycle.cards.pursue(server.id)
            elif server.charged:
                self._believe(server, states.get(server.id, MachineState.MISSING))
        known = {server.id for server in servers}
        for server_id in states.keys() - known:
            self._lifecycle.destroy_orphan(server_id)
        self._lifecycle.warming.tidy()
        self._keeper.apply()

    def _resume(self, server_id: ServerId) -> None:
        with self._engine.execution_options(readonly=True).connect() as connection:
            server = alive(connection, server_id)
        if server is not None:
            self._lifecycle.resume(server)

    def _believe(self, server: _Brief, machine: MachineState) -> None:
        state = observed(server.vm_state, machine)
        if state is server.vm_state:
            return
        with self._engine.begin() as connection:
            current = alive(connection, server.id)
            if current is None or (current.vm_state, current.task_state) != (server.vm_state, None):
                return
            if state is VmState.ERROR:
                save(connection, self._clock, current, vm_state=state, fault=fault(self._clock, _GONE))
            else:
                save(connection, self._clock, current, vm_state=state)
