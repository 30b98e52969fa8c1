"""The stock `openstack` command asks for all of compute that is not done to one server."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.interop

JSON = ("-f", "json")


@pytest.fixture(scope="module")
def three(live):
    """Three servers that run."""
    image = ("image", "create", "base", "--disk-format", "raw", "--container-format", "bare")
    content = live.home / "base.raw"
    content.write_bytes(b"\0" * 4096)
    live.ok(*image, "--file", str(content))
    create = (
        "server",
        "create",
        "--image",
        "base",
        "--flavor",
        "c1-0.5gb-3",
        "--network",
        "m51-net",
        "--wait",
    )
    live.ok("network", "list")
    for name in ("alpha", "beta", "gamma"):
        live.ok(*create, name)
    return live


def names(live, *words, user="ada"):
    return [row["Name"] for row in live.ok("server", "list", *words, *JSON, user=user)]


def test_servers_are_listed_by_what_they_are(three):
    assert names(three, "--sort-column", "Name", "--sort-ascending") == ["alpha", "beta", "gamma"]
    assert names(three, "--limit", "2") == ["gamma", "beta"]
    beta = three.ok("server", "show", "beta", *JSON)["id"]
    assert names(three, "--marker", beta) == ["alpha"]
    assert names(three, "--name", "^al") == ["alpha"]
    assert names(three, "--status", "SHUTOFF") == []
    assert len(names(three, "--flavor", "c1-0.5gb-3", "--image", "base")) == 3
    (address,) = three.ok("server", "show", "beta", *JSON)["addresses"]["m51-net"]
    assert names(three, "--ip", f"^{address}$") == ["beta"]
    assert names(three, "--changes-since", "2099-01-01T00:00:00Z") == []
    assert len(names(three, "--all-projects", "--host", "armillary", user="root")) == 3
    assert "Policy doesn't allow" in three.refused("server", "list", "--all-projects")


def test_a_server_is_described_tagged_and_marked(three):
    live = three
    live.ok("server", "set", "--property", "run=7", "--description", "first", "--tag", "blue", "alpha")
    shown = live.ok("server", "show", "alpha", *JSON)
    assert (shown["properties"], shown["description"], shown["tags"]) == ({"run": "7"}, "first", ["blue"])
    assert names(live, "--tags", "blue") == ["alpha"]
    assert names(live, "--not-tags", "blue") == ["gamma", "beta"]
    live.ok("server", "unset", "--property", "run", "--tag", "blue", "alpha")
    shown = live.ok("server", "show", "alpha", *JSON)
    assert (shown["properties"], shown["tags"]) == ({}, [])
    live.ok("server", "set", "--name", "omega", "alpha")
    live.ok("server", "set", "--name", "alpha", "omega")
    assert live.ok("console", "log", "show", "alpha") is not None


def test_what_was_done_to_a_server_is_told(three):
    events = three.ok("server", "event", "list", "alpha", *JSON)
    assert [event["Action"] for event in events] == ["create"]
    request = events[0]["Request ID"]
    shown = three.ok("server", "event", "show", "alpha", request, *JSON)
    assert shown["events"][0]["result"] == "Success"


def test_flavors_are_an_administrator_s(live):
    make = (
        "flavor",
        "create",
        "tiny",
        "--id",
        "t1",
        "--ram",
        "128",
        "--disk",
        "1",
        "--vcpus",
        "1",
        "--private",
    )
    live.ok(*make, "--property", "a=b", "--project", "m51", user="root")
    assert live.ok("flavor", "show", "tiny", *JSON)["properties"] == {"a": "b"}
    live.ok(
        "flavor", "set", "tiny", "--property", "hw:cpu_policy=shared", "--description", "small", user="root"
    )
    live.ok("flavor", "unset", "tiny", "--property", "a", user="root")
    shown = live.ok("flavor", "show", "tiny", *JSON, user="root")
    assert (shown["properties"], shown["description"]) == ({"hw:cpu_policy": "shared"}, "small")
    live.ok("flavor", "unset", "tiny", "--project", "m51", user="root")
    live.refused("flavor", "show", "tiny")
    assert "tiny" in {f["Name"] for f in live.ok("flavor", "list", "--all", *JSON, user="root")}
    assert live.ok("flavor", "list", "--min-ram", "16384", *JSON)[0]["Name"] == "c8-16gb-40"
    live.ok("flavor", "delete", "tiny", user="root")
    assert "Policy doesn't allow" in live.refused("flavor", "create", "mine", "--ram", "1", "--disk", "1")


def test_a_key_pair_s_life(live):
    private = live.ok("keypair", "create", "desk")
    assert "PRIVATE KEY" in private
    assert live.ok("keypair", "show", "desk", *JSON)["type"] == "ssh"
    assert live.ok("keypair", "show", "desk", "--public-key").startswith("ssh-")
    assert [pair["Name"] for pair in live.ok("keypair", "list", *JSON)] == ["desk"]
    live.ok("keypair", "delete", "desk")


def test_a_server_group_s_life(live):
    live.ok("server", "group", "create", "apart", "--policy", "anti-affinity")
    shown = live.ok("server", "group", "show", "apart", *JSON)
    assert (shown["policy"], shown["members"]) == ("anti-affinity", [])
    assert [g["Name"] for g in live.ok("server", "group", "list", *JSON)] == ["apart"]
    live.ok("server", "group", "delete", "apart")


def test_figures_of_a_project(three):
    limits = {row["Name"]: row["Value"] for row in three.ok("limits", "show", "--absolute", *JSON)}
    assert (limits["total_instances_used"], limits["total_cores_used"]) == (3, 3)
    three.ok("quota", "set", "--server-groups", "5", "--instances", "12", "m51", user="root")
    quotas = {
        row["Resource"]: row["Limit"]
        for row in three.ok("quota", "show", "--compute", "m51", *JSON, user="root")
    }
    assert (quotas["instances"], quotas["server-groups"]) == (12, 5)
    assert len(three.ok("usage", "show", *JSON)["Servers"]) == 3
    (used,) = three.ok("usage", "list", *JSON, user="root")
    assert "CPU Hours" in used


def test_what_administrators_see_of_the_host(three):
    live = three
    assert [zone["Zone Name"] for zone in live.ok("availability", "zone", "list", "--compute", *JSON)] == [
        "nova"
    ]
    zones = live.ok("availability", "zone", "list", "--compute", "--long", *JSON, user="root")
    assert {zone["Host Name"] for zone in zones} == {"armillary"}
    services = live.ok("compute", "service", "list", *JSON, user="root")
    assert {service["Binary"] for service in services} == {"nova-scheduler", "nova-conductor", "nova-compute"}
    switch = ("compute", "service", "set", "armillary", "nova-compute")
    live.ok(*switch, "--disable", "--disable-reason", "repairs", user="root")
    (off,) = live.ok("compute", "service", "list", "--service", "nova-compute", "--long", *JSON, user="root")
    assert (off["Status"], off["Disabled Reason"]) == ("disabled", "repairs")
    live.ok(*switch, "--enable", user="root")
    assert live.ok("hypervisor", "list", *JSON, user="root")[0]["Hypervisor Hostname"] == "armillary"
    assert live.ok("hypervisor", "show", "armillary", *JSON, user="root")["state"] == "up"
    stats = live.ok("--os-compute-api-version", "2.87", "hypervisor", "stats", "show", *JSON, user="root")
    assert stats["running_vms"] == 3
    assert (
        live.ok("--os-compute-api-version", "2.42", "host", "list", *JSON, user="root")[-1]["Service"]
        == "compute"
    )


def test_an_aggregate_s_life(live):
    def run(*words):
        return live.ok("aggregate", *words, user="root")

    run("create", "fast", "--zone", "nova", "--property", "ssd=true")
    run("add", "host", "fast", "armillary")
    shown = run("show", "fast", *JSON)
    assert (shown["hosts"], shown["properties"]) == (["armillary"], {"ssd": "true"})
    run("unset", "--property", "ssd", "fast")
    run("remove", "host", "fast", "armillary")
    assert [aggregate["Name"] for aggregate in run("list", *JSON)] == ["fast"]
    run("delete", "fast")


def test_versions_are_negotiated(live):
    (nova,) = live.ok("versions", "show", "--service", "compute", "--status", "CURRENT", *JSON)
    assert (nova["Min Microversion"], nova["Max Microversion"]) == ("2.1", "2.93")
    assert live.ok("--os-compute-api-version", "2.1", "server", "list", *JSON) is not None
    assert "2.999" in live.refused("--os-compute-api-version", "2.999", "server", "list")
    assert live.ok("extension", "list", "--compute", *JSON)
