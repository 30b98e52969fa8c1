"""Flavors and key pairs, as Nova has them."""

from __future__ import annotations

import pytest
from nova_talk import V, made, told

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 ada@desk"


# flavors


def test_a_flavor_s_life(root):
    wish = {"name": "big", "ram": 64, "vcpus": 1, "disk": 1, "id": "b1"}
    assert made(root, "POST", "/flavors", {"flavor": wish})["flavor"]["extra_specs"] == {}
    assert told(root, "POST", "/flavors", {"flavor": wish}) == (409, "Flavor with ID b1 already exists.")
    assert told(root, "POST", "/flavors", {"flavor": wish | {"id": "b2"}}) == (
        409,
        "Flavor with name big already exists.",
    )
    described = made(root, "PUT", "/flavors/b1", {"flavor": {"description": "hi"}})
    assert described["flavor"]["description"] == "hi"
    assert told(root, "PUT", "/flavors/b1", {"flavor": {"description": "x"}}, "2.54")[0] == 404
    made(root, "POST", "/flavors/b1/os-extra_specs", {"extra_specs": {"a": "b", "hw:cpu_policy": "shared"}})
    assert made(root, "PUT", "/flavors/b1/os-extra_specs/a", {"a": "c"}) == {"a": "c"}
    assert told(root, "PUT", "/flavors/b1/os-extra_specs/a", {"z": "c"}) == (
        400,
        "Request body and URI mismatch",
    )
    assert made(root, "GET", "/flavors/b1")["flavor"]["extra_specs"] == {"a": "c", "hw:cpu_policy": "shared"}
    assert root.call("DELETE", f"{V}/flavors/b1/os-extra_specs/a").status_code == 200
    assert root.call("DELETE", f"{V}/flavors/b1").status_code == 202
    assert told(root, "GET", "/flavors/b1") == (404, "Flavor b1 could not be found.")


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ({"hw:cpu_policy": "bogus"}, "Validation failed; 'bogus' is not one of: dedicated, shared, mixed."),
        ({"hw:foo": "1"}, "Validation failed; extra spec 'hw:foo' does not appear to be a valid extra spec."),
    ],
)
def test_extra_specs_of_nova_s_own_are_checked_since_2_86(root, specs, words):
    path = "/flavors/c1-1gb-5/os-extra_specs"
    assert told(root, "POST", path, {"extra_specs": specs}) == (400, words)
    assert made(root, "POST", path, {"extra_specs": specs}, "2.85") == {"extra_specs": specs}
    (key,) = specs
    root.call("DELETE", f"{V}{path}/{key}")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ram": 0}, "Invalid input for field/attribute ram"),
        ({"ram": "64x"}, "Invalid input for field/attribute ram"),
        ({"id": "bad id!/"}, "Invalid input for field/attribute id"),
        ({"name": ""}, "Invalid input for field/attribute name"),
        ({"bogus": 1}, "Invalid input for field/attribute flavor"),
    ],
)
def test_what_no_flavor_can_be(root, wrong, words):
    wish = {"name": "odd", "ram": 64, "vcpus": 1, "disk": 1}
    status, message = told(root, "POST", "/flavors", {"flavor": wish | wrong})
    assert (status, message.startswith(words)) == (400, True), message


def test_flavors_are_sorted_paged_and_filtered(ada):
    def ids(query):
        return [f["id"] for f in made(ada, "GET", f"/flavors?{query}")["flavors"]]

    assert ids("sort_key=memory_mb&sort_dir=desc&limit=2") == ["c8-16gb-40", "c4-8gb-20"]
    assert ids("minRam=8192") == ["c4-8gb-20", "c8-16gb-40"]
    assert ids("minDisk=40") == ["c8-16gb-40"]
    assert ids("sort_key=flavorid&marker=c2-2gb-10") == ["c4-8gb-20", "c8-16gb-40"]
    page = made(ada, "GET", "/flavors?limit=1")
    assert page["flavors_links"][0]["href"].endswith(f"?limit=1&marker={page['flavors'][0]['id']}")
    assert told(ada, "GET", "/flavors?minRam=x") == (400, "Invalid minRam filter [x]")
    assert told(ada, "GET", "/flavors?marker=nope") == (400, "marker [nope] not found")
    assert told(ada, "GET", "/flavors?bogus=1")[0] == 400
    assert ada.at("2.74").call("GET", f"{V}/flavors?bogus=1").status_code == 200


