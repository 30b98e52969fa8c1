"""What the fleet asks of one cloud for people's machines: their figures, disks, networks and rules.

As in `ports`: scoped to one project, raising `ArmillaryError` kinds only. A thing of another project is NotFound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from armillary.accounts.model import Project
from armillary.base.ids import FloatingIpId, ImageId, NetworkId, PortId, SecurityGroupId, ServerId, VolumeId
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
)


class CloudTending(Protocol):
    """What is measured of machines, and done to them beyond starting and stopping."""

    def running(self) -> list[tuple[str, ServerId]]:
        """Everybody's running machines that were not made by us as workers: (id of our project, machine)."""
        ...

    def capacity(self) -> Capacity | None:
        """What its hosts have and what is taken of it; None where a cloud tells nobody."""
        ...

    def reading(self, project_id: str, server_id: ServerId) -> Reading:
        """What the hypervisor measures now. Conflict if it does not run; Forbidden where the cloud tells nobody.

        For the platform's own loop: whose machine it is was asked before.
        """
        ...

    def events(self, project: Project, server_id: ServerId) -> list[ServerEvent]:
        """What was done to it, the newest first."""
        ...

    def resize(self, project: Project, server_id: ServerId, flavor: str) -> None:
        """Begin to give it another size; it stops for it, and waits in VERIFY_RESIZE for `settle_resize`."""
        ...

    def settle_resize(self, project: Project, server_id: ServerId, *, keep: bool) -> None:
        """Keep the new size, or go back to the old one. Conflict if it does not wait for that."""
        ...

    def rebuild(self, project: Project, server_id: ServerId, image_id: ImageId) -> None:
        """Begin its root disk anew from an image; addresses, volumes and id stay."""
        ...


class CloudVolumes(Protocol):
    """The project's volumes on one cloud."""

    def volumes(self, project: Project) -> list[Volume]:
        """Every one, the newest first."""
        ...

    def create(self, project: Project, name: str, size: GiB) -> Volume:
        """Make an empty one."""
        ...

    def delete(self, project: Project, volume_id: VolumeId) -> None:
        """Remove one. Conflict while it is attached."""
        ...

    def attach(self, project: Project, server_id: ServerId, volume_id: VolumeId) -> None:
        """Plug it into a machine."""
        ...

    def detach(self, project: Project, server_id: ServerId, volume_id: VolumeId) -> None:
        """Pull it out of a machine."""
        ...


class CloudNetworks(Protocol):
    """The project's networks and security groups on one cloud."""

    def networks(self, project: Project) -> list[Network]:
        """Those that its machines may be on: its own, then the cloud's."""
        ...

    def create_network(self, project: Project, name: str, cidr: str) -> Network:
        """Make one with a subnet and a router to the outside; whole, or nothing of it stays."""
        ...

    def delete_network(self, project: Project, network_id: NetworkId) -> None:
        """Remove one with its subnets and the routers that only it needed. Conflict while machines are on it."""
        ...

    def groups(self, project: Project) -> list[SecurityGroup]:
        """Its security groups with their rules."""
        ...

    def create_group(self, project: Project, name: str) -> SecurityGroup:
        """Make one that lets everything out and nothing in."""
        ...

    def delete_group(self, project: Project, group_id: SecurityGroupId) -> None:
        """Remove one. Conflict while a card has it."""
        ...

    def add_rule(self, project: Project, group_id: SecurityGroupId, rule: RuleRequest) -> None:
        """Let some traffic in. A rule that is there already is Conflict."""
        ...

    def remove_rule(self, project: Project, rule_id: str) -> None:
        """Close it again."""
        ...


class CloudCards(Protocol):
    """The network cards of one machine, and the floating IPs on them."""

    def cards(self, project: Project, server_id: ServerId) -> list[Card]:
        """Its cards, in the order in which they were plugged."""
        ...

    def plug(self, project: Project, server_id: ServerId, network_id: NetworkId) -> None:
        """Give it one more card, on that network."""
        ...

    def unplug(self, project: Project, server_id: ServerId, card_id: PortId) -> None:
        """Pull a card."""
        ...

    def set_groups(
        self, project: Project, server_id: ServerId, card_id: PortId, groups: Sequence[SecurityGroupId]
    ) -> None:
        """Give a card exactly these security groups."""
        ...

    def give_address(self, project: Project, server_id: ServerId, card_id: PortId) -> None:
        """Put a new floating IP on a card."""
        ...

    def take_address(self, project: Project, server_id: ServerId, floating_id: FloatingIpId) -> None:
        """Take a floating IP off a card, and give it back to the cloud."""
        ...
