"""The stock `openstack` command builds networks, opens them, shares them and takes them away."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from live_cloud import Live

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]


def do(live: Live, *commands: str, user: str = "ada") -> Any:
    """Run commands; what the last one says, as an object if it can."""
    said: Any = None
    for command in commands:
        words = shlex.split(command)
        speaks = {"create", "show", "list"} & set(words)
        said = live.ok(*words, *(("-f", "json") if speaks else ()), user=user)
    return said


def refused(live: Live, command: str, user: str = "ada") -> str:
    return live.refused(*shlex.split(command), user=user)


def names(found: list[dict[str, Any]]) -> list[str]:
    return [row["Name"] for row in found]


def test_a_network_with_its_subnets_is_made_changed_and_found(live: Live) -> None:
    made = do(
        live, "network create --mtu 1400 --description 'the lab' --tag a --tag b --disable-port-security lab"
    )
    assert (made["mtu"], made["description"], made["tags"]) == (1400, "the lab", ["a", "b"])
    assert made["port_security_enabled"] is False
    do(
        live,
        "network set --name lab2 --enable --mtu 1300 --tag c lab",
        "network unset --tag a lab2",
        "subnet create --network lab2 --subnet-range 10.9.0.0/24 --gateway 10.9.0.254 --dns-nameserver 9.9.9.9 "
        "--allocation-pool start=10.9.0.10,end=10.9.0.99 --host-route destination=10.8.0.0/24,gateway=10.9.0.3 "
        "--service-type compute:nova --tag t four",
        "subnet create --network lab2 --ip-version 6 --subnet-range fd00:9::/64 --ipv6-ra-mode slaac "
        "--ipv6-address-mode slaac six",
        "subnet set --name vier --no-allocation-pool --allocation-pool start=10.9.0.10,end=10.9.0.50 --dhcp four",
        "subnet unset --host-route destination=10.8.0.0/24,gateway=10.9.0.3 --dns-nameserver 9.9.9.9 vier",
    )
    shown = do(live, "network show lab2")
    assert (shown["mtu"], shown["tags"], len(shown["subnets"])) == (1300, ["b", "c"], 2)
    four, six = do(live, "subnet show vier"), do(live, "subnet show six")
    assert (four["gateway_ip"], four["host_routes"], four["dns_nameservers"]) == ("10.9.0.254", [], [])
    assert four["allocation_pools"] == [{"start": "10.9.0.10", "end": "10.9.0.50"}]
    assert (six["ipv6_ra_mode"], six["ipv6_address_mode"]) == ("slaac", "slaac")
    assert names(do(live, "network list --internal --long --name lab2 --tags b,c --enable")) == ["lab2"]
    assert names(do(live, "network list --external")) == ["public"]
    for filters in ("--ip-version 6", "--network lab2 --subnet-range fd00:9::/64", "--name six --dhcp"):
        assert names(do(live, f"subnet list {filters}")) == ["six"]
    assert names(do(live, "subnet list --service-type compute:nova --gateway 10.9.0.254 --tags t")) == [
        "vier"
    ]
    do(live, "subnet delete vier six", "network delete lab2")
    assert "No Network found for lab2" in refused(live, "network show lab2")


def test_ports_of_every_sort(live: Live) -> None:
    do(
        live,
        "network create wires",
        "subnet create --network wires --subnet-range 10.19.0.0/24 wires-4",
        "security group create own",
    )
    made = do(
        live,
        "port create --network wires --fixed-ip subnet=wires-4,ip-address=10.19.0.77 --mac-address fa:16:3e:aa:bb:cc "
        "--security-group own --allowed-address ip-address=10.19.0.100 --extra-dhcp-option name=mtu,value=1400 "
        "--device d1 --device-owner compute:me --description plug --vnic-type normal --tag x p1",
    )
    assert made["fixed_ips"][0]["ip_address"] == "10.19.0.77"
    assert made["allowed_address_pairs"] == [
        {"ip_address": "10.19.0.100", "mac_address": "fa:16:3e:aa:bb:cc"}
    ]
    do(
        live,
        "port set --name p2 --fixed-ip subnet=wires-4 --no-security-group --disable-port-security "
        "--no-allowed-address p1",
        "port unset --fixed-ip subnet=wires-4,ip-address=10.19.0.77 p2",
        "port set --enable-port-security --security-group own --disable p2",
    )
    shown = do(live, "port show p2")
    assert (len(shown["fixed_ips"]), shown["port_security_enabled"], shown["admin_state_up"]) == (
        1,
        True,
        False,
    )
    for filters in (
        "--network wires --tags x", "--mac-address fa:16:3e:aa:bb:cc", "--device-id d1", f"--security-group {shown['security_group_ids'][0]}",
        "--device-owner compute:me --long", f"--fixed-ip ip-address={shown['fixed_ips'][0]['ip_address']}",
    ):  # fmt: skip
        assert names(do(live, f"port list {filters}")) == ["p2"], filters
    assert "still in use" in refused(live, "network delete wires")
    do(live, "port delete p2", "network delete wires", "security group delete own")


def test_a_router_between_networks_and_the_outside(live: Live) -> None:
    do(
        live,
        "network create inner",
        "subnet create --network inner --subnet-range 10.29.0.0/24 inner-4",
        "network create other",
        "subnet create --network other --subnet-range 10.30.0.0/24 other-4",
        "router create --description gate --tag r gate",
        "router set --external-gateway public gate",
        "router add subnet gate inner-4",
        "port create --network other --fixed-ip subnet=other-4,ip-address=10.30.0.9 --disable-port-security leg",
        "router add port gate leg",
        "router set --route destination=10.31.0.0/24,gateway=10.30.0.50 gate",
        "router add route --route destination=10.32.0.0/24,gateway=10.30.0.51 gate",
    )
    shown = do(live, "router show gate")
    assert {port["ip_address"] for port in shown["interfaces_info"]} == {"10.29.0.1", "10.30.0.9"}
    assert len(shown["routes"]) == 2
    assert shown["external_gateway_info"]["enable_snat"] is True
    assert names(do(live, "router list --name gate --long --tags r")) == ["gate"]
    assert len(do(live, "port list --router gate")) == 2
    do(live, "port create --network inner plug")
    made = do(live, "floating ip create --port plug --description here --tag f public")
    address = made["floating_ip_address"]
    assert "required by one or more floating IPs" in refused(live, "router remove subnet gate inner-4")
    assert [
        f["Port"] for f in do(live, f"floating ip list --router gate --floating-ip-address {address}")
    ] == [made["port_id"]]
    do(live, f"floating ip unset --port {address}", f"floating ip set --port plug --tag g {address}")
    assert do(live, f"floating ip show {address}")["status"] == "ACTIVE"
    do(
        live,
        f"floating ip delete {address}",
        "router remove route --route destination=10.32.0.0/24,gateway=10.30.0.51 gate",
        "router unset --route destination=10.31.0.0/24,gateway=10.30.0.50 gate",
        "router remove port gate leg",
        "router remove subnet gate inner-4",
        "router unset --external-gateway gate",
        "router delete gate",
        "port delete plug",
        "network delete inner other",
    )


def test_security_groups_and_their_rules(live: Live) -> None:
    assert do(live, "security group create --description d --stateless --tag s doors")["stateful"] is False
    do(live, "security group set --name gates --stateful doors")
    for options, wanted in (
        (
            "--protocol tcp --dst-port 80:90 --remote-ip 10.0.0.0/8",
            {"port_range_max": 90, "direction": "ingress"},
        ),
        ("--protocol udp --dst-port 53 --egress", {"direction": "egress", "port_range_min": 53}),
        ("--protocol icmp --icmp-type 8 --icmp-code 0", {"port_range_min": 8, "port_range_max": 0}),
        ("--ethertype IPv6 --protocol ipv6-icmp --description six", {"ether_type": "IPv6"}),
        ("--protocol tcp --dst-port 22 --remote-group gates", {"protocol": "tcp"}),
        ("--protocol 132", {"protocol": "132"}),
    ):
        made = do(live, f"security group rule create {options} gates")
        assert {name: made[name] for name in wanted} == wanted, options
    again = refused(live, "security group rule create --protocol 132 gates")
    assert "Security group rule already exists" in again
    assert len(do(live, "security group rule list --ingress --protocol tcp gates")) == 2
    (six,) = do(live, "security group rule list --protocol ipv6-icmp --ingress --long gates")
    do(live, f"security group rule delete {six['ID']}")
    assert len(do(live, "security group show gates")["rules"]) == 7
    assert names(do(live, "security group list --tags s")) == ["gates"]
    do(live, "security group unset --tag s gates", "security group delete gates")
    assert "removing default security group" in refused(live, "security group delete default")


def test_pools_scopes_and_what_projects_share(live: Live) -> None:
    do(
        live,
        "address scope create --ip-version 4 ours",
        "subnet pool create --pool-prefix 10.40.0.0/16 --default-prefix-length 26 --min-prefix-length 20 "
        "--max-prefix-length 28 --address-scope ours --description d --tag p many",
        "network create cut",
    )
    assert do(live, "subnet create --network cut --subnet-pool many first")["cidr"] == "10.40.0.0/26"
    assert do(live, "subnet create --network cut --subnet-pool many --prefix-length 28 second")["cidr"] == (
        "10.40.0.64/28"
    )
    do(
        live,
        "subnet pool set --pool-prefix 10.41.0.0/16 --default-prefix-length 24 many",
        "address scope set --name all ours",
    )
    assert do(live, "subnet pool show many")["prefixes"] == ["10.40.0.0/15"]
    assert names(do(live, "subnet pool list --address-scope all --no-share --tags p")) == ["many"]
    assert names(do(live, "address scope list --ip-version 4")) == ["all"]
    assert "existing allocations" in refused(live, "subnet pool delete many")
    rule = do(
        live,
        "network rbac create --type network --action access_as_shared --target-project ngc253 cut",
        user="root",
    )
    assert "cut" in names(do(live, "network list", user="bob"))
    do(live, "port create --network cut guest", user="bob")
    assert "other objects depend on it" in refused(live, f"network rbac delete {rule['id']}", user="root")
    do(live, "port delete guest", user="bob")
    assert [
        r["ID"] for r in do(live, "network rbac list --type network --action access_as_shared", user="root")
    ] == [rule["id"]]
    do(live, f"network rbac delete {rule['id']}", user="root")
    assert "cut" not in names(do(live, "network list", user="bob"))
    do(live, "network delete cut", "subnet pool delete many", "address scope delete all")


def test_quotas_and_what_there_is(live: Live) -> None:
    do(live, "quota set --networks 7 --floating-ips 3 m51", user="root")
    shown = {row["Resource"]: row["Limit"] for row in do(live, "quota show --network m51", user="root")}
    assert (shown["networks"], shown["floating_ips"]) == (7, 3)
    used = {row["Resource"]: row["In Use"] for row in do(live, "quota show --network --usage")}
    assert used["networks"] == 1
    do(live, "quota delete --network m51", user="root")
    assert "m51-net" in {row["Network Name"] for row in do(live, "ip availability list", user="root")}
    assert do(live, "ip availability show m51-net", user="root")["total_ips"] == 253
    aliases = {row["Alias"] for row in do(live, "extension list --network")}
    assert {"standard-attr-tag", "rbac-policies", "subnet_allocation", "security-group"} <= aliases
    assert do(live, "extension show router")["alias"] == "router"
    zones = do(live, "availability zone list --network --long")
    assert {row["Zone Resource"] for row in zones} == {"network", "router"}
    assert do(live, "network service provider list")[0]["Service Type"] == "L3_ROUTER_NAT"
    assert do(live, "network auto allocated topology create --or-show")["id"]
