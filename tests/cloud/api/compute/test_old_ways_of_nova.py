"""What Nova passes on to other services or no longer has, and its doors: versions, extensions, bad requests."""

from __future__ import annotations

import pytest
from nova_talk import V, made, told


def test_security_groups_by_way_of_nova(ada, bob):
    def at(user, method, path, body=None):
        return made(user, method, path, body, "2.1")

    group = at(ada, "POST", "/os-security-groups", {"security_group": {"name": "web", "description": "d"}})
    group_id = group["security_group"]["id"]
    rule = {
        "parent_group_id": group_id,
        "ip_protocol": "tcp",
        "from_port": 80,
        "to_port": 80,
        "cidr": "10.0.0.0/8",
    }
    opened = at(ada, "POST", "/os-security-group-rules", {"security_group_rule": rule})["security_group_rule"]
    assert (opened["from_port"], opened["ip_range"]) == (80, {"cidr": "10.0.0.0/8"})
    ping = {
        "parent_group_id": group_id,
        "ip_protocol": "icmp",
        "from_port": -1,
        "to_port": -1,
        "group_id": group_id,
    }
    opened = at(ada, "POST", "/os-security-group-rules", {"security_group_rule": ping})["security_group_rule"]
    assert (opened["from_port"], opened["group"]["name"]) == (-1, "web")
    for wrong, words in (
        ({"ip_protocol": "bogus"}, "Invalid IP protocol bogus."),
        ({"to_port": 79}, "Invalid port range 80:79. Former value cannot be greater than the later"),
        ({"cidr": "zz"}, "zz is not a valid IP network."),
        ({}, f"This rule already exists in group {group_id}"),
    ):
        body = {"security_group_rule": rule | wrong}
        assert told(ada, "POST", "/os-security-group-rules", body, "2.1") == (400, words)
    renamed = {"security_group": {"name": "www", "description": "e"}}
    assert at(ada, "PUT", f"/os-security-groups/{group_id}", renamed)["security_group"]["name"] == "www"
    assert told(bob, "GET", f"/os-security-groups/{group_id}", None, "2.1")[0] == 404
    assert told(ada, "GET", "/os-security-groups/nope", None, "2.1") == (
        400,
        "Security group id should be uuid",
    )
    deleted = ada.at("2.1").call("DELETE", f"{V}/os-security-group-rules/{opened['id']}")
    assert deleted.status_code == 202
    assert ada.at("2.1").call("DELETE", f"{V}/os-security-groups/{group_id}").status_code == 202


def test_images_by_way_of_nova(ada, bob):
    image_id = ada.image("seen by nova")
    image = made(ada, "GET", f"/images/{image_id}", version="2.1")["image"]
    assert (image["status"], image["progress"], image["OS-EXT-IMG-SIZE:size"]) == ("ACTIVE", 100, 1024)
    assert [i["name"] for i in made(ada, "GET", "/images?limit=1", version="2.1")["images"]] == [
        "seen by nova"
    ]
    metadata = {"metadata": {"colour": "blue"}}
    assert made(ada, "POST", f"/images/{image_id}/metadata", metadata, "2.1") == metadata
    assert made(ada, "PUT", f"/images/{image_id}/metadata/colour", {"meta": {"colour": "red"}}, "2.1")
    assert made(ada, "GET", f"/images/{image_id}/metadata/colour", version="2.1") == {
        "meta": {"colour": "red"}
    }
    assert made(ada, "PUT", f"/images/{image_id}/metadata", {"metadata": {"a": "b"}}, "2.1") == {
        "metadata": {"a": "b"}
    }
    assert ada.at("2.1").call("DELETE", f"{V}/images/{image_id}/metadata/a").status_code == 204
    assert told(bob, "GET", f"/images/{image_id}", None, "2.1") == (404, "Image not found.")
    assert ada.at("2.1").call("DELETE", f"{V}/images/{image_id}").status_code == 204
    assert told(ada, "GET", f"/images/{image_id}", None, "2.1") == (404, "Image not found.")


