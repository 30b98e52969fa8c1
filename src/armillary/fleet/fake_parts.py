"""What surrounds the machines of a cloud in memory: figures, volumes, networks, rules, offers of images."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, NotFound, QuotaExceeded
from armillary.base.ids import (
    CloudName,
    FloatingIpId,
    ImageId,
    NetworkId,
    PortId,
    SecurityGroupId,
    ServerId,
    VolumeId,
    new_uuid,
)
from armillary.base.units import GiB, MiB
from armillary.fleet.model import WORKER_MARK, FleetFlavor, FleetImage, FleetServer, SshAddress
from armillary.fleet.parts import (
    Capacity,
    Card,
    Network,
    Reading,
    Rule,
    RuleRequest,
    SecurityGroup,
    ServerEvent,
    Volume,
)

VOLUME_QUOTA = GiB(1000)
HOST_CORES, HOST_RAM = 64, MiB(262_144)


class Machinery(Protocol):
    """The cloud that these parts belong to."""

    name: CloudName
    sizes: list[FleetFlavor]

    def images(self, project: Project) -> list[FleetImage]: ...
    def server(self, project: Project, server_id: ServerId) -> FleetServer: ...
    def machines(self) -> list[tuple[str, FleetServer]]: ...
    def change_server(self, server: FleetServer) -> None: ...
    def answer(self) -> None: ...


class FakeParts:
    """Implements `CloudTending`, `CloudVolumes`, `CloudNetworks` and `CloudCards`.

    Attributes:
        readings: what the hypervisor says of a machine next; without one, nothing but its size.
    """

    def __init__(self, *, cloud: Machinery, clock: Clock, number: int) -> None:
        self.readings: dict[ServerId, Reading] = {}
        self._cloud = cloud
        self._clock = clock
        self._number = number
        self._lock = threading.RLock()
        self._volumes: dict[VolumeId, tuple[str, Volume]] = {}
        self._networks: dict[NetworkId, tuple[str, Network]] = {}
        self._groups: dict[SecurityGroupId, tuple[str, SecurityGroup]] = {}
        self._cards: dict[ServerId, list[Card]] = {}
        self._events: dict[ServerId, list[ServerEvent]] = {}
        self._before: dict[ServerId, str] = {}
        self._addresses = 100

    # CloudTending

    def running(self) -> list[tuple[str, ServerId]]:
        """Everybody's running machines but workers."""
        return [
            (owner, server.id)
            for owner, server in self._cloud.machines()
            if server.status == "ACTIVE" and WORKER_MARK not in server.metadata
        ]

    def capacity(self) -> Capacity | None:
        """What its one host has."""
        self._cloud.answer()
        sizes = {flavor.name: flavor for flavor in self._cloud.sizes}
        there = [sizes[server.flavor] for _, server in self._cloud.machines()]
        return Capacity(
            hosts=1,
            vcpus=HOST_CORES,
            vcpus_used=sum(size.vcpus for size in there),
            ram=HOST_RAM,
            ram_used=MiB(sum(size.ram for size in there)),
            servers=len(there),
        )

    def reading(self, project_id: str, server_id: ServerId) -> Reading:
        """What a test has put into `readings`, else that nothing is measured."""
        for owner, server in self._cloud.machines():
            if owner == project_id and server.id == server_id:
                if server.status != "ACTIVE":
                    raise Conflict("It does not run.", code="not_running")
                size = next(size for size in self._cloud.sizes if size.name == server.flavor)
                told = self.readings.get(server_id)
                return replace(told, at=self._clock.now()) if told else _nothing(size, self._clock.now())
        raise self._no_thing("machine", server_id)

    def events(self, project: Project, server_id: ServerId) -> list[ServerEvent]:
        """What was done to it here, and that it was made."""
        server = self._cloud.server(project, server_id)
        made = ServerEvent(action="create", at=server.created_at, by="", message="", request_id="req-0")
        return [*reversed(self._events.get(server_id, [])), made]

    def resize(self, project: Project, server_id: ServerId, flavor: str) -> None:
        """Give it another size; it waits to be settled."""
        server = self._cloud.server(project, server_id)
        self._before[server_id] = server.flavor
        self._note(server_id, "resize")
        self._cloud.change_server(replace(server, flavor=flavor, status="VERIFY_RESIZE"))

    def settle_resize(self, project: Project, server_id: ServerId, *, keep: bool) -> None:
        """Keep the new size, or go back."""
        server = self._cloud.server(project, server_id)
        if server.status != "VERIFY_RESIZE":
            raise Conflict("It has no new size to settle.", code="instance_invalid_state")
        flavor = server.flavor if keep else self._before[server_id]
        self._note(server_id, "confirmResize" if keep else "revertResize")
        self._cloud.change_server(replace(server, flavor=flavor, status="ACTIVE"))

    def rebuild(self, project: Project, server_id: ServerId, image_id: ImageId) -> None:
        """Put the image there."""
        server = self._cloud.server(project, server_id)
        if image_id not in [image.id for image in self._cloud.images(project)]:
            raise self._no_thing("image", image_id)
        self._note(server_id, "rebuild")
        self._cloud.change_server(replace(server, image_id=image_id, status="ACTIVE"))

    def _note(self, server_id: ServerId, action: str) -> None:
        event = ServerEvent(action=action, at=self._clock.now(), by="", message="", request_id=new_uuid())
        self._events.setdefault(server_id, []).append(event)

    # CloudVolumes

    def volumes(self, project: Project) -> list[Volume]:
        """The project's, the newest first."""
        self._cloud.images(project)  # a silent cloud is silent here too
        return [volume for owner, volume in reversed(self._volumes.values()) if owner == project.id]

    def create(self, project: Project, name: str, size: GiB) -> Volume:
        """Make one, within a quota."""
        used = sum(volume.size for volume in self.volumes(project))
        if used + size > VOLUME_QUOTA:
            raise QuotaExceeded(
                "Maximum number of volume gigabytes exceeded", facts={"limit": VOLUME_QUOTA, "used": used}
            )
        volume = Volume(
            id=VolumeId(new_uuid()),
            name=name,
            size=size,
            status="available",
            created_at=self._clock.now(),
        )
        self._volumes[volume.id] = (str(project.id), volume)
        return volume

    def delete(self, project: Project, volume_id: VolumeId) -> None:
        """Remove one that is free."""
        if not self._volume(project, volume_id).is_free:
            raise Conflict("The volume is attached.", code="volume_in_use")
        del self._volumes[volume_id]

    def attach(self, project: Project, server_id: ServerId, volume_id: VolumeId) -> None:
        """Plug it in."""
        volume, server = self._volume(project, volume_id), self._cloud.server(project, server_id)
        if not volume.is_free:
            raise Conflict("The volume is attached.", code="volume_in_use")
        held = replace(volume, status="in-use", server_id=server.id, device="/dev/vdb")
        self._volumes[volume_id] = (str(project.id), held)

    def detach(self, project: Project, server_id: ServerId, volume_id: VolumeId) -> None:
        """Pull it out."""
        volume = self._volume(project, volume_id)
        if volume.server_id != server_id:
            raise self._no_thing("volume", volume_id)
        free = replace(volume, status="available", server_id=None, device="")
        self._volumes[volume_id] = (str(project.id), free)

    def _volume(self, project: Project, volume_id: VolumeId) -> Volume:
        for volume in self.volumes(project):
            if volume.id == volume_id:
                return volume
        raise self._no_thing("volume", volume_id)

    # CloudNetworks

    def networks(self, project: Project) -> list[Network]:
        """The project's own, one of which is there from the beginning."""
        self._cloud.images(project)
        with self._lock:
            mine = [network for owner, network in self._networks.values() if owner == project.id]
            return mine or [self.create_network(project, f"{project.name}-net", "10.0.0.0/24")]

    def create_network(self, project: Project, name: str, cidr: str) -> Network:
        """Make one."""
        network = Network(id=NetworkId(new_uuid()), name=name, cidrs=[cidr], is_own=True, has_way_out=True)
        self._networks[network.id] = (str(project.id), network)
        return network

    def delete_network(self, project: Project, network_id: NetworkId) -> None:
        """Remove one that no machine is on."""
        if self._networks.get(network_id, ("", None))[0] != project.id:
            raise self._no_thing("network", network_id)
        if any(card.network == network_id for cards in self._cards.values() for card in cards):
            raise Conflict("Machines are on this network.", code="network_in_use")
        del self._networks[network_id]

    def groups(self, project: Project) -> list[SecurityGroup]:
        """The project's own, with the one that lets ssh in from the beginning."""
        self._cloud.images(project)
        with self._lock:
            mine = [group for owner, group in self._groups.values() if owner == project.id]
            if not mine:
                group = self.create_group(project, "default")
                request = RuleRequest(protocol="tcp", low=22, high=22, remote="0.0.0.0/0")
                self.add_rule(project, group.id, request)
                mine = [self._groups[group.id][1]]
            return mine

    def create_group(self, project: Project, name: str) -> SecurityGroup:
        """Make one without rules."""
        group = SecurityGroup(id=SecurityGroupId(new_uuid()), name=name, rules=())
        self._groups[group.id] = (str(project.id), group)
        return group

    def delete_group(self, project: Project, group_id: SecurityGroupId) -> None:
        """Remove one that no card has."""
        self._group(project, group_id)
        if any(group_id in card.groups for cards in self._cards.values() for card in cards):
            raise Conflict("Machines have this group.", code="security_group_in_use")
        del self._groups[group_id]

    def add_rule(self, project: Project, group_id: SecurityGroupId, rule: RuleRequest) -> None:
        """Add it."""
        group = self._group(project, group_id)
        made = Rule(
            id=new_uuid(),
            ingress=True,
            protocol=rule.protocol,
            low=rule.low,
            high=rule.high if rule.high is not None else rule.low,
            remote=rule.remote,
            is_ipv6=":" in rule.remote,
        )
        if any(replace(one, id="") == replace(made, id="") for one in group.rules):
            raise Conflict("Security group rule already exists.", code="rule_exists")
        self._groups[group_id] = (str(project.id), replace(group, rules=[*group.rules, made]))

    def remove_rule(self, project: Project, rule_id: str) -> None:
        """Drop it."""
        for group in self.groups(project):
            left = [rule for rule in group.rules if rule.id != rule_id]
            if len(left) < len(group.rules):
                self._groups[group.id] = (str(project.id), replace(group, rules=left))
                return
        raise self._no_thing("rule", rule_id)

    def _group(self, project: Project, group_id: SecurityGroupId) -> SecurityGroup:
        owner, group = self._groups.get(group_id, ("", None))
        if group is None or owner != project.id:
            raise self._no_thing("security group", group_id)
        return group

    # CloudCards

    def cards(self, project: Project, server_id: ServerId) -> list[Card]:
        """Its cards; the first has been there from the beginning, with the floating IP that it was given."""
        server = self._cloud.server(project, server_id)
        with self._lock:
            cards = self._cards.setdefault(server_id, [])
            if not cards:
                network, group = self.networks(project)[0], self.groups(project)[0]
                cards.append(self._card(network.id, [str(server.fixed_ip)], [group.id]))
            first = cards[0]
            if server.floating_ip and not first.floating_id:
                cards[0] = replace(first, floating_id=FloatingIpId(new_uuid()), floating=server.floating_ip)
            return list(cards)

    def plug(self, project: Project, server_id: ServerId, network_id: NetworkId) -> None:
        """Add a card."""
        self.cards(project, server_id)
        if network_id not in [network.id for network in self.networks(project)]:
            raise self._no_thing("network", network_id)
        self._addresses += 1
        group = self.groups(project)[0]
        self._cards[server_id].append(self._card(network_id, [f"10.0.1.{self._addresses}"], [group.id]))

    def unplug(self, project: Project, server_id: ServerId, card_id: PortId) -> None:
        """Drop a card."""
        self._swap(project, server_id, card_id, None)

    def set_groups(
        self, project: Project, server_id: ServerId, card_id: PortId, groups: Sequence[SecurityGroupId]
    ) -> None:
        """Give it these groups."""
        for group in groups:
            self._group(project, group)
        card = self._find(project, server_id, card_id)
        self._swap(project, server_id, card_id, replace(card, groups=list(groups)))

    def give_address(self, project: Project, server_id: ServerId, card_id: PortId) -> None:
        """Put an address on it."""
        card, server = self._find(project, server_id, card_id), self._cloud.server(project, server_id)
        self._addresses += 1
        address = f"127.{self._number}.0.{self._addresses}"
        self._cloud.change_server(replace(server, floating_ip=address, ssh=SshAddress(host=address)))
        self._swap(
            project,
            server_id,
            card_id,
            replace(card, floating_id=FloatingIpId(new_uuid()), floating=address),
        )

    def take_address(self, project: Project, server_id: ServerId, floating_id: FloatingIpId) -> None:
        """Take it off."""
        for card in self.cards(project, server_id):
            if card.floating_id == floating_id:
                server = self._cloud.server(project, server_id)
                self._cloud.change_server(replace(server, floating_ip=None, ssh=None, metadata={}))
                self._swap(project, server_id, card.id, replace(card, floating_id=None, floating=""))
                return
        raise self._no_thing("address", floating_id)

    def _card(self, network: NetworkId, addresses: Sequence[str], groups: Sequence[SecurityGroupId]) -> Card:
        return Card(
            id=PortId(new_uuid()),
            network=network,
            mac="fa:16:3e:00:00:01",
            addresses=addresses,
            groups=groups,
        )

    def _find(self, project: Project, server_id: ServerId, card_id: PortId) -> Card:
        for card in self.cards(project, server_id):
            if card.id == card_id:
                return card
        raise self._no_thing("card", card_id)

    def _swap(self, project: Project, server_id: ServerId, card_id: PortId, card: Card | None) -> None:
        self._find(project, server_id, card_id)
        changed = [card if one.id == card_id else one for one in self._cards[server_id]]
        self._cards[server_id] = [one for one in changed if one is not None]

    def _no_thing(self, kind: str, wanted: str) -> NotFound:
        codes = {"machine": "server_not_found", "image": "image_not_found", "volume": "volume_not_found"}
        return NotFound(
            f"Cloud {self._cloud.name} has no {kind} {wanted}.",
            code=codes.get(kind, "network_thing_not_found"),
            facts={"cloud": self._cloud.name, "id": wanted},
        )


def _nothing(size: FleetFlavor, at: datetime) -> Reading:
    return Reading(
        at=at,
        cores=size.vcpus,
        cpu_seconds=None,
        memory=MiB(int(size.ram)),
        memory_used=None,
        disk_read=None,
        disk_written=None,
        net_in=None,
        net_out=None,
    )
