"""What surrounds people's machines, through openstacksdk against the embedded cloud over its fake engine."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from real_clouds import RealClouds, a_raw_image, two_clouds

from armillary.accounts.model import Allocation
from armillary.accounts.passwords import Passwords
from armillary.accounts.service import AccountsService, AccountsStore
from armillary.app.database import make_engine
from armillary.base.clock import SystemClock
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import CloudName, FloatingIpId, ImageId, NetworkId, ServerId, Sha512, VolumeId
from armillary.base.units import GiB, MiB
from armillary.fleet.model import FleetImage, FleetServer
from armillary.fleet.parts import RuleRequest
from armillary.fleet.service import FleetService

EAST = CloudName("east")
ALLOCATION = Allocation(cores=8, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=2)


class World:
    """A fleet with one running machine, made once for this module."""

    def __init__(self, clouds: RealClouds, accounts: AccountsService) -> None:
        self.clouds = clouds
        self.fleet: FleetService = clouds.fleet()
        self.project = accounts.create_project("galaxies", "", ALLOCATION)
        self.stranger = accounts.create_project("others", "", ALLOCATION)
        self.image = self._upload()
        self.server = self.machine("first")

    def machine(self, name: str, volumes: tuple[VolumeId, ...] = ()) -> FleetServer:
        made = self.fleet.create_server(
            EAST,
            self.project,
            name=name,
            image_id=self.image.id,
            flavor="c1-1gb-5",
            floating_ip=True,
            volumes=volumes,
        )
        self.settle()
        return self.fleet.server(EAST, self.project, made.id)

    def settle(self) -> None:
        assert self.clouds.clouds["east"].settle()

    def _upload(self) -> FleetImage:
        content, digest = a_raw_image()
        like = FleetImage(
            id=ImageId(""),
            name="mine",
            cloud=EAST,
            sha512=Sha512(digest),
            size=len(content),
            min_disk=GiB(1),
            status="active",
            visibility="private",
            owner="",
            disk_format="raw",
            created_at=SystemClock().now(),
        )
        return self.fleet.upload_image(EAST, self.project, like=like, chunks=iter([content]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    directory: Path = tmp_path_factory.mktemp("clouds")
    store = AccountsStore(engine=make_engine(f"sqlite:///{directory}/accounts.db", durable=False))
    store.create_all()
    quick = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    accounts = AccountsService(store=store, clock=SystemClock(), passwords=quick)
    accounts.bootstrap_admin()
    with two_clouds(directory=directory, accounts=accounts, clock=SystemClock()) as clouds:
        yield World(clouds, accounts)


def test_a_running_machine_is_measured(world: World) -> None:
    assert (str(world.project.id), world.server.id) in world.fleet.running(EAST)
    reading = world.fleet.reading(EAST, str(world.project.id), world.server.id)
    assert reading.memory == 1024
    assert reading.memory_used
    assert reading.cpu_seconds is not None
    assert reading.disk_written is not None
    assert reading.net_in == 0


def test_what_was_done_to_a_machine_is_told(world: World) -> None:
    assert "create" in [event.action for event in world.fleet.events(EAST, world.project, world.server.id)]


def test_a_volume_comes_with_a_machine_or_is_attached_to_it_and_pulled(world: World) -> None:
    fleet, project = world.fleet, world.project
    first = fleet.create_volume(EAST, project, name="data", size=GiB(2))
    assert first.is_free
    machine = world.machine("with-volume", volumes=(first.id,))
    [attached] = [v for v in fleet.volumes(EAST, project) if v.id == first.id]
    assert attached.server_id == machine.id
    second = fleet.create_volume(EAST, project, name="more", size=GiB(1))
    fleet.attach_volume(EAST, project, machine.id, second.id)
    world.settle()
    fleet.detach_volume(EAST, project, machine.id, second.id)
    world.settle()
    fleet.delete_volume(EAST, project, second.id)
    world.settle()
    fleet.delete_server(EAST, project, machine.id)
    world.settle()
    assert [v.name for v in fleet.volumes(EAST, project)] == ["data"], "it stays when its machine goes"


def test_cards_addresses_and_rules_come_and_go(world: World) -> None:
    fleet, project, server = world.fleet, world.project, world.server
    [card] = fleet.cards(EAST, project, server.id)
    assert card.floating == server.floating_ip
    assert card.floating_id
    fleet.take_address(EAST, project, server.id, card.floating_id)
    assert fleet.cards(EAST, project, server.id)[0].floating == ""
    fleet.give_address(EAST, project, server.id)
    assert fleet.cards(EAST, project, server.id)[0].floating
    group = fleet.create_security_group(EAST, project, "web")
    request = RuleRequest(protocol="tcp", low=443, high=None, remote="0.0.0.0/0")
    fleet.add_rule(EAST, project, group.id, request)
    with pytest.raises(Conflict):
        fleet.add_rule(EAST, project, group.id, request)
    [rule] = [
        r for g in fleet.security_groups(EAST, project) if g.id == group.id for r in g.rules if r.ingress
    ]
    assert (rule.low, rule.high, rule.lets_ssh_in) == (443, 443, False)
    fleet.set_groups(EAST, project, server.id, card.id, [*card.groups, group.id])
    assert set(fleet.cards(EAST, project, server.id)[0].groups) == {*card.groups, group.id}
    fleet.set_groups(EAST, project, server.id, card.id, card.groups)
    fleet.remove_rule(EAST, project, rule.id)
    fleet.delete_security_group(EAST, project, group.id)


def test_the_rule_that_lets_ssh_in_is_known_with_the_machines_behind_it(world: World) -> None:
    groups = world.fleet.security_groups(EAST, world.project)
    [rule] = [rule for group in groups for rule in group.rules if rule.lets_ssh_in]
    cut = world.fleet.machines_cut_off(EAST, world.project, without_rule=rule.id)
    assert (world.server.id, "first") in cut


def test_a_network_is_made_whole_plugged_and_removed_whole(world: World) -> None:
    fleet, project, server = world.fleet, world.project, world.server
    network = fleet.create_network(EAST, project, name="apart", cidr="10.44.0.0/24")
    assert [n.has_way_out for n in fleet.networks(EAST, project) if n.id == network.id] == [True]
    fleet.plug_network(EAST, project, server.id, network.id)
    world.settle()
    [second] = [c for c in fleet.cards(EAST, project, server.id) if c.network == network.id]
    with pytest.raises(Conflict):
        fleet.delete_network(EAST, project, network.id)
    assert fleet.networks(EAST, project)[0].has_way_out, "nothing was cut by the refusal"
    fleet.unplug_card(EAST, project, server.id, second.id)
    world.settle()
    fleet.delete_network(EAST, project, network.id)
    assert network.id not in [n.id for n in fleet.networks(EAST, project)]


def test_a_new_size_is_tried_and_taken_back_and_a_machine_begins_anew(world: World) -> None:
    fleet, project, machine = world.fleet, world.project, world.machine("changing")
    fleet.resize_server(EAST, project, machine.id, "c2-2gb-10")
    world.settle()
    assert fleet.server(EAST, project, machine.id).status == "VERIFY_RESIZE"
    fleet.settle_resize(EAST, project, machine.id, keep=False)
    world.settle()
    assert fleet.server(EAST, project, machine.id).flavor == "c1-1gb-5"
    fleet.rebuild_server(EAST, project, machine.id, world.image.id)
    world.settle()
    assert fleet.server(EAST, project, machine.id).status == "ACTIVE"
    fleet.delete_server(EAST, project, machine.id)
    world.settle()


def test_an_image_is_offered_accepted_and_made_public(world: World) -> None:
    fleet, image = world.fleet, world.image
    assert fleet.offered_images(EAST, world.stranger) == []
    fleet.share_image(EAST, world.project, image.id, other=world.stranger.id)
    assert fleet.offered_images(EAST, world.stranger) == [(image.id, "mine")]
    fleet.accept_image(EAST, world.stranger, image.id, take=True)
    assert image.id in [one.id for one in fleet.images(EAST, world.stranger)]
    assert fleet.offered_images(EAST, world.stranger) == []
    fleet.publish_image(EAST, world.project, image.id, public=True)
    assert fleet.image(EAST, world.project, image.id).visibility == "public"
    fleet.publish_image(EAST, world.project, image.id, public=False)


def test_what_another_project_has_is_not_there(world: World) -> None:
    fleet, other, server = world.fleet, world.stranger, world.server
    volume = fleet.create_volume(EAST, world.project, name="secret", size=GiB(1))
    [group] = [g for g in fleet.security_groups(EAST, world.project) if g.name == "default"]
    network = fleet.networks(EAST, world.project)[0]
    rule = RuleRequest(protocol="tcp", low=1, high=None, remote="")
    attempts = (
        lambda: fleet.events(EAST, other, server.id),
        lambda: fleet.resize_server(EAST, other, server.id, "c2-2gb-10"),
        lambda: fleet.settle_resize(EAST, other, server.id, keep=True),
        lambda: fleet.rebuild_server(EAST, other, server.id, world.image.id),
        lambda: fleet.delete_volume(EAST, other, volume.id),
        lambda: fleet.attach_volume(EAST, other, server.id, volume.id),
        lambda: fleet.cards(EAST, other, server.id),
        lambda: fleet.plug_network(EAST, other, server.id, network.id),
        lambda: fleet.take_address(EAST, other, server.id, FloatingIpId("x")),
        lambda: fleet.add_rule(EAST, other, group.id, rule),
        lambda: fleet.remove_rule(EAST, other, group.rules[0].id),
        lambda: fleet.delete_security_group(EAST, other, group.id),
        lambda: fleet.delete_network(EAST, other, network.id),
        lambda: fleet.share_image(EAST, other, world.image.id, other=other.id),
        lambda: fleet.delete_network(EAST, other, NetworkId("nothing")),
        lambda: fleet.events(EAST, other, ServerId("nothing")),
    )
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    names = [one.name for one in fleet.volumes(EAST, other)] + [
        g.name for g in fleet.security_groups(EAST, other)
    ]
    assert names == ["default"]
    fleet.delete_volume(EAST, world.project, volume.id)
