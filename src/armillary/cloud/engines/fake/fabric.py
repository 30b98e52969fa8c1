"""A network that remembers its plan and answers from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

from armillary.base.ids import PortId, ServerId
from armillary.cloud.model import CardUse, NetworkPlan, PortPlan, Rule

_WELL_KNOWN = (22, 80, 443, 8080, 8888)
_MOST = 32


class FakeFabric:
    """Keeps the promises of `Fabric` without passing a packet."""

    def __init__(self) -> None:
        self.plan = NetworkPlan()
        self.applied = 0

    def apply(self, plan: NetworkPlan) -> None:
        self.plan = plan
        self.applied += 1

    def addresses(self, server_id: ServerId) -> Mapping[int, tuple[str, int]]:
        return {
            number: (port.floating_ip, number)
            for port in self.plan.ports
            if port.server_id == server_id and port.floating_ip
            for number in _open_tcp(port)
        }

    def traffic(self, ports: Sequence[PortId]) -> Mapping[PortId, CardUse]:
        """Nothing passes here; a card that is in the plan is known to have carried nothing."""
        known = {port.port.id for port in self.plan.ports}
        still = CardUse(in_bytes=0, in_packets=0, out_bytes=0, out_packets=0)
        return {port: still for port in ports if port in known}

    def _port_at(self, address: str) -> PortPlan | None:
        for port in self.plan.ports:
            if address == port.port.fixed_ip or address in {each.ip for each in port.addresses}:
                return port
        return None

    def passes(self, source_ip: str, target_ip: str, *, protocol: str, number: int | None = None) -> bool:
        """Whether the plan lets a first packet from one fixed IP reach another on the same network."""
        source, target = self._port_at(source_ip), self._port_at(target_ip)
        if source is None or target is None or source.port.network_id != target.port.network_id:
            return False
        out = any(_matches(r, "egress", target_ip, protocol, number) for r in source.rules)
        into = any(_matches(r, "ingress", source_ip, protocol, number) for r in target.rules)
        return (out or not source.filtered) and (into or not target.filtered)


def _open_tcp(port: PortPlan) -> set[int]:
    if not port.filtered:
        return set(_WELL_KNOWN)
    found: set[int] = set()
    for rule in port.rules:
        if rule.direction != "ingress" or rule.protocol not in {None, "tcp"} or rule.remote_ips is not None:
            continue
        if rule.ethertype != "IPv4":
            continue
        low, high = rule.port_min or 1, rule.port_max or 65535
        found.update(
            range(low, high + 1) if high - low < _MOST else (n for n in _WELL_KNOWN if low <= n <= high)
        )
    return found


def _matches(rule: Rule, direction: str, remote: str, protocol: str, number: int | None) -> bool:
    if rule.direction != direction or rule.protocol not in {None, protocol}:
        return False
    if rule.ethertype != f"IPv{ip_address(remote).version}":
        return False
    if rule.remote_ips is not None and remote not in rule.remote_ips:
        return False
    if rule.remote_cidr is not None and ip_address(remote) not in ip_network(rule.remote_cidr):
        return False
    if number is None or rule.port_min is None:
        return True
    return rule.port_min <= number <= (rule.port_max or rule.port_min)
