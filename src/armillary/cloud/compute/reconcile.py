"""Makes records and machines agree, at the start and ever after."""

from __future__ import annotations

from armillary.cloud import store
from armillary.cloud.compute.lifecycle import Lifecycle
from armillary.cloud.compute.model import Server, VmState
from armillary.cloud.compute.records import alive, fault, save
from armillary.cloud.compute.store import restless_servers
from armillary.cloud.compute.work import Workbench
from armillary.cloud.core.states import observed
from armillary.cloud.model import MachineState

_GONE = "The machine's disks are gone from this computer."


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
            servers = store.SERVERS.find(connection, store.servers.c.deleted_at.is_(None))
            restless = restless_servers(connection)
        states = self._machines.states()
        for server in servers:
            if self._strands.busy(server.id):
                continue
            if server.task_state is not None:
                self._lifecycle.resume(server)
            elif server.id in restless:
                self._lifecycle.disks.pursue(server.id)
                self._lifecycle.cards.pursue(server.id)
            elif server.charged:
                self._believe(server, states.get(server.id, MachineState.MISSING))
        known = {server.id for server in servers}
        for server_id in states.keys() - known:
            self._lifecycle.destroy_orphan(server_id)
        self._keeper.apply()

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
