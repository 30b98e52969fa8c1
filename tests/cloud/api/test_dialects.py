"""Versions, request ids, and how each service says no."""

import pytest


def test_every_service_tells_its_versions_to_anybody(stage):
    get = stage.http.get
    assert get("/compute/").json()["versions"][1]["version"] == "2.93"
    assert get("/compute/v2.1").json()["version"]["min_version"] == "2.1"
    assert get("/compute/v2.1/").status_code == 200
    assert get("/network/").json()["versions"][0]["id"] == "v2.0"
    assert get("/volume/").status_code == 300
    assert get("/volume/v3/").status_code == 401, (
        "as Cinder, which tells only the versions at its root to anybody"
    )
    assert get("/identity/v3").json()["version"]["status"] == "stable"
    assert get("/").json()["cloud"] == "east"


@pytest.mark.parametrize("path", ["/compute/v2.1/servers", "/network/v2.0/networks", "/volume/v3/p/volumes"])
@pytest.mark.parametrize("token", [None, "bad"])
def test_without_a_good_token_it_is_the_middleware_s_401(stage, path, token):
    answer = stage.http.get(path, headers={"X-Auth-Token": token} if token else {})
    assert answer.status_code == 401
    assert answer.json()["error"]["title"] == "Unauthorized"
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test:9101/identity/v3"'
    assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("path", ["/compute/v2.1/nope", "/volume/nope", "/nope"])
def test_an_unknown_path_is_an_html_404(ada, path):
    answer = ada.call("GET", path)
    assert answer.status_code == 404
    assert "404 Not Found" in answer.text


def test_microversions_are_negotiated_as_nova_does(ada):
    def ask(version):
        return ada.call("GET", "/compute/v2.1/servers", **{"OpenStack-API-Version": version})

    assert ask("compute 2.60").headers["openstack-api-version"] == "compute 2.60"
    assert ask("compute latest").headers["openstack-api-version"] == "compute 2.93"
    assert ask("volume 3.5").headers["openstack-api-version"] == "compute 2.1"
    too_high = ask("compute 2.999")
    assert too_high.status_code == 406
    assert too_high.json()["computeFault"]["message"] == (
        "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.93."
    )
    malformed = ask("compute abc")
    assert malformed.status_code == 400
    assert "abc is of invalid format" in malformed.json()["badRequest"]["message"]


@pytest.mark.parametrize(
    ("version", "there", "not_there"),
    [
        ("2.1", [], ["locked", "description", "tags"]),
        ("2.26", ["locked", "description", "tags"], ["locked_reason", "server_groups"]),
        ("2.93", ["locked_reason", "server_groups", "OS-EXT-SRV-ATTR:hostname"], ["OS-EXT-SRV-ATTR:host"]),
    ],
)
def test_a_server_shows_what_its_microversion_has(ada, version, there, not_there):
    server = ada.at(version).server(ada.up())
    assert all(key in server for key in there)
    assert not any(key in server for key in not_there)


def test_a_flavor_is_a_reference_before_2_47_and_its_figures_since(ada):
    server_id = ada.up()
    assert ada.at("2.46").server(server_id)["flavor"]["id"] == "c1-1gb-5"
    assert ada.server(server_id)["flavor"]["original_name"] == "c1-1gb-5"


def test_flavors_include_canfar_s(ada):
    flavors = {f["name"]: f for f in ada.ok("GET", "/compute/v2.1/flavors/detail")["flavors"]}
    wanted = flavors["c2-2gb-10"]
    assert (wanted["vcpus"], wanted["ram"], wanted["disk"]) == (2, 2048, 10)
    assert wanted["OS-FLV-EXT-DATA:ephemeral"] == 10


def test_only_administrators_make_flavors(ada, root):
    wish = {"flavor": {"name": "tiny", "ram": 64, "vcpus": 1, "disk": 1}}
    assert ada.call("POST", "/compute/v2.1/flavors", wish).status_code == 403
    made = root.ok("POST", "/compute/v2.1/flavors", wish)["flavor"]
    assert root.call("POST", "/compute/v2.1/flavors", wish).status_code == 409
    assert ada.ok("GET", f"/compute/v2.1/flavors/{made['id']}")["flavor"]["name"] == "tiny"
    assert root.call("DELETE", f"/compute/v2.1/flavors/{made['id']}").status_code == 202
    assert ada.call("GET", f"/compute/v2.1/flavors/{made['id']}").status_code == 404


