"""The networks, security groups and cards of one OpenStack cloud (Neutron)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, Forbidden, Invalid, NotFound
from armillary.base.ids import FloatingIpId, NetworkId, PortId, SecurityGroupId, ServerId
from armillary.fleet.model import FleetCloud
from armillary.fleet.parts import Card, Network, Rule, RuleRequest, SecurityGroup
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.sdk.errors import refusals
from armillary.fleet.sdk.servers import SdkServers

ROUTER_CARDS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)
"""`device_owner` of the ports by which networks hang on routers"""


class SdkNetworks:
    """Implements `CloudNetworks` with openstacksdk.

    Where all our projects share one account, networks and groups are everybody's: they are shown, and not changed.
    """

    def __init__(self, *, cloud: FleetCloud, connections: Connections) -> None:
        self._cloud = cloud
        self._connections = connections

    def networks(self, project: Project) -> list[Network]:
        """Those that its machines may be on: its own, then the cloud's."""
        with refusals(self._cloud.name):
            neutron = self._neutron(project)
            mine = self._account(project)
            usable = [
                one
                for one in neutron.networks(is_router_external=False)
                if str(one.project_id) == mine or one.is_shared
            ]
            subnets: dict[str, list[str]] = {}
            for subnet in neutron.subnets() if usable else ():
                subnets.setdefault(str(subnet.network_id), []).append(str(subnet.cidr))
            routed = {
                str(port.network_id)
                for port in (neutron.ports(project_id=mine, device_owner=[*ROUTER_CARDS]) if usable else ())
            }
        found = [
            Network(
                id=NetworkId(str(one.id)),
                name=str(one.name or ""),
                cidrs=sorted(subnets.get(str(one.id), [])),
                is_own=str(one.project_id) == mine and self._cloud.per_project,
                has_way_out=str(one.id) in routed,
            )
            for one in usable
        ]
        return sorted(found, key=lambda one: (not one.is_own, one.name, one.id))

    def create_network(self, project: Project, name: str, cidr: str) -> Network:
        """Make one with a subnet and a router to the outside; whole, or nothing of it stays."""
        self._need_own_account()
        try:
            block = ip_network(cidr)
        except ValueError:
            raise Invalid(
                f"{cidr} is no block of addresses.",
                code="bad_cidr",
                facts={"field": "cidr", "cidr": cidr},
                remedy="Write one like 10.20.0.0/24.",
            ) from None
        undo: list[Callable[[], object]] = []
        with refusals(self._cloud.name):
            neutron = self._neutron(project)
            try:
                network = neutron.create_network(name=name, project_id=str(project.id))
                undo.append(lambda: neutron.delete_network(network.id))
                subnet = neutron.create_subnet(
                    name=name,
                    network_id=network.id,
                    cidr=str(block),
                    ip_version=block.version,
                    project_id=str(project.id),
                )
                outside = neutron.find_network(self._cloud.external_network, ignore_missing=False)
                router = neutron.create_router(
                    name=name, project_id=str(project.id), external_gateway_info={"network_id": outside.id}
                )
                undo.append(lambda: neutron.delete_router(router.id))
                neutron.add_interface_to_router(router.id, subnet_id=subnet.id)
            except BaseException:
                for step in reversed(undo):
                    with contextlib.suppress(ArmillaryError), refusals(self._cloud.name):
                        step()
                raise
        return Network(
            id=NetworkId(str(network.id)), name=name, cidrs=[str(block)], is_own=True, has_way_out=True
        )

    def delete_network(self, project: Project, network_id: NetworkId) -> None:
        """Remove one with its subnets and the routers that only it needed."""
        self._need_own_account()
        with refusals(self._cloud.name):
            neutron = self._neutron(project)
            network = neutron.get_network(str(network_id))
            self._need_own(network, project, "network")
            ports = list(neutron.ports(network_id=network.id))
            if all(
                str(port.device_owner).startswith(("network:", "compute:probe")) or not port.device_id
                for port in ports
            ):  # else Neutron refuses below, and nothing was cut
                self._leave_routers(neutron, ports)
            neutron.delete_network(network.id)

    def _leave_routers(self, neutron: Any, ports: Sequence[Any]) -> None:
        for port in ports:
            if port.device_owner not in ROUTER_CARDS:
                continue
            neutron.remove_interface_from_router(port.device_id, port_id=port.id)
            left = [
                one for one in neutron.ports(device_id=port.device_id) if one.device_owner in ROUTER_CARDS
            ]
            if not left:
                neutron.delete_router(port.device_id)

    def groups(self, project: Project) -> list[SecurityGroup]:
        """Its security groups with their rules."""
        with refusals(self._cloud.name):
            mine = self._account(project)
            found = list(self._neutron(project).security_groups(project_id=mine))
        return sorted((to_group(one) for one in found), key=lambda one: (one.name != "default", one.name))

    def create_group(self, project: Project, name: str) -> SecurityGroup:
        """Make one that lets nothing in."""
        self._need_own_account()
        with refusals(self._cloud.name):
            return to_group(
                self._neutron(project).create_security_group(name=name, project_id=str(project.id))
            )

    def delete_group(self, project: Project, group_id: SecurityGroupId) -> None:
        """Remove one."""
        self._need_own_account()
        with refusals(self._cloud.name):
            neutron = self._neutron(project)
            self._need_own(neutron.get_security_group(str(group_id)), project, "security group")
            neutron.delete_security_group(str(group_id))

    def add_rule(self, project: Project, group_id: SecurityGroupId, rule: RuleRequest) -> None:
        """Let some traffic in."""
        self._need_own_account()
        with refusals(self._cloud.name):
            neutron = self._neutron(project)
            self._need_own(neutron.get_security_group(str(group_id)), project, "security group")
            neutron.create_security_group_rule(
                security_group_id=str(group_id),
                project_id=str(project.id),
                direction="ingress",
                ether_type="IPv6" if ":" in rule.remote else "IPv4",
                protocol=rule.protocol,
                port_range_min=rule.low,
                port_range_max=rule.high if rule.high is not None else rule.low,
                **({"remote_ip_prefix": rule.remote} if rule.remote else {}),
            )

    def remove_rule(self, project: Project, rule_id: str) -> None:
        """Close it again."""
        self._need_own_account()
        with refusals(self._cloud.name):
            neutron = self._neutron(project)
            self._need_own(neutron.get_security_group_rule(rule_id), project, "rule")
            neutron.delete_security_group_rule(rule_id)

    def _neutron(self, project: Project) -> Any:
        return self._connections.get(self._cloud, project).network

    def _account(self, project: Project) -> str:
        """The project's id on that cloud: our own id, or that of the one account."""
        if self._cloud.per_project:
            return str(project.id)
        return str(self._connections.get(self._cloud, project).current_project_id)

    def _need_own(self, thing: Any, project: Project, kind: str) -> None:
        if str(thing.project_id) != str(project.id):
            raise NotFound(
                f"Cloud {self._cloud.name} has no {kind} {thing.id}.",
                code="network_thing_not_found",
                facts={"cloud": self._cloud.name, "id": str(thing.id)},
                remedy="List what the project has.",
            )

    def _need_own_account(self) -> None:
        if not self._cloud.per_project:
            raise Forbidden(
                f"All projects share one account on cloud {self._cloud.name}: its networks and rules are everybody's.",
                code="shared_account",
                facts={"cloud": self._cloud.name},
                remedy="Ask an administrator to change them, or use another cloud.",
            )


