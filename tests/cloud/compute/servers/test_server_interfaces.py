"""Network cards of servers: plugged, pulled, with their addresses and groups."""

from dataclasses import replace

import pytest

from armillary.base.ids import PortId, ServerId
from armillary.cloud import store
from armillary.cloud.compute.model import DeviceState, Interface
from armillary.cloud.compute.store import INTERFACES


def url(server_id, port_id=""):
    return f"/compute/v2.1/servers/{server_id}/os-interface{'/' if port_id else ''}{port_id}"


def plug(user, server_id, **wish):
    return user.call("POST", url(server_id), {"interfaceAttachment": wish})


def cards(stage, server_id):
    return [port["id"] for port in stage.machines.spec_of(server_id)["ports"]]


@pytest.fixture
def network(ada):
    """A second network of Ada's, with a subnet."""
    made = ada.ok("POST", "/network/v2.0/networks", {"network": {"name": "lab"}})["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": "192.168.9.0/24"}
    ada.ok("POST", "/network/v2.0/subnets", {"subnet": subnet})
    return made


@pytest.fixture
def port(ada, network):
    return ada.ok("POST", "/network/v2.0/ports", {"port": {"network_id": network}})["port"]["id"]


def test_a_card_on_a_network_is_plugged_into_the_running_machine(stage, ada, server_id, network):
    answer = plug(ada, server_id, net_id=network, fixed_ips=[{"ip_address": "192.168.9.77"}], tag="lab")
    assert answer.status_code == 200
    card = answer.json()["interfaceAttachment"]
    assert (card["net_id"], card["fixed_ips"][0]["ip_address"], card["tag"]) == (
        network,
        "192.168.9.77",
        "lab",
    )
    assert cards(stage, server_id)[1] == card["port_id"]
    assert ada.server(server_id)["addresses"]["lab"][0]["addr"] == "192.168.9.77"
    assert len(ada.ok("GET", url(server_id))["interfaceAttachments"]) == 2
    assert ada.call("DELETE", url(server_id, card["port_id"])).status_code == 202
    stage.settle()
    assert card["port_id"] not in cards(stage, server_id)
    assert ada.call("GET", f"/network/v2.0/ports/{card['port_id']}").status_code == 404


def test_a_port_that_the_user_brought_is_only_let_go(stage, ada, server_id, port):
    assert plug(ada, server_id, port_id=port).status_code == 200
    assert plug(ada, server_id, port_id=port).status_code == 409
    assert ada.call("DELETE", url(server_id, port)).status_code == 202
    stage.settle()
    shown = ada.ok("GET", f"/network/v2.0/ports/{port}")["port"]
    assert (shown["device_id"], shown["status"]) == ("", "DOWN")


def test_a_card_that_the_machine_does_not_take_leaves_no_port(stage, ada, server_id, network, port):
    for wish in ({"net_id": network}, {"port_id": port}):
        stage.machines.fail_next("plug_port", "no slot")
        assert plug(ada, server_id, **wish).status_code == 500
    assert len(ada.ok("GET", url(server_id))["interfaceAttachments"]) == 1
    ports = ada.ok("GET", f"/network/v2.0/ports?network_id={network}")["ports"]
    assert [(p["id"], p["device_id"]) for p in ports if p["device_owner"] != "network:dhcp"] == [(port, "")]


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"net_id": "4f1e9c2e-0000-4000-8000-000000000000"}, 404, "could not be found"),
        ({"port_id": "4f1e9c2e-0000-4000-8000-000000000000"}, 404, "could not be found"),
        ({"fixed_ips": [{"ip_address": "10.0.0.9"}]}, 400, "Must input network_id when request IP address"),
        ({"net_id": "4f1e9c2e-0000-4000-8000-000000000000", "port_id": "4f1e9c2e-0000-4000-8000-000000000000"}, 400,
         "Must not input both network_id and port_id"),
    ],
)  # fmt: skip
def test_cards_that_cannot_be_had_are_refused(ada, server_id, wish, status, words):
    answer = plug(ada, server_id, **wish)
    assert answer.status_code == status
    assert words in answer.text


def test_somebody_else_s_card_is_not_there(ada, bob, server_id):
    (card,) = ada.ok("GET", url(server_id))["interfaceAttachments"]
    assert bob.call("GET", url(server_id, card["port_id"])).status_code == 404
    assert bob.call("DELETE", url(server_id, card["port_id"])).status_code == 404


def test_a_plugging_that_a_kill_interrupted_is_finished(stage, ada, server_id, port):
    with stage.cloud.network.desk.writing() as connection:
        record = store.PORTS.get(connection, port)
        store.PORTS.save(connection, replace(record, device_id=server_id, device_owner="compute:nova"))
        card = Interface(
            port_id=PortId(port), server_id=ServerId(server_id), tag=None, state=DeviceState.ATTACHING
        )
        INTERFACES.add(connection, card)
    stage.restart()
    stage.cloud.reconcile()
    stage.settle()
    assert port in cards(stage, server_id)


def test_a_pulling_that_a_kill_interrupted_is_finished(stage, ada, server_id, port):
    plug(ada, server_id, port_id=port)
    with stage.cloud.network.desk.writing() as connection:
        card = INTERFACES.get(connection, port)
        INTERFACES.save(connection, replace(card, state=DeviceState.DETACHING))
    stage.restart()
    stage.cloud.reconcile()
    stage.settle()
    assert port not in cards(stage, server_id)


def test_older_calls_give_and_take_addresses(stage, ada, server_id):
    old = ada.at("2.43")
    (card,) = ada.ok("GET", url(server_id))["interfaceAttachments"]
    assert old.act(server_id, "addFixedIp", {"networkId": card["net_id"]}).status_code == 202
    addresses = [a["addr"] for a in ada.server(server_id)["addresses"]["m51-net"]]
    assert len(addresses) == 2
    assert old.act(server_id, "removeFixedIp", {"address": addresses[1]}).status_code == 202
    assert [a["addr"] for a in ada.server(server_id)["addresses"]["m51-net"]] == addresses[:1]
    assert old.act(server_id, "removeFixedIp", {"address": addresses[1]}).status_code == 400
    assert ada.at("2.44").act(server_id, "addFixedIp", {"networkId": card["net_id"]}).status_code == 404


def test_older_calls_bind_and_loose_floating_ips(stage, ada, server_id):
    public = ada.ok("GET", "/network/v2.0/networks?router:external=True")["networks"][0]["id"]
    made = ada.ok("POST", "/network/v2.0/floatingips", {"floatingip": {"floating_network_id": public}})
    address, old = made["floatingip"]["floating_ip_address"], ada.at("2.43")
    assert old.act(server_id, "addFloatingIp", {"address": address}).status_code == 202
    assert address in str(ada.server(server_id)["addresses"])
    assert old.act(server_id, "removeFloatingIp", {"address": address}).status_code == 202
    assert old.act(server_id, "removeFloatingIp", {"address": address}).status_code == 409
    assert old.act(server_id, "addFloatingIp", {"address": "127.99.0.1"}).status_code == 404


def test_a_group_holds_on_all_ports_at_once(stage, ada, server_id):
    ada.ok("POST", "/network/v2.0/security-groups", {"security_group": {"name": "web"}})
    assert ada.act(server_id, "addSecurityGroup", {"name": "web"}).status_code == 202
    assert {g["name"] for g in ada.server(server_id)["security_groups"]} == {"default", "web"}
    assert ada.act(server_id, "removeSecurityGroup", {"name": "web"}).status_code == 202
    assert ada.act(server_id, "removeSecurityGroup", {"name": "web"}).status_code == 404
