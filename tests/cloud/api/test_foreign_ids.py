"""What belongs to another project cannot be used for one's own. That it is not there on any route is tried with the policy."""

from concurrent.futures import ThreadPoolExecutor

import pytest

GROUP = {"security_group": {"name": "mine"}}


@pytest.fixture
def theirs(stage, ada):
    """One of each kind, of ada's project, by collection."""
    server = ada.up(metadata={"k": "v"}, tags=["t"])
    public = ada.ok("GET", "/network/v2.0/networks?router:external=True")["networks"][0]["id"]
    port = ada.ok("GET", f"/network/v2.0/ports?device_id={server}")["ports"][0]
    wish = {"floating_network_id": public, "port_id": port["id"]}
    group = ada.ok("POST", "/network/v2.0/security-groups", GROUP)["security_group"]
    return {
        "server": server,
        "image": ada.image(),
        "public": public,
        "networks": port["network_id"],
        "subnets": port["fixed_ips"][0]["subnet_id"],
        "ports": port["id"],
        "routers": ada.ok("GET", "/network/v2.0/routers")["routers"][0]["id"],
        "floatingips": ada.ok("POST", "/network/v2.0/floatingips", {"floatingip": wish})["floatingip"]["id"],
        "security-groups": group["id"],
        "security-group-rules": group["security_group_rules"][0]["id"],
    }


def test_foreign_parts_cannot_be_used_for_one_s_own(bob, theirs):
    bob.ok("GET", "/network/v2.0/networks")
    own = bob.ok("GET", "/network/v2.0/routers")["routers"][0]["id"]
    group = bob.ok("POST", "/network/v2.0/security-groups", GROUP)["security_group"]["id"]
    wishes = [
        ("POST", "/ports", {"port": {"network_id": theirs["networks"]}}),
        ("POST", "/subnets", {"subnet": {"network_id": theirs["networks"], "cidr": "10.9.0.0/24", "ip_version": 4}}),
        ("PUT", f"/routers/{own}/add_router_interface", {"subnet_id": theirs["subnets"]}),
        ("PUT", f"/routers/{own}/add_router_interface", {"port_id": theirs["ports"]}),
        ("POST", "/floatingips", {"floatingip": {"floating_network_id": theirs["public"], "port_id": theirs["ports"]}}),
        (
            "POST",
            "/security-group-rules",
            {"security_group_rule": {"security_group_id": theirs["security-groups"], "direction": "ingress"}},
        ),
        (
            "POST",
            "/security-group-rules",
            {
                "security_group_rule": {
                    "security_group_id": group,
                    "direction": "ingress",
                    "remote_group_id": theirs["security-groups"],
                }
            },
        ),
    ]  # fmt: skip
    for method, path, body in wishes:
        answer = bob.call(method, f"/network/v2.0{path}", body)
        assert answer.status_code == 404, f"{path}: {answer.status_code} {answer.text}"
    assert bob.ok("GET", "/network/v2.0/floatingips")["floatingips"] == [], "nothing was taken on the way"


@pytest.mark.parametrize(
    ("wish", "of"),
    [
        ("networks", "ports"),
        ("networks", "networks"),
        ("security_groups", "security-groups"),
        ("imageRef", "image"),
    ],
)
def test_no_server_is_built_with_foreign_parts(bob, theirs, wish, of):
    value = {
        "ports": [{"port": theirs["ports"]}],
        "networks": [{"uuid": theirs["networks"]}],
        "security-groups": [{"name": theirs["security-groups"]}],
        "image": theirs["image"],
    }[of]
    server = {"name": "x", "imageRef": bob.image(), "flavorRef": "c1-1gb-5", "networks": "auto", wish: value}
    answer = bob.call("POST", "/compute/v2.1/servers", {"server": server})
    assert answer.status_code in {400, 404}, answer.text
    assert bob.used() == (0, 0, 0)


def test_two_servers_at_once_do_not_pass_a_quota_for_one(member_of):
    cora = member_of("m33", "cora", cores=1)
    image = cora.image()
    wish = {"server": {"name": "x", "imageRef": image, "flavorRef": "c1-1gb-5", "networks": "auto"}}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: cora.call("POST", "/compute/v2.1/servers", wish), range(6)))
    assert sorted(answer.status_code for answer in answers) == [202, 403, 403, 403, 403, 403]
    assert cora.used()[:2] == (1, 1)