def test_networks_and_floating_ips_by_way_of_nova(ada):
    nets = made(ada, "GET", "/os-networks", version="2.1")["networks"]
    assert "public" in {net["label"] for net in nets}
    assert (
        made(ada, "GET", f"/os-tenant-networks/{nets[0]['id']}", version="2.1")["network"]["cidr"] == "None"
    )
    assert told(ada, "GET", "/os-networks/nope", None, "2.1") == (404, "Network not found")
    ip = made(ada, "POST", "/os-floating-ips", {"pool": "public"}, "2.1")["floating_ip"]
    assert (ip["pool"], ip["instance_id"]) == ("public", None)
    assert made(ada, "GET", f"/os-floating-ips/{ip['id']}", version="2.1")["floating_ip"] == ip
    assert made(ada, "GET", "/os-floating-ip-pools", version="2.1") == {
        "floating_ip_pools": [{"name": "public"}]
    }
    assert ada.at("2.1").call("DELETE", f"{V}/os-floating-ips/{ip['id']}").status_code == 202
    assert told(ada, "POST", "/os-floating-ips", {"pool": "zz"}, "2.1") == (
        404,
        "Floating IP pool not found.",
    )


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("/os-security-groups", 35), ("/images", 35), ("/images/detail", 35), ("/os-networks", 35),
        ("/os-tenant-networks", 35), ("/os-floating-ips", 35), ("/os-floating-ip-pools", 35), ("/os-volumes", 35),
        ("/os-volumes/detail", 35), ("/os-snapshots", 35), ("/os-hosts", 42),
    ],
)  # fmt: skip
def test_each_proxy_ends_with_its_version(root, path, last):
    assert root.at(f"2.{last}").call("GET", V + path).status_code == 200
    assert told(root, "GET", path, None, f"2.{last + 1}") == (404, "The resource could not be found.")


@pytest.mark.parametrize(
    "path",
    [
        "/os-agents",
        "/os-cells",
        "/os-cloudpipe",
        "/os-fping/x",
        "/os-certificates/root",
        "/os-fixed-ips/1.2.3.4",
    ],
)
def test_what_nova_took_away_is_gone(ada, path):
    words = "This resource is no longer available. No forwarding address is given."
    assert told(ada, "GET", path) == (410, words)


def test_unknown_paths_and_methods_are_pages_of_html(ada):
    for method, path in (
        ("GET", "/bogus"),
        ("PUT", "/servers"),
        ("DELETE", "/flavors"),
        ("GET", "/os-consoles"),
    ):
        answer = ada.call(method, V + path)
        assert (answer.status_code, answer.headers["content-type"][:9]) == (404, "text/html")


def test_bodies_that_are_none(ada):
    def send(body):
        headers = {"X-Auth-Token": ada.token, "Content-Type": "application/json"}
        return ada.stage.http.post(f"{V}/os-keypairs", content=body, headers=headers)

    assert send("{bad").json() == {"badRequest": {"code": 400, "message": "Malformed request body"}}
    assert send("[]").status_code == 400
    assert send("").status_code == 400
    assert send('{"keypair":{"name":"' + "x" * (1 << 20) + '"}}').status_code == 413


def test_what_other_services_tell_of_servers_nobody_knows_fails(root, ada):
    event = {"name": "network-changed", "server_uuid": "3df201cf-2451-44f2-8d25-a4ca826fc1f3"}
    answer = root.call("POST", f"{V}/os-server-external-events", {"events": [event]})
    assert (answer.status_code, answer.json()["events"][0]["code"]) == (207, 404)
    assert told(root, "POST", "/os-server-external-events", {"events": []})[0] == 400
    assert told(ada, "POST", "/os-server-external-events", {"events": [event]})[0] == 403


def test_the_list_of_extensions(ada):
    extensions = made(ada, "GET", "/extensions")["extensions"]
    assert len(extensions) == 99
    assert made(ada, "GET", "/extensions/os-keypairs")["extension"]["name"] == "Keypairs"
    assert told(ada, "GET", "/extensions/nope")[0] == 404


def test_version_documents_need_no_token(common_stage):
    get = common_stage.http.get
    assert [v["id"] for v in get("/compute/").json()["versions"]] == ["v2.0", "v2.1"]
    assert get("/compute/v2.1/").json()["version"]["version"] == "2.93"
    assert get("/compute/v2/").json()["version"]["status"] == "SUPPORTED"
