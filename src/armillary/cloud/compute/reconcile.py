"""Makes records and machines agree, at the start and ever after."""

from __future__ import annotations

from sqlalchemy import Engine

from armillary.base.clock import Clock
from armillary.cloud import store
from armillary.cloud.compute.lifecycle import Lifecycle
from armillary.cloud.compute.model import Server, TaskState, VmState
from armillary.cloud.compute.records import alive, fault, save
from armillary.cloud.compute.strands import Strands
from armillary.cloud.core.states import observed
from armillary.cloud.model import MachineState
from armillary.cloud.network.fabric import FabricKeeper
from armillary.cloud.ports import Machines

_GONE = "The machine's disks are gone from this computer."


class Reconciler:
    """One pass: take up work that nobody does, believe the world about servers at rest, end machines of nobody."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        machines: Machines,
        lifecycle: Lifecycle,
        strands: Strands,
        keeper: FabricKeeper,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._machines = machines
        self._lifecycle = lifecycle
        self._strands = strands
        self._keeper = keeper

    def run(self) -> None:
        """Make one pass. Work that it finds is queued, not waited for."""
        # Records before machines: a machine that a record has just been written for is then never an orphan, and
        # whatever changed between the two looks is checked again before it is acted on.
        with self._engine.execution_options(readonly=True).connect() as connection:
            servers = store.SERVERS.find(connection, store.servers.c.deleted_at.is_(None))
        states = self._machines.states()
        for server in servers:
            if self._strands.busy(server.id):
                continue
            if server.task_state is TaskState.IMAGE_SNAPSHOT:
                self._give_snapshot_up(server)
            elif server.task_state is not None:
                self._lifecycle.pursue(server)
            elif server.charged:
                self._believe(server, states.get(server.id, MachineState.MISSING))
        known = {server.id for server in servers}
        for server_id in states.keys() - known:
            self._strands.submit(
                server_id, lambda server_id=server_id: self._lifecycle.destroy_orphan(server_id)
            )
        self._keeper.apply()

    def _give_snapshot_up(self, server: Server) -> None:
        self._strands.submit(server.id, lambda: self._lifecycle.abandon_snapshot(server.id))

    def _believe(self, server: Server, machine: MachineState) -> None:
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