def test_a_flavor_that_is_not_public_is_for_the_projects_that_were_given_access(ada, root):
    wish = {"flavor": {"name": "own", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}}
    flavor_id = root.ok("POST", "/compute/v2.1/flavors", wish)["flavor"]["id"]
    assert ada.call("GET", f"/compute/v2.1/flavors/{flavor_id}").status_code == 404
    access = {"addTenantAccess": {"tenant": ada.project.id}}
    root.ok("POST", f"/compute/v2.1/flavors/{flavor_id}/action", access)
    assert ada.ok("GET", f"/compute/v2.1/flavors/{flavor_id}")["flavor"]["name"] == "own"


def test_key_pairs_are_a_person_s_own(ada, bob):
    wish = {"keypair": {"name": "k"}}
    made = ada.at("2.10").call("POST", "/compute/v2.1/os-keypairs", wish)
    assert made.status_code == 201
    assert "OPENSSH PRIVATE KEY" in made.json()["keypair"]["private_key"]
    again = ada.at("2.10").call("POST", "/compute/v2.1/os-keypairs", wish)
    assert again.status_code == 409
    assert again.json()["conflictingRequest"]["message"] == "Key pair 'k' already exists."
    assert bob.call("GET", "/compute/v2.1/os-keypairs/k").status_code == 404
    junk = {"keypair": {"name": "j", "public_key": "nonsense"}}
    assert "failed to generate fingerprint" in ada.call("POST", "/compute/v2.1/os-keypairs", junk).text
    assert ada.call("DELETE", "/compute/v2.1/os-keypairs/k").status_code == 204


def test_quotas_can_be_read_by_their_project_and_set_by_administrators(ada, bob, root):
    url = f"/compute/v2.1/os-quota-sets/{ada.project.id}"
    quotas = ada.ok("GET", url)["quota_set"]
    assert (quotas["cores"], quotas["ram"], quotas["instances"]) == (4, 8192, 10)
    assert bob.call("GET", url).status_code == 403
    assert ada.call("PUT", url, {"quota_set": {"cores": 99}}).status_code == 403
    assert root.ok("PUT", url, {"quota_set": {"cores": 99}})["quota_set"]["cores"] == 99
    assert ada.ok("GET", f"{url}/detail")["quota_set"]["cores"] == {"limit": 99, "in_use": 0, "reserved": 0}
    root.call("DELETE", url)
    assert ada.ok("GET", url)["quota_set"]["cores"] == 4


def test_batch_cores_come_on_top_with_ram_in_proportion(member_of):
    user = member_of("big", "carl", batch_cores=12)
    quotas = user.ok("GET", f"/compute/v2.1/os-quota-sets/{user.project.id}")["quota_set"]
    assert (quotas["cores"], quotas["ram"], quotas["instances"]) == (16, 32768, 16)


@pytest.mark.parametrize("path", ["os-hypervisors", "os-hypervisors/detail", "os-services", "os-migrations"])
def test_what_the_host_is_made_of_is_for_administrators(ada, root, path):
    assert ada.call("GET", f"/compute/v2.1/{path}").status_code == 403
    assert root.call("GET", f"/compute/v2.1/{path}").status_code == 200


def test_usage_counts_the_hours_of_running_servers(stage, ada):
    from datetime import timedelta

    ada.up()
    stage.clock.advance(timedelta(hours=2))
    url = f"/compute/v2.1/os-simple-tenant-usage/{ada.project.id}?start=2026-01-01T00:00:00&end=2026-02-01T00:00:00"
    usage = ada.ok("GET", url)["tenant_usage"]
    assert (usage["total_hours"], usage["total_vcpus_usage"]) == (2.0, 2.0)


def test_actions_on_a_server_are_kept_with_their_request(stage, ada):
    server_id = ada.up()
    request_id = ada.act(server_id, "os-stop").headers["x-openstack-request-id"]
    stage.settle()
    actions = ada.ok("GET", f"/compute/v2.1/servers/{server_id}/os-instance-actions")["instanceActions"]
    assert {a["action"] for a in actions} == {"create", "stop"}
    shown = ada.ok("GET", f"/compute/v2.1/servers/{server_id}/os-instance-actions/{request_id}")[
        "instanceAction"
    ]
    assert shown["events"][0]["result"] == "Success"


def test_what_is_no_action_is_refused_in_nova_s_words(ada):
    server_id = ada.up()
    assert ada.act(server_id, "bogus").json()["badRequest"]["message"] == "There is no such action: bogus"
    assert ada.call("POST", "/compute/v2.1/os-server-groups", {"server_group": {}}).status_code == 400