class SdkCards:
    """Implements `CloudCards` with openstacksdk."""

    def __init__(self, *, cloud: FleetCloud, connections: Connections, servers: SdkServers) -> None:
        self._cloud = cloud
        self._connections = connections
        self._servers = servers

    def cards(self, project: Project, server_id: ServerId) -> list[Card]:
        """Its cards."""
        self._servers.server_of(project, server_id)
        with refusals(self._cloud.name):
            neutron = self._connections.get(self._cloud, project).network
            ports = sorted(
                neutron.ports(device_id=str(server_id)), key=lambda one: (str(one.created_at), one.id)
            )
            floating = {
                str(ip.port_id): ip for port in ports for ip in neutron.ips(port_id=port.id) if ip.port_id
            }
        return [to_card(port, floating.get(str(port.id))) for port in ports]

    def plug(self, project: Project, server_id: ServerId, network_id: NetworkId) -> None:
        """Give it one more card."""
        self._servers.server_of(project, server_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            nova.create_server_interface(str(server_id), net_id=str(network_id))

    def unplug(self, project: Project, server_id: ServerId, card_id: PortId) -> None:
        """Pull a card."""
        self._card(project, server_id, card_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            nova.delete_server_interface(str(card_id), server=str(server_id))

    def set_groups(
        self, project: Project, server_id: ServerId, card_id: PortId, groups: Sequence[SecurityGroupId]
    ) -> None:
        """Give a card exactly these groups."""
        self._card(project, server_id, card_id)
        with refusals(self._cloud.name):
            neutron = self._connections.get(self._cloud, project).network
            neutron.update_port(str(card_id), security_groups=[str(group) for group in groups])

    def give_address(self, project: Project, server_id: ServerId, card_id: PortId) -> None:
        """Put a new floating IP on a card."""
        self._card(project, server_id, card_id)
        self._servers.give_address(project, card_id)

    def take_address(self, project: Project, server_id: ServerId, floating_id: FloatingIpId) -> None:
        """Take a floating IP off, and give it back to the cloud."""
        for card in self.cards(project, server_id):
            if card.floating_id == floating_id:
                with refusals(self._cloud.name):
                    neutron = self._connections.get(self._cloud, project).network
                    neutron.delete_ip(str(floating_id), ignore_missing=True)
                return
        raise self._no_such(floating_id)

    def _card(self, project: Project, server_id: ServerId, card_id: PortId) -> Card:
        for card in self.cards(project, server_id):
            if card.id == card_id:
                return card
        raise self._no_such(card_id)

    def _no_such(self, wanted: str) -> NotFound:
        return NotFound(
            f"The machine has no card or address {wanted}.",
            code="network_thing_not_found",
            facts={"cloud": self._cloud.name, "id": wanted},
            remedy="List what the machine has.",
        )


def to_group(group: Any) -> SecurityGroup:
    """Read the SDK's security group."""
    rules: list[dict[str, Any]] = group.security_group_rules or []
    return SecurityGroup(
        id=SecurityGroupId(str(group.id)), name=str(group.name), rules=[_to_rule(rule) for rule in rules]
    )


def _to_rule(rule: dict[str, Any]) -> Rule:
    return Rule(
        id=str(rule["id"]),
        ingress=rule.get("direction") == "ingress",
        protocol=str(rule.get("protocol") or ""),
        low=rule.get("port_range_min"),
        high=rule.get("port_range_max"),
        remote=str(rule.get("remote_ip_prefix") or rule.get("remote_group_id") or ""),
        is_ipv6=rule.get("ethertype") == "IPv6",
    )


def to_card(port: Any, floating: Any) -> Card:
    """Read the SDK's port, and the floating IP on it."""
    fixed: list[dict[str, Any]] = port.fixed_ips or []
    groups: list[Any] = port.security_group_ids or []
    return Card(
        id=PortId(str(port.id)),
        network=NetworkId(str(port.network_id)),
        mac=str(port.mac_address or ""),
        addresses=[str(one["ip_address"]) for one in fixed],
        groups=[SecurityGroupId(str(one)) for one in groups],
        floating_id=FloatingIpId(str(floating.id)) if floating else None,
        floating=str(floating.floating_ip_address) if floating else "",
    )
