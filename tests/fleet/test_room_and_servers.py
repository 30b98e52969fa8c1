from __future__ import annotations

from datetime import timedelta

import pytest

from armillary.accounts.model import Project
from armillary.base.clock import VirtualClock
from armillary.base.errors import NotFound, QuotaExceeded
from armillary.base.ids import CloudName
from armillary.base.units import MiB
from armillary.fleet.capacity import room_of
from armillary.fleet.fake import FLAVORS, FakeCloud
from armillary.fleet.model import FleetServer, Limits, SshAddress
from armillary.fleet.service import FleetService


def make_server(fleet: FleetService, cloud: FakeCloud, project: Project, *, name: str = "vm") -> FleetServer:
    image = cloud.add_image("base", b"disk")
    return fleet.create_server(
        cloud.name, project, name=name, image_id=image.id, flavor="c2-2gb-10", floating_ip=True
    )


def test_room_is_the_smallest_of_cores_ram_and_machines() -> None:
    limits = Limits(cores=16, cores_used=2, ram=MiB(8192), ram_used=MiB(2048), instances=10, instances_used=1)
    room = room_of(CloudName("east"), limits, FLAVORS[1])
    assert (room.count, room.refusals) == (3, ())


def test_a_full_quota_names_every_reason() -> None:
    limits = Limits(cores=2, cores_used=2, ram=MiB(2048), ram_used=MiB(1024), instances=1, instances_used=1)
    room = room_of(CloudName("east"), limits, FLAVORS[1])
    assert room.count == 0
    assert {refusal.code for refusal in room.refusals} == {"quota_cores", "quota_ram", "quota_instances"}
    assert all(refusal.remedy for refusal in room.refusals)


def test_without_limits_there_is_room() -> None:
    limits = Limits(cores=None, cores_used=2, ram=None, ram_used=MiB(0), instances=None, instances_used=0)
    assert room_of(CloudName("east"), limits, FLAVORS[1]).count > 100


def test_a_silent_cloud_has_no_room_and_says_why(
    fleet: FleetService, east: FakeCloud, project: Project
) -> None:
    east.silent = True
    room = fleet.room(east.name, project, "c2-2gb-10")
    assert (room.count, room.refusals[0].code) == (0, "cloud_unreachable")


def test_an_unknown_flavor_is_a_reason(fleet: FleetService, east: FakeCloud, project: Project) -> None:
    assert fleet.room(east.name, project, "huge").refusals[0].code == "flavor_not_found"


def test_over_quota_is_refused(fleet: FleetService, east: FakeCloud, project: Project) -> None:
    for _ in range(2):
        make_server(fleet, east, project)
    with pytest.raises(QuotaExceeded):
        make_server(fleet, east, project)


def test_a_cloud_without_a_host_is_believed_for_a_minute(
    fleet: FleetService, east: FakeCloud, project: Project, clock: VirtualClock
) -> None:
    server = make_server(fleet, east, project)
    east.set_status(server.id, "ERROR", fault="No valid host was found.")

    fleet.server(east.name, project, server.id)
    assert fleet.room(east.name, project, "c2-2gb-10").refusals[0].code == "no_capacity"
    assert fleet.room(east.name, project, "c1-1gb-5").count > 0

    clock.advance(timedelta(seconds=61))
    fleet.servers(east.name, project)
    assert fleet.room(east.name, project, "c2-2gb-10").count == 1


def test_a_machine_becomes_active_with_its_address(
    fleet: FleetService, east: FakeCloud, project: Project
) -> None:
    begun = make_server(fleet, east, project)
    assert (begun.status, begun.wants_address) == ("BUILD", True)

    server = fleet.server(east.name, project, begun.id)
    assert server.status == "ACTIVE"
    assert server.ssh
    assert server.ssh.command("debian") == f"ssh debian@{server.floating_ip}"


def test_an_ssh_line_names_the_port_where_it_is_not_22() -> None:
    assert SshAddress(host="127.16.0.5", port=10022).command("debian") == "ssh -p 10022 debian@127.16.0.5"


def test_machines_are_picked_by_their_metadata(
    fleet: FleetService, east: FakeCloud, project: Project
) -> None:
    image = east.add_image("base", b"disk")
    worker = fleet.create_server(
        east.name, project, name="w", image_id=image.id, flavor="c1-1gb-5", metadata={"role": "worker"}
    )
    make_server(fleet, east, project)
    assert [s.id for s in fleet.servers(east.name, project, {"role": "worker"})] == [worker.id]


def test_a_foreign_machine_is_not_found(
    fleet: FleetService, east: FakeCloud, project: Project, stranger: Project
) -> None:
    server = make_server(fleet, east, project)
    with pytest.raises(NotFound):
        fleet.server(east.name, stranger, server.id)
    with pytest.raises(NotFound):
        fleet.stop_server(east.name, stranger, server.id)


def test_deleting_twice_is_fine(fleet: FleetService, east: FakeCloud, project: Project) -> None:
    server = make_server(fleet, east, project)
    fleet.delete_server(east.name, project, server.id)
    fleet.delete_server(east.name, project, server.id)
    assert fleet.servers(east.name, project) == []


def test_an_unknown_cloud_names_the_known_ones(fleet: FleetService, project: Project) -> None:
    with pytest.raises(NotFound) as refusal:
        fleet.servers(CloudName("north"), project)
    assert refusal.value.facts["clouds"] == ["east", "west"]
