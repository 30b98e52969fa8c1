"""What a guest reads about itself, asked with the header fields that the switch adds; the answers are real Nova's."""

import base64
import json
from datetime import timedelta

import pytest

from armillary.cloud.core.signature import sign

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 ada@desk"
SCRIPT = b"#!/bin/sh\necho hi\n"
EC2_FILES = [
    "ami-id", "ami-launch-index", "ami-manifest-path", "block-device-mapping/", "hostname", "instance-action",
    "instance-id", "instance-type", "local-hostname", "local-ipv4", "placement/", "public-hostname", "public-ipv4",
    "public-keys/", "reservation-id", "security-groups",
]  # fmt: skip
OPENSTACK_VERSIONS = [
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
    "2020-10-14", "latest",
]  # fmt: skip


@pytest.fixture(scope="module")
def stage(common_stage):
    return common_stage


@pytest.fixture(scope="module")
def ada(common_member_of):
    made = common_member_of("m51", "ada", cores=8)
    made.ok("POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "k1", "public_key": KEY}})
    return made


@pytest.fixture(scope="module")
def bob(common_member_of):
    return common_member_of("ngc253", "bob")


@pytest.fixture(scope="module")
def asks(stage, ada):
    """How a server of ada's asks: as the switch carries its questions."""

    def of(server_id):
        def ask(path, method="GET", *, body=None, **fields):
            signed = {
                "X-Instance-ID": server_id,
                "X-Tenant-ID": ada.project.id,
                "X-Instance-ID-Signature": sign(stage.settings.metadata_secret, server_id),
            }
            signed |= {name.replace("_", "-"): value for name, value in fields.items()}
            sent = {name: value for name, value in signed.items() if value is not None}
            return stage.http.request(method, f"/metadata{path}", headers=sent, content=body)

        ask.server_id = server_id
        return ask

    return of


@pytest.fixture(scope="module")
def new_guest(ada, asks):
    """Makes a server of ada's that asks."""

    def make():
        script = base64.b64encode(SCRIPT).decode()
        return asks(ada.up("vm1", key_name="k1", user_data=script, metadata={"a": "b"}))

    return make


@pytest.fixture(scope="module")
def guest(new_guest):
    return new_guest()


def lines(answer):
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    return answer.text.split("\n")


@pytest.mark.parametrize("path", ["/openstack", "/openstack/"])
def test_openstack_lists_its_versions(guest, path):
    assert lines(guest(path)) == OPENSTACK_VERSIONS


def test_each_version_lists_the_files_that_it_brought(guest):
    newest = ["meta_data.json", "user_data", "password", "vendor_data.json", "network_data.json"]
    assert lines(guest("/openstack/2012-08-10/")) == newest[:2]
    assert lines(guest("/openstack/2013-04-04")) == newest[:3]
    assert lines(guest("/openstack/2013-10-17")) == newest[:4]
    assert lines(guest("/openstack/2016-06-30")) == newest
    assert lines(guest("/openstack/latest/")) == [*newest, "vendor_data2.json"]


def test_a_guest_reads_who_it_is(guest, ada):
    answer = guest("/openstack/latest/meta_data.json")
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert len(base64.b64decode(found.pop("random_seed"))) == 512
    assert found == {
        "uuid": guest.server_id,
        "meta": {"a": "b"},
        "public_keys": {"k1": KEY},
        "keys": [{"name": "k1", "type": "ssh", "data": KEY}],
        "hostname": "vm1.novalocal",
        "name": "vm1",
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": ada.project.id,
        "devices": [],
        "dedicated_cpus": [],
    }


def test_older_versions_tell_less(guest):
    first = guest("/openstack/2012-08-10/meta_data.json").json()
    assert not {"random_seed", "project_id", "devices", "dedicated_cpus"} & set(first)
    assert guest("/openstack/2012-08-10/vendor_data.json").status_code == 404
    assert "dedicated_cpus" not in guest("/openstack/2018-08-27/meta_data.json").json()


def test_user_data_comes_as_it_was_written(guest):
    answer = guest("/openstack/latest/user_data")
    assert (answer.content, answer.headers["content-type"]) == (SCRIPT, "text/plain; charset=UTF-8")
    assert guest("/latest/user-data").content == SCRIPT


def test_the_cloud_has_its_say_in_the_vendor_data(guest, stage):
    said = {"cloud-init": stage.settings.vendor_data}
    assert guest("/openstack/latest/vendor_data.json").json() == said
    assert guest("/openstack/latest/vendor_data2.json").json() == {"static": said}


def test_a_guest_reads_its_links_and_networks(guest, ada):
    (port,) = ada.ok("GET", f"/network/v2.0/ports?device_id={guest.server_id}")["ports"]
    answer = guest("/openstack/latest/network_data.json")
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    found = answer.json()
    (link,), (network,) = found["links"], found["networks"]
    assert (link["id"], link["vif_id"]) == (f"tap{port['id'][:11]}", port["id"])
    assert (link["ethernet_mac_address"], link["mtu"]) == (port["mac_address"], 1500)
    assert network == {
        "id": "network0", "type": "ipv4_dhcp", "link": link["id"], "network_id": port["network_id"],
    }  # fmt: skip


def test_devices_that_the_user_named_are_told_by_mac_and_serial_number(stage, ada, asks):
    (network,) = ada.ok("GET", "/network/v2.0/networks?name=m51-net")["networks"]
    volume = ada.ok("POST", f"/volume/v3/{ada.project.id}/volumes", {"volume": {"size": 1, "name": "raw"}})[
        "volume"
    ]
    stage.settle()
    disks = [
        {"uuid": ada.image(), "source_type": "image", "destination_type": "local", "boot_index": 0},
        {"uuid": volume["id"], "source_type": "volume", "destination_type": "volume", "tag": "raw frames"},
    ]
    server_id = ada.up(
        "tagged", networks=[{"uuid": network["id"], "tag": "science"}], block_device_mapping_v2=disks
    )
    (port,) = ada.ok("GET", f"/network/v2.0/ports?device_id={server_id}")["ports"]
    card, disk = asks(server_id)("/openstack/latest/meta_data.json").json()["devices"]
    assert (card["type"], card["mac"], card["tags"]) == ("nic", port["mac_address"], ["science"])
    assert (disk["type"], disk["serial"], disk["tags"]) == ("disk", volume["id"], ["raw frames"])
    assert asks(server_id)("/latest/meta-data/block-device-mapping/ebs0").text == disk["path"]
    assert asks(server_id)("/openstack/2016-06-30/meta_data.json").json()["devices"][0].keys() == {
        "type", "mac", "bus", "address", "tags",
    }  # fmt: skip


@pytest.mark.parametrize("root", ["/", "", "/ec2", "//"])
def test_amazons_tree_lists_its_versions(guest, root):
    assert lines(guest(root))[-3:] == ["2008-09-01", "2009-04-04", "latest"]


@pytest.mark.parametrize("version", ["latest", "2009-04-04", "ec2/latest"])
def test_older_guests_read_amazons_tree(guest, version):
    assert lines(guest(f"/{version}/")) == ["meta-data/", "user-data"]
    assert lines(guest(f"/{version}/meta-data/")) == EC2_FILES


def test_amazons_tree_says_the_same_of_the_server(guest):
    def read(path):
        return guest(f"/latest/meta-data/{path}").text

    assert read("instance-id") == f"i-{guest.server_id[:8]}"
    assert read("public-keys/") == "0=k1"
    assert read("public-keys/0/") == "openssh-key"
    assert read("public-keys/0/openssh-key") == KEY
    assert (read("local-ipv4"), read("hostname")) == ("10.0.0.4", "vm1.novalocal")
    assert (read("placement/"), read("placement/availability-zone")) == ("availability-zone", "nova")
    assert (read("block-device-mapping/ami"), read("block-device-mapping/root")) == ("vda", "/dev/vda")
    assert (read("instance-type"), read("security-groups")) == ("c1-1gb-5", "default")


def test_the_first_versions_of_amazons_tree_are_small(guest):
    assert "placement/" not in lines(guest("/2007-12-15/meta-data"))
    assert "block-device-mapping/" in lines(guest("/2007-12-15/meta-data"))
    assert "instance-type" not in lines(guest("/1.0/meta-data"))


@pytest.mark.parametrize(
    "path",
    ["/openstack/nope", "/openstack/latest/nope", "/openstack/latest/user_data/more", "/nope", "/latest/nope",
     "/latest/meta-data/hostname/more", "/openstack/content", "/openstack/content/0000", "/2030-01-01/meta-data"],
)  # fmt: skip
def test_what_is_not_there_is_novas_page(guest, path):
    answer = guest(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=UTF-8")
    assert "<h1>404 Not Found</h1>\n  The resource could not be found.<br /><br />" in answer.text


@pytest.mark.parametrize("field", ["X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID"])
def test_whoever_comes_without_the_switch_is_told_what_is_missing(guest, field):
    answer = guest("/openstack/latest/meta_data.json", **{field: None})
    assert answer.status_code == 400
    assert f"{field} header is missing from request.<br />" in answer.text


def test_a_forged_signature_opens_nothing(guest, stage, bob):
    theirs = bob.up("theirs")
    answer = guest("/openstack/latest/meta_data.json", X_Instance_ID=theirs)
    assert (answer.status_code, "Invalid proxy request signature." in answer.text) == (403, True)
    assert guest("/openstack/latest/", X_Instance_ID_Signature="é".encode()).status_code == 403


def test_a_signature_is_good_for_its_own_project_only(guest, bob):
    assert guest("/openstack/latest/", X_Tenant_ID=bob.project.id).status_code == 404


def test_a_guest_posts_its_password_once(new_guest, ada):
    guest = new_guest()
    assert guest("/openstack/latest/password").content == b""
    assert guest("/openstack/latest/password", "PUT").status_code == 400
    assert guest("/openstack/latest/password", "POST", body=b"x" * 1021).status_code == 400
    assert guest("/openstack/latest/password", "POST", body=b"secret").status_code == 200
    answer = guest("/openstack/latest/password")
    assert (answer.content, answer.headers["content-type"]) == (b"secret", "text/html; charset=UTF-8")
    assert guest("/openstack/latest/password", "POST", body=b"other").status_code == 409


def test_a_huge_question_is_refused_before_it_is_read(guest):
    assert guest("/openstack/latest/password", "POST", body=b"x" * 5000).status_code == 413


def test_a_change_is_seen_after_a_few_seconds(new_guest, ada, stage):
    guest = new_guest()
    before = guest("/openstack/latest/meta_data.json").json()["meta"]
    ada.ok("POST", f"/compute/v2.1/servers/{guest.server_id}/metadata", {"metadata": {"c": "d"}})
    assert guest("/openstack/latest/meta_data.json").json()["meta"] == before
    stage.clock.advance(timedelta(seconds=6))
    assert guest("/openstack/latest/meta_data.json").json()["meta"] == before | {"c": "d"}


def test_a_deleted_server_knows_nothing_any_more(new_guest, ada, stage):
    guest = new_guest()
    ada.call("DELETE", f"/compute/v2.1/servers/{guest.server_id}")
    stage.settle()
    stage.clock.advance(timedelta(seconds=6))
    assert guest("/openstack/latest/meta_data.json").status_code == 404


def test_the_config_drive_says_what_the_service_says(guest, stage):
    drive = stage.machines.spec_of(guest.server_id)["config_drive"]
    for version in ("2012-08-10", "2018-08-27", "latest"):
        listed = set(lines(guest(f"/openstack/{version}"))) - {"password"}
        assert {path.split("/")[2] for path in drive if path.startswith(f"openstack/{version}/")} == listed
        on_the_drive = json.loads(drive[f"openstack/{version}/meta_data.json"])
        assert on_the_drive.pop("admin_pass")
        assert on_the_drive == guest(f"/openstack/{version}/meta_data.json").json()
        for name in listed - {"meta_data.json"}:
            assert drive[f"openstack/{version}/{name}"] == guest(f"/openstack/{version}/{name}").text
    old = json.loads(drive["ec2/2009-04-04/meta-data.json"])
    assert (old["instance-id"], old["local-ipv4"]) == (f"i-{guest.server_id[:8]}", "10.0.0.4")
    assert drive["ec2/latest/user-data"] == SCRIPT.decode()


@pytest.mark.parametrize(("wish", "has_drive"), [(None, True), (True, True), (False, False)])
def test_a_server_has_a_config_drive_unless_it_is_refused(stage, ada, wish, has_drive):
    server_id = ada.up() if wish is None else ada.up(config_drive=wish)
    assert bool(stage.machines.spec_of(server_id)["config_drive"]) is has_drive
    assert ada.server(server_id)["config_drive"] == ("True" if has_drive else "")
