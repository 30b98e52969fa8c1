"""What the fleet does for people's machines beyond making and ending them; a part of `FleetService`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from armillary.accounts.model import Project
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.base.ids import (
    CloudName,
    FloatingIpId,
    ImageId,
    NetworkId,
    PortId,
    ProjectId,
    SecurityGroupId,
    ServerId,
    VolumeId,
)
from armillary.base.units import GiB
from armillary.fleet.parts import (
    Capacity,
    Card,
    Network,
    Reading,
    RuleRequest,
    SecurityGroup,
    ServerEvent,
    Volume,
    would_cut_off,
)
from armillary.fleet.ports import Cloud

PROTOCOLS = frozenset({"tcp", "udp", "icmp"})
LARGEST_VOLUME = 100_000
"""GiB; what is more is a slip of the keyboard"""


class CloudsByName:
    """Knows the clouds by their names."""

    def __init__(self, *, clouds: Sequence[Cloud]) -> None:
        self._clouds: Mapping[CloudName, Cloud] = {cloud.settings.name: cloud for cloud in clouds}

    def _cloud(self, name: CloudName) -> Cloud:
        try:
            return self._clouds[name]
        except KeyError:
            raise NotFound(
                f"There is no cloud {name}.",
                code="cloud_not_found",
                facts={"cloud": name, "clouds": list(self._clouds)},
                remedy="Choose one of the clouds.",
            ) from None


class Tending(CloudsByName):
    """Figures, history, sizes; volumes; networks and who may come in."""

    def running(self, cloud: CloudName) -> list[tuple[str, ServerId]]:
        """Everybody's running machines there but workers, each with the id of its project."""
        return self._cloud(cloud).tending.running()

    def capacity(self, cloud: CloudName) -> Capacity | None:
        """What a cloud's hosts have and what is taken of it; None where the cloud tells nobody."""
        return self._cloud(cloud).tending.capacity()

    def reading(self, cloud: CloudName, project_id: str, server_id: ServerId) -> Reading:
        """What the hypervisor measures of a machine now; for the loop, which asks no one."""
        return self._cloud(cloud).tending.reading(project_id, server_id)

    def events(self, cloud: CloudName, project: Project, server_id: ServerId) -> list[ServerEvent]:
        """What was done to a machine, the newest first."""
        return self._cloud(cloud).tending.events(project, server_id)

    def resize_server(self, cloud: CloudName, project: Project, server_id: ServerId, flavor: str) -> None:
        """Begin to give a machine another size; keep it with `settle_resize`.

        Raises:
            Conflict: code `same_size`; or its disk would have to shrink.
        """
        there = self._cloud(cloud).servers
        server = there.server(project, server_id)
        sizes = {size.name: size for size in there.flavors(project)}
        wanted, now = sizes.get(flavor), sizes.get(server.flavor)
        if wanted is None:
            raise NotFound(
                f"Cloud {cloud} has no flavor {flavor}.",
                code="flavor_not_found",
                facts={"cloud": cloud, "flavor": flavor, "flavors": list(sizes)},
                remedy="Choose one of its flavors.",
            )
        if server.flavor == flavor:
            raise Conflict(
                f"{server.name} has the size {flavor} already.",
                code="same_size",
                facts={"server": server.name, "flavor": flavor},
                remedy="Choose another size.",
            )
        if now and wanted.disk < now.disk:
            raise Conflict(
                f"The disk of {server.name} has {now.disk} GiB, and {flavor} only {wanted.disk}.",
                code="disk_would_shrink",
                facts={"server": server.name, "flavor": flavor, "has": now.disk, "offers": wanted.disk},
                remedy="Choose a size with a disk as large, or launch a new machine.",
            )
        self._cloud(cloud).tending.resize(project, server_id, flavor)

    def settle_resize(self, cloud: CloudName, project: Project, server_id: ServerId, *, keep: bool) -> None:
        """Keep a machine's new size, or go back to the old one."""
        self._cloud(cloud).tending.settle_resize(project, server_id, keep=keep)

    def rebuild_server(
        self, cloud: CloudName, project: Project, server_id: ServerId, image_id: ImageId
    ) -> None:
        """Begin a machine's disk anew from an image of that cloud; what was on it is gone."""
        self._cloud(cloud).tending.rebuild(project, server_id, image_id)

    # volumes

    def volumes(self, cloud: CloudName, project: Project) -> list[Volume]:
        """The project's volumes there, the newest first."""
        return self._cloud(cloud).volumes.volumes(project)

    def create_volume(self, cloud: CloudName, project: Project, *, name: str, size: GiB) -> Volume:
        """Make an empty volume.

        Raises:
            Invalid: the size is no sensible one.
        """
        if not 1 <= size <= LARGEST_VOLUME:
            raise Invalid(
                f"A volume has 1 to {LARGEST_VOLUME} GiB.",
                code="bad_volume_size",
                facts={"field": "size", "size": size},
                remedy="Name its size in GiB.",
            )
        return self._cloud(cloud).volumes.create(project, name, size)

    def delete_volume(self, cloud: CloudName, project: Project, volume_id: VolumeId) -> None:
        """Remove a volume and what is on it."""
        self._cloud(cloud).volumes.delete(project, volume_id)

    def attach_volume(
        self, cloud: CloudName, project: Project, server_id: ServerId, volume_id: VolumeId
    ) -> None:
        """Plug a volume into a machine of the same cloud."""
        self._cloud(cloud).volumes.attach(project, server_id, volume_id)

    def detach_volume(
        self, cloud: CloudName, project: Project, server_id: ServerId, volume_id: VolumeId
    ) -> None:
        """Pull a volume out; the machine should have unmounted it."""
        self._cloud(cloud).volumes.detach(project, server_id, volume_id)

    # networks

    def networks(self, cloud: CloudName, project: Project) -> list[Network]:
        """The networks that machines of the project may be on."""
        return self._cloud(cloud).networks.networks(project)

    def create_network(self, cloud: CloudName, project: Project, *, name: str, cidr: str) -> Network:
        """Make a network with a subnet and a router to the outside."""
        return self._cloud(cloud).networks.create_network(project, name, cidr)

    def delete_network(self, cloud: CloudName, project: Project, network_id: NetworkId) -> None:
        """Remove a network of the project."""
        self._cloud(cloud).networks.delete_network(project, network_id)

    def security_groups(self, cloud: CloudName, project: Project) -> list[SecurityGroup]:
        """The project's security groups there with their rules."""
        return self._cloud(cloud).networks.groups(project)

    def create_security_group(self, cloud: CloudName, project: Project, name: str) -> SecurityGroup:
        """Make a security group that lets nothing in yet."""
        return self._cloud(cloud).networks.create_group(project, name)

    def delete_security_group(self, cloud: CloudName, project: Project, group_id: SecurityGroupId) -> None:
        """Remove a security group."""
        self._cloud(cloud).networks.delete_group(project, group_id)

    def add_rule(
        self, cloud: CloudName, project: Project, group_id: SecurityGroupId, rule: RuleRequest
    ) -> None:
        """Let some traffic in to the machines of a group.

        Raises:
            Invalid: code `bad_rule`.
        """
        low, high = rule.low, rule.high
        ports = [port for port in (low, high) if port is not None]
        fits = all(1 <= port <= 65535 for port in ports) and (len(ports) != 2 or ports[0] <= ports[1])
        if rule.protocol not in PROTOCOLS or not fits or (rule.protocol != "icmp" and not ports):
            raise Invalid(
                "A rule names tcp or udp with a port from 1 to 65535 (or a range), or icmp.",
                code="bad_rule",
                facts={"field": "ports", "protocol": rule.protocol, "low": low, "high": high},
                remedy="Give one port, like 443, or a range, like 8000-8080.",
            )
        self._cloud(cloud).networks.add_rule(project, group_id, rule)

    def remove_rule(self, cloud: CloudName, project: Project, rule_id: str) -> None:
        """Close what a rule opened."""
        self._cloud(cloud).networks.remove_rule(project, rule_id)

    def cards(self, cloud: CloudName, project: Project, server_id: ServerId) -> list[Card]:
        """The network cards of a machine, with their floating IPs."""
        return self._cloud(cloud).cards.cards(project, server_id)

    def plug_network(
        self, cloud: CloudName, project: Project, server_id: ServerId, network_id: NetworkId
    ) -> None:
        """Give a machine a card on one more network."""
        self._cloud(cloud).cards.plug(project, server_id, network_id)

    def unplug_card(self, cloud: CloudName, project: Project, server_id: ServerId, card_id: PortId) -> None:
        """Pull a card of a machine."""
        self._cloud(cloud).cards.unplug(project, server_id, card_id)

    def set_groups(
        self,
        cloud: CloudName,
        project: Project,
        server_id: ServerId,
        card_id: PortId,
        groups: Sequence[SecurityGroupId],
    ) -> None:
        """Give a machine's card exactly these security groups."""
        self._cloud(cloud).cards.set_groups(project, server_id, card_id, groups)

    def give_address(self, cloud: CloudName, project: Project, server_id: ServerId) -> None:
        """Put a floating IP on a machine's first card that has none.

        Raises:
            Conflict: code `no_free_card`.
        """
        for card in self._cloud(cloud).cards.cards(project, server_id):
            if card.floating_id is None:
                self._cloud(cloud).cards.give_address(project, server_id, card.id)
                return
        raise Conflict(
            "Every card of this machine has a floating IP.",
            code="no_free_card",
            facts={"server": server_id},
            remedy="Take one off first.",
        )

    def take_address(
        self, cloud: CloudName, project: Project, server_id: ServerId, floating_id: FloatingIpId
    ) -> None:
        """Take a floating IP off a machine and give it back."""
        self._cloud(cloud).cards.take_address(project, server_id, floating_id)

    def machines_cut_off(
        self, cloud: CloudName, project: Project, *, without_rule: str
    ) -> list[tuple[ServerId, str]]:
        """The running machines with a floating IP that ssh would no longer reach without a rule: id and name."""
        there = self._cloud(cloud)
        groups = there.networks.groups(project)
        if not any(rule.id == without_rule and rule.lets_ssh_in for g in groups for rule in g.rules):
            return []
        return [
            (server.id, server.name)
            for server in there.servers.servers(project)
            if server.floating_ip
            and would_cut_off(there.cards.cards(project, server.id), groups, without_rule=without_rule)
        ]

    # images

    def share_image(self, cloud: CloudName, project: Project, image_id: ImageId, *, other: ProjectId) -> None:
        """Offer an image of the project to another, which accepts it or not."""
        self._cloud(cloud).sharing.share(project, image_id, other)

    def offered_images(self, cloud: CloudName, project: Project) -> list[tuple[ImageId, str]]:
        """Images that other projects offer to this one, and that it has not answered: id and name."""
        return self._cloud(cloud).sharing.offered(project)

    def accept_image(self, cloud: CloudName, project: Project, image_id: ImageId, *, take: bool) -> None:
        """Take an image that is offered to the project, or turn it down."""
        self._cloud(cloud).sharing.accept(project, image_id, take=take)

    def publish_image(self, cloud: CloudName, project: Project, image_id: ImageId, *, public: bool) -> None:
        """Let everybody use an image, or only its project again. Callers see to it that an administrator asks."""
        self._cloud(cloud).sharing.publish(project, image_id, public=public)

    def protect_image(
        self, cloud: CloudName, project: Project, image_id: ImageId, *, protected: bool
    ) -> None:
        """Have an image refuse to be deleted there, by whatever client, or not any more."""
        self._cloud(cloud).sharing.protect(project, image_id, protected=protected)


def kept(error: Forbidden) -> Forbidden:
    """Return a cloud's refusal to delete an image; if it is protected, with what that means here."""
    if "protected" not in error.message.lower():
        return error
    return Forbidden(
        error.message,
        code="image_protected",
        facts=error.facts,
        remedy="Frozen jobs need it. Their owner may let it go: armillary unfreeze CLUSTER",
    )
