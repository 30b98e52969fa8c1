"""What every engine's network promises, whatever carries the packets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from armillary.base.ids import NetworkId, PortId, ServerId
from armillary.cloud.engines.fake import FakeFabric
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.model import AddressPair, NetworkPlan, PortAddress, PortPlan, PortSpec, Rule
from armillary.cloud.ports import Fabric

SSH = Rule(direction="ingress", protocol="tcp", port_min=22, port_max=22, remote_cidr=None)
ADAPTERS = [
    pytest.param(lambda _tmp_path: FakeFabric(), id="fake"),
    pytest.param(lambda tmp_path: QemuFabric(directory=tmp_path / "qemu"), id="qemu"),
]


@pytest.fixture(params=ADAPTERS)
def fabric(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fabric]:
    made: Fabric = request.param(tmp_path)
    yield made
    made.apply(NetworkPlan())


def plan(
    *, rules: tuple[Rule, ...] = (SSH,), floating_ip: str | None = "127.16.0.99", **more: Any
) -> NetworkPlan:
    port = PortSpec(
        id=PortId("p1"),
        network_id=NetworkId("n1"),
        mac="fa:16:3e:00:00:01",
        fixed_ip="10.0.0.5",
        cidr="10.0.0.0/24",
        gateway_ip="10.0.0.1",
    )
    return NetworkPlan(
        ports=(PortPlan(server_id=ServerId("s1"), port=port, rules=rules, floating_ip=floating_ip, **more),)
    )


def test_a_plan_may_be_applied_as_often_as_one_likes(fabric: Fabric) -> None:
    fabric.apply(plan())
    fabric.apply(plan())


def test_a_machine_that_nobody_planned_answers_nowhere(fabric: Fabric) -> None:
    fabric.apply(plan())
    assert fabric.addresses(ServerId("unknown")) == {}


def test_a_machine_without_a_floating_ip_answers_nowhere(fabric: Fabric) -> None:
    fabric.apply(plan(floating_ip=None))
    assert fabric.addresses(ServerId("s1")) == {}


def test_an_empty_plan_closes_everything(fabric: Fabric) -> None:
    fabric.apply(plan())
    fabric.apply(NetworkPlan())
    assert fabric.addresses(ServerId("s1")) == {}


def test_a_port_may_have_addresses_of_ipv6_and_pairs(fabric: Fabric) -> None:
    of_ipv6 = Rule(
        direction="ingress",
        ethertype="IPv6",
        protocol="tcp",
        port_min=22,
        port_max=22,
        remote_cidr="fd00::/8",
    )
    addresses = (
        PortAddress(ip="fd00::5", cidr="fd00::/64", mode="slaac", resolvers=("fd00::53",)),
        PortAddress(ip="10.0.0.6", cidr="10.0.0.0/24"),
    )
    pairs = (AddressPair(cidr="10.0.0.100/32"), AddressPair(cidr="fd01::/64", mac="fa:16:3e:00:00:99"))
    fabric.apply(plan(rules=(of_ipv6,), addresses=addresses, pairs=pairs))
    assert fabric.addresses(ServerId("s1")) == {}, "a rule of IPv6 opens no floating IP"


def test_the_fake_opens_what_the_ingress_rules_name() -> None:
    fabric = FakeFabric()
    fabric.apply(plan())
    assert fabric.addresses(ServerId("s1")) == {22: ("127.16.0.99", 22)}
    fabric.apply(plan(rules=()))
    assert fabric.addresses(ServerId("s1")) == {}


def test_what_went_through_a_card_is_counted_and_unknown_cards_are_missing(fabric: Fabric) -> None:
    fabric.apply(plan())
    told = fabric.traffic([PortId("p1"), PortId("nobody")])
    assert set(told) == {PortId("p1")}
    assert told[PortId("p1")].in_bytes == 0
