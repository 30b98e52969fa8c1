"""The fleet through openstacksdk against the embedded cloud, as it is in production but for the engine."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from real_clouds import RealClouds, a_raw_image, two_clouds

from armillary.accounts.model import Allocation, Project
from armillary.accounts.passwords import Passwords
from armillary.accounts.service import AccountsService, AccountsStore
from armillary.app.database import make_engine
from armillary.base.clock import SystemClock
from armillary.base.errors import (
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    Unavailable,
)
from armillary.base.ids import CloudName, ImageId, Sha512
from armillary.base.units import GiB, MiB
from armillary.fleet.model import FleetImage
from armillary.fleet.service import FleetService

EAST, WEST = CloudName("east"), CloudName("west")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p ada@laptop"


@pytest.fixture
def accounts(tmp_path: Path) -> AccountsService:
    store = AccountsStore(engine=make_engine(f"sqlite:///{tmp_path}/accounts.db", durable=False))
    store.create_all()
    quick = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    service = AccountsService(store=store, clock=SystemClock(), passwords=quick)
    service.bootstrap_admin()
    return service


@pytest.fixture
def project(accounts: AccountsService) -> Project:
    allocation = Allocation(cores=4, ram=MiB(4096), disk=GiB(50), storage=GiB(10), batch_cores=2)
    return accounts.create_project("galaxies", "", allocation)


@pytest.fixture
def stranger(accounts: AccountsService) -> Project:
    allocation = Allocation(cores=4, ram=MiB(4096), disk=GiB(50), storage=GiB(10), batch_cores=2)
    return accounts.create_project("others", "", allocation)


@pytest.fixture
def clouds(tmp_path: Path, accounts: AccountsService) -> Generator[RealClouds]:
    with two_clouds(directory=tmp_path, accounts=accounts, clock=SystemClock()) as clouds:
        yield clouds


@pytest.fixture
def fleet(clouds: RealClouds) -> FleetService:
    return clouds.fleet()


def upload(fleet: FleetService, project: Project, name: str = "mine") -> FleetImage:
    content, digest = a_raw_image()
    like = FleetImage(
        id=ImageId(""),
        name=name,
        cloud=EAST,
        sha512=Sha512(digest),
        size=len(content),
        min_disk=GiB(1),
        status="active",
        visibility="private",
        owner="",
        disk_format="raw",
        created_at=SystemClock().now(),
        properties={"os_admin_user": "debian", "hw_disk_bus": "virtio"},
    )
    return fleet.upload_image(EAST, project, like=like, chunks=iter([content]))


def test_an_image_is_copied_whole_and_once_with_its_name_and_properties(
    fleet: FleetService, project: Project
) -> None:
    image = upload(fleet, project)
    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(lambda _: fleet.ensure_image(WEST, project, Sha512(str(image.sha512))), range(4)))
    [copy] = [i for i in fleet.images(WEST, project) if i.sha512 == image.sha512]
    assert {copy.id} == ids
    assert (copy.name, copy.size, copy.min_disk, copy.login) == ("mine", image.size, 1, "debian")
    assert copy.properties["hw_disk_bus"] == "virtio"
    assert "stores" not in copy.properties  # Glance's own word, which it lets nobody write
    assert (copy.visibility, copy.owner) == ("private", project.id)


def test_an_image_that_is_kept_is_not_deleted_until_it_is_let_go(
    fleet: FleetService, project: Project
) -> None:
    image = upload(fleet, project)
    for protected in (True, True):
        fleet.protect_image(EAST, project, image.id, protected=protected)
    with pytest.raises(Forbidden) as refused:
        fleet.delete_image(EAST, project, image.id)
    assert (refused.value.code, "armillary unfreeze" in refused.value.remedy) == ("image_protected", True)
    assert [(one.id, one.is_protected) for one in fleet.images(EAST, project)] == [(image.id, True)]
    fleet.protect_image(EAST, project, image.id, protected=False)
    assert not fleet.images(EAST, project)[0].is_protected
    fleet.delete_image(EAST, project, image.id)
    assert fleet.images(EAST, project) == []


def test_no_name_and_no_property_of_an_image_has_a_file_of_ours_or_another_meaning(
    fleet: FleetService, clouds: RealClouds, project: Project, tmp_path: Path
) -> None:
    ours = tmp_path / "key.pem"
    ours.write_text("PRIVATE KEY")
    content, _ = a_raw_image()
    like = upload(fleet, project)
    theirs = {
        "filename": str(ours),
        "uri": ours.as_uri(),
        "allow_duplicates": "",
        "meta": "x",
    }
    said = {
        "visibility": "public",
        "protected": "true",
        "owner": "somebody",
        "id": "x",
        "hw_disk_bus": "scsi",
    }
    sent = replace(like, name=str(ours), properties={**theirs, **said})
    there = fleet.upload_image(WEST, project, like=sent, chunks=iter([content]))
    [stored] = fleet.images(WEST, project)
    assert stored == there
    assert (stored.name, stored.sha512, stored.size) == (str(ours), like.sha512, like.size)
    assert (stored.visibility, stored.owner) == ("private", project.id)
    assert {key: stored.properties[key] for key in (*theirs, "hw_disk_bus")} == {
        **theirs,
        "hw_disk_bus": "scsi",
    }
    fleet.delete_image(WEST, project, stored.id)


def test_a_wrong_copy_leaves_no_image(fleet: FleetService, clouds: RealClouds, project: Project) -> None:
    image = upload(fleet, project)
    content, _ = a_raw_image()
    with pytest.raises(PreconditionFailed):
        fleet.upload_image(WEST, project, like=image, chunks=iter([content[:-1] + b"?"]))
    assert fleet.images(WEST, project) == []


def test_a_copy_that_breaks_off_leaves_no_image(fleet: FleetService, project: Project) -> None:
    image = upload(fleet, project)
    content, _ = a_raw_image()
    with pytest.raises(Unavailable):
        fleet.upload_image(WEST, project, like=image, chunks=iter([content[:1000]]))
    assert fleet.images(WEST, project) == []


def test_images_and_machines_of_others_are_not_seen_though_our_credential_may(
    fleet: FleetService, clouds: RealClouds, project: Project, stranger: Project
) -> None:
    image = upload(fleet, project)
    server = fleet.create_server(EAST, project, name="vm", image_id=image.id, flavor="c1-1gb-5")
    assert fleet.images(EAST, stranger) == []
    assert fleet.servers(EAST, stranger) == []
    with pytest.raises(NotFound):
        fleet.find_image(stranger, image.id)
    with pytest.raises(NotFound):
        fleet.server(EAST, stranger, server.id)
    with pytest.raises(NotFound):
        fleet.reboot_server(EAST, stranger, server.id)
    fleet.delete_server(EAST, stranger, server.id)
    clouds.clouds["east"].settle()
    assert [s.id for s in fleet.servers(EAST, project)] == [server.id]


def test_a_machine_lives_from_launch_to_snapshot_to_its_end(
    fleet: FleetService, clouds: RealClouds, project: Project
) -> None:
    image = upload(fleet, project)
    fleet.ensure_key(EAST, project, name="ada-1", public_key=KEY)
    fleet.ensure_key(EAST, project, name="ada-1", public_key=KEY)
    with pytest.raises(Conflict):
        fleet.ensure_key(EAST, project, name="ada-1", public_key=KEY.replace("IJ5T", "IJ5U"))

    begun = fleet.create_server(
        EAST,
        project,
        name="vm",
        image_id=image.id,
        flavor="c2-2gb-10",
        user_data="#cloud-config\n",
        key_name="ada-1",
        metadata={"role": "test"},
        floating_ip=True,
    )
    clouds.clouds["east"].settle()
    server = fleet.server(EAST, project, begun.id)
    assert (server.status, server.flavor, server.image_id) == ("ACTIVE", "c2-2gb-10", image.id)
    assert server.fixed_ip
    assert str(server.floating_ip).startswith("127.16.0.")
    assert server.ssh
    assert server.ssh.host == server.floating_ip
    assert fleet.servers(EAST, project, {"role": "test"})[0].id == server.id
    assert fleet.servers(EAST, project, {"role": "other"}) == []
    assert isinstance(fleet.console_log(EAST, project, server.id), str)
    assert "/console/vnc_lite.html?path=" in fleet.screen(EAST, project, server.id)

    fleet.stop_server(EAST, project, server.id)
    clouds.clouds["east"].settle()
    assert fleet.server(EAST, project, server.id).status == "SHUTOFF"
    fleet.start_server(EAST, project, server.id)
    clouds.clouds["east"].settle()

    snapshot = fleet.snapshot(EAST, project, server.id, name="with-software")
    clouds.clouds["east"].settle()
    made = fleet.image(EAST, project, snapshot)
    assert (made.status, made.name, made.login) == ("active", "with-software", "debian")
    assert made.sha512
    assert fleet.find_image(project, "with-software").id == snapshot

    fleet.delete_server(EAST, project, server.id)
    clouds.clouds["east"].settle()
    assert fleet.servers(EAST, project) == []
    again = fleet.create_server(
        EAST, project, name="vm2", image_id=snapshot, flavor="c2-2gb-10", floating_ip=True
    )
    clouds.clouds["east"].settle()
    assert fleet.server(EAST, project, again.id).floating_ip  # the first address was given back


def test_a_machine_of_a_project_with_several_networks_is_where_the_way_out_is(
    fleet: FleetService, clouds: RealClouds, project: Project
) -> None:
    image = upload(fleet, project)
    first = fleet.create_server(EAST, project, name="one", image_id=image.id, flavor="c1-1gb-5")
    network = clouds.connection("east", project).network
    other = network.create_network(name="instruments")
    network.create_subnet(network_id=other.id, ip_version=4, cidr="10.9.0.0/24", name="instruments")
    second = fleet.create_server(EAST, project, name="two", image_id=image.id, flavor="c1-1gb-5")
    clouds.clouds["east"].settle()
    addresses = [str(fleet.server(EAST, project, made.id).fixed_ip) for made in (first, second)]
    assert len({address.rpartition(".")[0] for address in addresses}) == 1
    assert not addresses[1].startswith("10.9.")


def test_quota_bounds_the_room_and_refuses_more(
    fleet: FleetService, clouds: RealClouds, project: Project
) -> None:
    image = upload(fleet, project)
    assert fleet.room(EAST, project, "c2-2gb-10").count == 3
    for number in range(3):
        fleet.create_server(EAST, project, name=f"vm{number}", image_id=image.id, flavor="c2-2gb-10")
    room = fleet.room(EAST, project, "c2-2gb-10")
    assert room.count == 0
    assert "quota_cores" in {refusal.code for refusal in room.refusals}
    with pytest.raises(QuotaExceeded):
        fleet.create_server(EAST, project, name="one too many", image_id=image.id, flavor="c2-2gb-10")
    clouds.clouds["east"].settle()


def test_a_failed_boot_is_told_with_its_fault(
    fleet: FleetService, clouds: RealClouds, project: Project
) -> None:
    image = upload(fleet, project)
    begun = fleet.create_server(EAST, project, name="fail-boot", image_id=image.id, flavor="c1-1gb-5")
    clouds.clouds["east"].settle()
    server = fleet.server(EAST, project, begun.id)
    assert server.status == "ERROR"
    assert server.fault


def test_a_cloud_that_is_gone_is_a_refusal_and_not_a_crash(
    fleet: FleetService, clouds: RealClouds, project: Project
) -> None:
    fleet.flavors(EAST, project)
    clouds.stop()
    assert fleet.room(EAST, project, "c2-2gb-10").refusals[0].code == "cloud_unreachable"
    with pytest.raises(Unavailable):
        fleet.servers(WEST, project)
