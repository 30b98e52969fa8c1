"""The network cards of servers that are there: plugged and pulled.

An interface's own state is the journal of what is being done to it (see `DeviceState`).
"""

from __future__ import annotations

import logging
from dataclasses import replace

from sqlalchemy import Connection

from armillary.base.errors import ArmillaryError
from armillary.base.ids import PortId, ServerId
from armillary.cloud import store
from armillary.cloud.compute.model import DeviceState, Interface, Server
from armillary.cloud.compute.records import alive, finish_actions
from armillary.cloud.compute.store import INTERFACES, interfaces
from armillary.cloud.compute.work import Workbench, foreign_code, words
from armillary.cloud.network.desk import Desk
from armillary.cloud.network.model import Port
from armillary.cloud.network.ports import drop_port

log = logging.getLogger(__name__)


class Cards:
    """Keeps the promises that the records of interfaces stand for."""

    def __init__(self, *, bench: Workbench) -> None:
        self._bench = bench

    def pursue(self, server_id: ServerId) -> None:
        """Queue what cards are promised and not done."""
        with self._bench.reading() as connection:
            found = INTERFACES.find(connection, interfaces.c.server_id == server_id)
        for card in found:
            if card.state is DeviceState.ATTACHING:
                self._bench.strands.submit(server_id, lambda card=card: self.plug(card.port_id))
            elif card.state is DeviceState.DETACHING:
                self._bench.strands.submit(server_id, lambda card=card: self.pull(card.port_id), slow=True)

    def plug(self, port_id: PortId) -> None:
        """Give the machine a card that its records have; if that fails, the records have it no more."""
        found = self._read(port_id, DeviceState.ATTACHING)
        if found is None:
            return
        server, card = found
        try:
            with foreign_code():
                spec = self._bench.port(server.id, port_id)
                if spec is not None:
                    self._bench.machines.plug_port(server.id, spec)
        except (ArmillaryError, OSError) as caught:
            error = words(caught)
            log.warning("port %s could not be plugged into server %s: %s", port_id, server.id, error)
            self._drop(server, port_id, error)
            return
        with self._bench.engine.begin() as connection:
            INTERFACES.save(connection, replace(card, state=DeviceState.ATTACHED))
            finish_actions(connection, self._bench.clock, server.id)
        self._bench.keeper.poke()

    def pull(self, port_id: PortId) -> None:
        """Take a card from a machine, and its port from the server."""
        found = self._read(port_id, DeviceState.DETACHING)
        if found is None:
            return
        server, card = found
        try:
            with foreign_code():
                self._bench.machines.unplug_port(server.id, port_id)
        except (ArmillaryError, OSError) as caught:
            error = words(caught)
            log.warning("port %s could not be pulled from server %s: %s", port_id, server.id, error)
            with self._bench.engine.begin() as connection:
                INTERFACES.save(connection, replace(card, state=DeviceState.ATTACHED))
                finish_actions(connection, self._bench.clock, server.id, error)
            return
        self._drop(server, port_id, None)

    def _drop(self, server: Server, port_id: PortId, error: str | None) -> None:
        with self._bench.engine.begin() as connection:
            port = store.PORTS.get(connection, port_id)
            if port is not None and port.device_id == server.id:
                let_go(self._bench.desk, connection, port)
            INTERFACES.remove(connection, interfaces.c.port_id == port_id)
            finish_actions(connection, self._bench.clock, server.id, error)
        self._bench.keeper.poke()

    def _read(self, port_id: PortId, state: DeviceState) -> tuple[Server, Interface] | None:
        with self._bench.reading() as connection:
            card = INTERFACES.get(connection, port_id)
            if card is None or card.state is not state:
                return None
            server = alive(connection, card.server_id)
            return (server, card) if server is not None else None


def let_go(desk: Desk, connection: Connection, port: Port) -> None:
    """Take a port from its server, in the caller's transaction: ours is removed, one that a user brought is let go."""
    if port.ours:
        drop_port(desk, connection, port)
    else:
        store.PORTS.save(connection, desk.touch(port, device_id="", device_owner="", status="DOWN"))
