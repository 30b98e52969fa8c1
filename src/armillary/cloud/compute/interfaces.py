"""Network cards that people plug into servers that are there, and what Nova says of ports: groups and addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Conflict, Invalid, NotFound
from armillary.base.ids import PortId, ServerId
from armillary.cloud import store
from armillary.cloud.compute.acting import Doing, Ledger
from armillary.cloud.compute.model import DeviceState, Interface, Server
from armillary.cloud.compute.records import check_action, check_unlocked, note_action, own
from armillary.cloud.compute.store import INTERFACES, interfaces
from armillary.cloud.compute.strands import Strands
from armillary.cloud.network.groups import find_groups
from armillary.cloud.network.model import Port
from armillary.cloud.network.ports import plug
from armillary.cloud.network.service import NetworkService

_PLUG_SECONDS = 60.0


class PlugFailed(ArmillaryError):
    """A card could not be plugged into a running machine."""

    code = "interface_attach_failed"
    status = 500


class Interfaces:
    """Each card's record is its journal: see `Cards`."""

    def __init__(self, *, ledger: Ledger, network: NetworkService, strands: Strands) -> None:
        self._ledger = ledger
        self._network = network
        self._strands = strands

    def list(self, principal: Principal, server_id: str) -> Sequence[tuple[Port, str | None]]:
        """A server's ports, each with the tag of its card."""
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, principal, server_id)
            tags = {card.port_id: card.tag for card in _cards(connection, server.id)}
            ports = store.PORTS.find(connection, store.ports.c.device_id == server.id)
        return [(port, tags.get(port.id)) for port in ports]

    def get(self, principal: Principal, server_id: str, port_id: str) -> tuple[Port, str | None]:
        """One of them.

        Raises:
            NotFound: the server has no such port.
        """
        for port, tag in self.list(principal, server_id):
            if port.id == port_id:
                return port, tag
        raise NotFound(
            f"Instance {server_id} does not have a port with id {port_id}", code="interface_not_found"
        )

    def attach(self, doing: Doing, wish: Mapping[str, str], *, tag: str | None) -> tuple[Port, str | None]:
        """Give a server one more card, and wait until it has it: whole, or not at all.

        Args:
            doing: who does it to which server.
            wish: `port`, or `uuid` (of a network) with perhaps a `fixed_ip`; empty: the project's only network.
            tag: by which the guest finds the card.

        Raises:
            NotFound: port or network is not there.
            Conflict: the port is in use, or the server's state does not allow it.
            PlugFailed: the machine did not take it.
        """
        ledger = self._ledger
        with ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_action(doing.principal, server, "attach_interface")
            port = self._plug(connection, doing.principal, server, wish)
            INTERFACES.add(
                connection,
                Interface(port_id=port.id, server_id=server.id, tag=tag, state=DeviceState.ATTACHING),
            )
            note_action(
                connection, ledger.clock, doing.principal, server, "attach_interface", doing.request_id
            )
        ended = self._strands.do(
            server.id, lambda: ledger.lifecycle.cards.plug(port.id), seconds=_PLUG_SECONDS
        )
        with ledger.engine.execution_options(readonly=True).connect() as connection:
            card, plugged = INTERFACES.get(connection, port.id), store.PORTS.get(connection, port.id)
        if card is None or plugged is None or not ended:
            raise PlugFailed(f"Failed to attach interface to instance {server.id}.")
        return plugged, tag

    def _plug(
        self, connection: Connection, principal: Principal, server: Server, wish: Mapping[str, str]
    ) -> Port:
        try:
            (port,) = plug(
                self._network.desk, connection, principal, server.project_id, server.id,
                wishes=[wish] if wish else None, security_groups=None,
            )  # fmt: skip
        except Invalid as error:
            if error.code in {"network_not_found", "port_not_found"}:
                raise NotFound(error.message, code=error.code) from error
            raise
        return port

    def detach(self, doing: Doing, port_id: str) -> None:
        """Begin to take a card from a server; a port that compute made goes with it.

        Raises:
            NotFound: the server has no such port.
            Conflict: the server's state does not allow it.
        """
        ledger = self._ledger
        with ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            port = store.PORTS.get(connection, port_id)
            if port is None or port.device_id != server.id:
                raise NotFound(f"Port id {port_id} could not be found.", code="port_not_found")
            check_action(doing.principal, server, "detach_interface")
            known = INTERFACES.get(connection, port_id)
            card = known or Interface(
                port_id=PortId(port_id), server_id=server.id, tag=None, state=DeviceState.DETACHING
            )
            if known is None:
                INTERFACES.add(connection, card)
            else:
                INTERFACES.save(connection, replace(card, state=DeviceState.DETACHING))
            note_action(
                connection, ledger.clock, doing.principal, server, "detach_interface", doing.request_id
            )
        ledger.lifecycle.cards.pursue(server.id)

    # addresses, as Nova's older calls have them

    def add_fixed_ip(self, doing: Doing, network_id: str) -> None:
        """Give a server one more address on a network that it is on."""
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_unlocked(doing.principal, server)
            ports = store.PORTS.find(
                connection, store.ports.c.device_id == server.id, store.ports.c.network_id == network_id
            )
            subnets = store.SUBNETS.find(connection, store.subnets.c.network_id == network_id)
        if not ports or not subnets:
            raise Invalid(
                f"Network could not be found for instance {server.id}.", code="network_not_found_for_instance"
            )
        held = [_wish_of(port.fixed_ips) for port in ports[:1]]
        self._set_fixed_ips(doing.principal, ports[0], [*held[0], {"subnet_id": subnets[0].id}])

    def remove_fixed_ip(self, doing: Doing, address: str) -> None:
        """Take one address from a server."""
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_unlocked(doing.principal, server)
            ports = store.PORTS.find(connection, store.ports.c.device_id == server.id)
        for port in ports:
            rest = [fixed for fixed in port.fixed_ips if fixed.ip_address != address]
            if len(rest) < len(port.fixed_ips):
                self._set_fixed_ips(doing.principal, port, _wish_of(rest))
                return
        raise Invalid(
            f"Instance {server.id} doesn't have fixed IP '{address}'.", code="fixed_ip_not_found_for_instance"
        )

    def _set_fixed_ips(self, principal: Principal, port: Port, wishes: Sequence[Mapping[str, str]]) -> None:
        self._network.ports.update(principal, port.id, {"fixed_ips": wishes})

    def add_floating_ip(self, doing: Doing, address: str, fixed_address: str | None) -> None:
        """Let a floating IP of the project lead to a server."""
        ports = [port for port, _ in self.list(doing.principal, doing.server_id)]
        held = [
            (port, fixed.ip_address)
            for port in ports
            for fixed in port.fixed_ips
            if ":" not in fixed.ip_address
        ]
        if not held:
            raise Invalid("No nw_info cache associated with instance", code="server_without_address")
        chosen = next((pair for pair in held if fixed_address in {None, pair[1]}), None)
        if chosen is None:
            raise Invalid(
                f"Specified fixed address {fixed_address} not assigned to instance {doing.server_id}",
                code="fixed_ip_not_found_for_instance",
            )
        port, fixed_ip = chosen
        changes = {"port_id": port.id, "fixed_ip_address": fixed_ip}
        self._network.floating_ips.update(doing.principal, self._floating(doing, address).id, changes)

    def remove_floating_ip(self, doing: Doing, address: str) -> None:
        """Let a floating IP lead to a server no more."""
        mine = {port.id for port, _ in self.list(doing.principal, doing.server_id)}
        floating = self._floating(doing, address)
        if floating.port_id not in mine:
            raise Conflict(
                f"Floating IP {address} is not associated with instance {doing.server_id}.",
                code="floating_ip_not_associated",
            )
        self._network.floating_ips.update(doing.principal, floating.id, {"port_id": None})

    def _floating(self, doing: Doing, address: str) -> Any:
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, doing.principal, doing.server_id)
            columns = store.floating_ips.c
            found = store.FLOATING_IPS.find(
                connection, columns.address == address, columns.project_id == server.project_id
            )
        if not found:
            raise NotFound("floating IP not found", code="floating_ip_not_found")
        return found[0]

    # security groups

    def add_group(self, doing: Doing, name: str) -> None:
        """Add a group to all ports of a server; its rules hold at once."""
        self._change_groups(doing, name, add=True)

    def remove_group(self, doing: Doing, name: str) -> None:
        """Remove a group from all ports of a server; its rules hold no more at once."""
        self._change_groups(doing, name, add=False)

    def _change_groups(self, doing: Doing, name: str, *, add: bool) -> None:
        with self._ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_unlocked(doing.principal, server)
            (group,) = find_groups(connection, doing.principal, server.project_id, [name])
            ports = store.PORTS.find(connection, store.ports.c.device_id == server.id)
            if not add and not any(group in port.security_groups for port in ports):
                raise NotFound(
                    f"Security group {name} not associated with the instance {server.id}",
                    code="security_group_not_found",
                )
            for port in ports:
                rest = tuple(other for other in port.security_groups if other != group)
                groups = (*rest, group) if add else rest
                store.PORTS.save(connection, replace(port, security_groups=groups))
        self._network.desk.changed()


def _cards(connection: Connection, server_id: ServerId) -> Sequence[Interface]:
    return INTERFACES.find(connection, interfaces.c.server_id == server_id)


def _wish_of(fixed_ips: Sequence[Any]) -> list[Mapping[str, str]]:
    return [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip_address} for fixed in fixed_ips]