def test_a_public_flavor_has_no_access_list(root, ada):
    path = "/flavors/c1-1gb-5"
    assert told(root, "GET", f"{path}/os-flavor-access") == (
        404,
        "Access list not available for public flavors.",
    )
    body = {"addTenantAccess": {"tenant": ada.project.id}}
    assert told(root, "POST", f"{path}/action", body) == (409, "Can not add access to a public flavor.")


# key pairs


def test_key_pairs_are_made_listed_in_pages_and_deleted(ada):
    for name in ("k1", "k2"):
        answer = ada.call("POST", f"{V}/os-keypairs", {"keypair": {"name": name, "public_key": KEY}})
        assert answer.status_code == 201
    page = made(ada, "GET", "/os-keypairs?limit=1")
    assert [p["keypair"]["name"] for p in page["keypairs"]] == ["k1"]
    assert page["keypairs_links"][0]["href"].endswith("limit=1&marker=k1")
    assert [p["keypair"]["name"] for p in made(ada, "GET", "/os-keypairs?marker=k1")["keypairs"]] == ["k2"]
    assert told(ada, "GET", "/os-keypairs?marker=nope") == (400, "Marker nope could not be found.")
    assert "type" not in made(ada, "GET", "/os-keypairs/k1", version="2.1")["keypair"]
    assert ada.at("2.1").call("DELETE", f"{V}/os-keypairs/k1").status_code == 202
    assert ada.call("DELETE", f"{V}/os-keypairs/k2").status_code == 204
    assert told(ada, "GET", "/os-keypairs/k1") == (404, f"Keypair k1 not found for user {ada.person.id}")


def test_key_pairs_are_generated_until_2_91(ada):
    assert told(ada, "POST", "/os-keypairs", {"keypair": {"name": "gen"}})[0] == 400
    pair = made(ada, "POST", "/os-keypairs", {"keypair": {"name": "gen"}}, "2.91")["keypair"]
    assert "PRIVATE KEY" in pair["private_key"]
    assert "private_key" not in made(ada, "GET", "/os-keypairs/gen")["keypair"]


def test_certificates_are_key_pairs_too(ada):
    pair = made(ada, "POST", "/os-keypairs", {"keypair": {"name": "win", "type": "x509"}}, "2.60")["keypair"]
    assert pair["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    assert (pair["type"], pair["fingerprint"].count(":")) == ("x509", 19)
    certificate = pair["public_key"]
    again = {"keypair": {"name": "win2", "type": "x509", "public_key": certificate}}
    assert made(ada, "POST", "/os-keypairs", again)["keypair"]["fingerprint"] == pair["fingerprint"]
    junk = {"keypair": {"name": "win3", "type": "x509", "public_key": "junk"}}
    assert told(ada, "POST", "/os-keypairs", junk)[0] == 400


def test_names_of_key_pairs_took_at_and_dot_with_2_92(ada):
    wish = {"keypair": {"name": "a.b@c", "public_key": KEY}}
    assert told(ada, "POST", "/os-keypairs", wish, "2.91")[1].startswith(
        "An invalid 'name' value was provided."
    )
    assert made(ada, "POST", "/os-keypairs", wish)["keypair"]["name"] == "a.b@c"
    assert told(ada, "POST", "/os-keypairs", wish) == (409, "Key pair 'a.b@c' already exists.")


def test_key_pairs_of_others_are_for_administrators(ada, bob, root):
    assert told(bob, "GET", f"/os-keypairs?user_id={ada.person.id}")[0] == 403
    wish = {"keypair": {"name": "from-root", "public_key": KEY, "user_id": ada.person.id}}
    assert told(bob, "POST", "/os-keypairs", wish)[0] == 403
    assert told(root, "POST", "/os-keypairs", wish, "2.2")[0] == 400
    assert made(root, "POST", "/os-keypairs", wish)["keypair"]["user_id"] == ada.person.id
    assert (
        made(root, "GET", f"/os-keypairs/from-root?user_id={ada.person.id}")["keypair"]["name"] == "from-root"
    )
