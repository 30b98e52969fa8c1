"""What the fleet asks of one cloud: its images and its servers. Adapters: openstacksdk, and the fake.

Every call is scoped to one project; where that is None, the cloud's own credential decides. All raise
`ArmillaryError` kinds only: `NotFound`, `QuotaExceeded`, `Conflict`, `Invalid`, and `Unavailable` when the
cloud does not answer, or wants to be left alone (fact `retry_after`, seconds).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from armillary.accounts.model import Project
from armillary.base.ids import ImageId, ProjectId, ServerId
from armillary.fleet.model import (
    FleetCloud,
    FleetFlavor,
    FleetImage,
    FleetServer,
    Limits,
    ServerRequest,
)
from armillary.fleet.ports_people import CloudCards, CloudNetworks, CloudTending, CloudVolumes


class CloudImages(Protocol):
    """The images of one cloud."""

    def images(self, project: Project) -> list[FleetImage]:
        """Every image that the project may use, newest first."""
        ...

    def open(self, project: Project, image_id: ImageId, *, offset: int = 0) -> Iterator[bytes]:
        """The image's bytes from `offset` on, in pieces. Breaks off with `Unavailable` when the cloud does."""
        ...

    def upload(self, project: Project, like: FleetImage, chunks: Iterator[bytes]) -> FleetImage:
        """Make an image with the name, formats, properties and digest of `like` from `chunks`.

        After success it is active with exactly that digest. After failure nothing of it is left.
        """
        ...

    def snapshot(
        self, project: Project, server_id: ServerId, name: str, properties: Mapping[str, str]
    ) -> ImageId:
        """Begin an image of the server's disk as it is now; it becomes active later, or vanishes."""
        ...

    def delete(self, project: Project, image_id: ImageId) -> None:
        """Remove the image. Unknown ids are fine."""
        ...


class CloudSharing(Protocol):
    """Who else may use an image of one cloud."""

    def share(self, project: Project, image_id: ImageId, other: ProjectId) -> None:
        """Offer the project's image to another. Repeating is fine; NotFound if it is not the project's own."""
        ...

    def offered(self, project: Project) -> list[tuple[ImageId, str]]:
        """What others offer to the project and it has not answered: id and name."""
        ...

    def accept(self, project: Project, image_id: ImageId, *, take: bool) -> None:
        """Take what is offered, or turn it down. NotFound if it is not offered."""
        ...

    def publish(self, project: Project, image_id: ImageId, *, public: bool) -> None:
        """Let everybody use it, or only its project again. NotFound if it is not there."""
        ...

    def protect(self, project: Project, image_id: ImageId, *, protected: bool) -> None:
        """Have it refuse to be deleted (`image_protected`), or not any more. Forbidden for what is another's."""
        ...


class CloudServers(Protocol):
    """The machines of one cloud."""

    def flavors(self, project: Project | None = None) -> list[FleetFlavor]:
        """Every flavor, smallest first."""
        ...

    def limits(self, project: Project) -> Limits:
        """The project's quota and its use."""
        ...

    def create(self, project: Project, request: ServerRequest) -> FleetServer:
        """Begin a machine. It is there when this returns, if only in BUILD; a floating IP may come later."""
        ...

    def servers(self, project: Project) -> list[FleetServer]:
        """The project's machines, newest first."""
        ...

    def server(self, project: Project, server_id: ServerId) -> FleetServer:
        """One machine; gives it the floating IP that it was promised, if that is possible now."""
        ...

    def act(self, project: Project, server_id: ServerId, action: str) -> None:
        """`start`, `stop`, `reboot` or `delete` it; deleting releases its floating IP and takes unknown ids."""
        ...

    def console(self, project: Project, server_id: ServerId, lines: int) -> str:
        """The end of what it wrote on its serial console."""
        ...

    def screen(self, project: Project, server_id: ServerId, *, serial: bool = False) -> str:
        """An address, good for some minutes, of its screen's page, or of its serial line's WebSocket. Conflict if it does not run."""
        ...

    def ensure_key(self, project: Project, name: str, public_key: str) -> None:
        """Have the ssh key under that name. The same key again is fine; another under that name is Conflict."""
        ...


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One cloud of the fleet with its adapters."""

    settings: FleetCloud
    images: CloudImages
    servers: CloudServers
    sharing: CloudSharing
    tending: CloudTending
    volumes: CloudVolumes
    networks: CloudNetworks
    cards: CloudCards
