"""The fleet: every cloud that we may use, as one thing that callers choose places in."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Conflict, Forbidden, NotFound
from armillary.base.ids import CloudName, ImageId, ServerId, Sha512, VolumeId
from armillary.fleet.capacity import room_of
from armillary.fleet.copying import Copy, Copying
from armillary.fleet.model import (
    FleetCloud,
    FleetFlavor,
    FleetImage,
    FleetServer,
    Limits,
    Refusal,
    Room,
    ServerRequest,
)
from armillary.fleet.ports import Cloud
from armillary.fleet.tending import Tending, kept

REFUSED_FOR = timedelta(seconds=60)
"""How long a cloud that had no host for a flavor is believed to have none still."""


class FleetService(Tending):
    """Answers for all clouds. Safe to use from many threads; no call touches the network before it must."""

    def __init__(self, *, clouds: Sequence[Cloud], clock: Clock) -> None:
        super().__init__(clouds=clouds)
        self._clock = clock
        self._copying = Copying(clouds=self._clouds, clock=clock)
        self._lock = threading.Lock()
        self._refused: dict[tuple[CloudName, str], tuple[datetime, Refusal]] = {}

    def clouds(self) -> list[CloudName]:
        """The names of all clouds, in the order of the settings."""
        return list(self._clouds)

    def settings(self, cloud: CloudName) -> FleetCloud:
        """How we use that cloud."""
        return self._cloud(cloud).settings

    def flavors(self, cloud: CloudName, project: Project | None = None) -> list[FleetFlavor]:
        """The sizes of machines there, smallest first."""
        return self._cloud(cloud).servers.flavors(project)

    def flavor(self, cloud: CloudName, name: str, project: Project | None = None) -> FleetFlavor:
        """One size by its name.

        Raises:
            NotFound: code `flavor_not_found`.
        """
        known = self.flavors(cloud, project)
        for flavor in known:
            if name in (flavor.name, flavor.id):
                return flavor
        raise NotFound(
            f"Cloud {cloud} has no flavor {name}.",
            code="flavor_not_found",
            facts={"cloud": cloud, "flavor": name, "flavors": [flavor.name for flavor in known]},
            remedy="Choose one of its flavors.",
        )

    def limits(self, cloud: CloudName, project: Project) -> Limits:
        """The project's quota there and its use."""
        return self._cloud(cloud).servers.limits(project)

    # images

    def images(self, cloud: CloudName, project: Project) -> list[FleetImage]:
        """Every image that the project may use there, newest first."""
        return self._cloud(cloud).images.images(project)

    def image(self, cloud: CloudName, project: Project, image_id: ImageId) -> FleetImage:
        """One image there by its id."""
        for image in self.images(cloud, project):
            if image.id == image_id:
                return image
        raise _no_image(image_id)

    def find_image(self, project: Project, name_or_id_or_sha512: str) -> FleetImage:
        """The active image that the words mean, on whichever cloud it is.

        A cloud that does not answer is passed over as long as another knows the image.

        Raises:
            NotFound: code `image_not_found`.
            Conflict: code `image_ambiguous`, when one name means different digests.
        """
        wanted = name_or_id_or_sha512
        found: list[FleetImage] = []
        silent: ArmillaryError | None = None
        for name in self._clouds:
            try:
                there = self.images(name, project)
            except ArmillaryError as error:
                silent = error
                continue
            found += [
                i for i in there if i.status == "active" and i.sha512 and wanted in (i.id, i.sha512, i.name)
            ]
        exact = [image for image in found if image.name != wanted] or found
        if not exact:
            raise silent or _no_image(wanted)
        digests = {image.sha512 for image in exact}
        if len(digests) > 1:
            raise Conflict(
                f"{len(digests)} different images are named {wanted}.",
                code="image_ambiguous",
                facts={"name": wanted, "sha512": sorted(str(digest) for digest in digests)},
                remedy="Name the image by its id or its SHA-512 digest.",
            )
        return exact[0]

    def ensure_image(self, cloud: CloudName, project: Project, sha512: Sha512) -> ImageId:
        """Have the image with that digest on that cloud, copied from another when it is missing; return its id.

        Repeating is free, and of several callers at once only one copies. After failure no half image stays.
        """
        self._cloud(cloud)
        return self._copying.ensure(cloud, project, sha512)

    def copies(self) -> dict[tuple[CloudName, Sha512], Copy]:
        """The copies that are being made now, by the cloud that they go to and their digest."""
        return self._copying.under_way()

    def upload_image(
        self, cloud: CloudName, project: Project, *, like: FleetImage, chunks: Iterator[bytes]
    ) -> FleetImage:
        """Make an image with the name, formats, properties and digest of `like`; whole, or nothing stays."""
        return self._cloud(cloud).images.upload(project, like, chunks)

    def image_bytes(
        self, cloud: CloudName, project: Project, image_id: ImageId, *, offset: int = 0
    ) -> Iterator[bytes]:
        """An image's bytes from `offset` on; whether they are what its digest says is for the caller to find out."""
        return self._cloud(cloud).images.open(project, image_id, offset=offset)

    def snapshot(
        self,
        cloud: CloudName,
        project: Project,
        server_id: ServerId,
        *,
        name: str,
        properties: Mapping[str, str] | None = None,
    ) -> ImageId:
        """Begin an image of a server's disk; it becomes active later."""
        return self._cloud(cloud).images.snapshot(project, server_id, name, properties or {})

    def delete_image(self, cloud: CloudName, project: Project, image_id: ImageId) -> None:
        """Remove an image from one cloud. Raises Forbidden `image_protected` for one that is kept."""
        try:
            self._cloud(cloud).images.delete(project, image_id)
        except Forbidden as error:
            raise kept(error) from error

    # servers

    def room(self, cloud: CloudName, project: Project, flavor: str) -> Room:
        """How many more machines of `flavor` that cloud would take now; a cloud out of reach has room for none."""
        with self._lock:
            refused = self._refused.get((cloud, flavor))
        if refused and self._clock.now() - refused[0] < REFUSED_FOR:
            return Room(count=0, refusals=(refused[1],))
        try:
            size = self.flavor(cloud, flavor, project)
            return room_of(cloud, self.limits(cloud, project), size)
        except ArmillaryError as error:
            why = Refusal(
                cloud=cloud, code=error.code, message=error.message, remedy=error.remedy, facts=error.facts
            )
            return Room(count=0, refusals=(why,))

    def note_refusal(
        self, cloud: CloudName, flavor: str, message: str, *, at: datetime | None = None
    ) -> None:
        """Remember that the cloud had no host for `flavor`, so that `room` says so for a while."""
        why = Refusal(
            cloud=cloud,
            code="no_capacity",
            message=message,
            facts={"flavor": flavor},
            remedy="It is tried again within a minute; a smaller flavor may start sooner.",
        )
        with self._lock:
            self._refused[(cloud, flavor)] = (at or self._clock.now(), why)

    def create_server(
        self,
        cloud: CloudName,
        project: Project,
        *,
        name: str,
        image_id: ImageId,
        flavor: str,
        user_data: str | None = None,
        key_name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        floating_ip: bool = False,
        networks: Sequence[str] = (),
        groups: Sequence[str] = (),
        volumes: Sequence[VolumeId] = (),
    ) -> FleetServer:
        """Begin a machine there; it is known to the cloud when this returns, in BUILD or further.

        `user_data` is plain text; `networks` are ids and `groups` names of security groups, or none for the usual ones. With `floating_ip` the machine gets one as soon as it can carry it.

        Raises:
            QuotaExceeded: it does not fit into the project's quota on that cloud.
        """
        request = ServerRequest(
            name=name,
            image_id=image_id,
            flavor=flavor,
            user_data=user_data,
            key_name=key_name,
            metadata=dict(metadata or {}),
            floating_ip=floating_ip,
            networks=tuple(networks),
            groups=tuple(groups),
            volumes=tuple(volumes),
        )
        return self._cloud(cloud).servers.create(project, request)

    def servers(
        self, cloud: CloudName, project: Project, metadata: Mapping[str, str] | None = None
    ) -> list[FleetServer]:
        """The project's machines there, newest first; with `metadata`, those that carry all of it."""
        wanted = (metadata or {}).items()
        there = self._cloud(cloud).servers.servers(project)
        for server in there:
            self._learn(server)
        return [server for server in there if wanted <= server.metadata.items()]

    def server(self, cloud: CloudName, project: Project, server_id: ServerId) -> FleetServer:
        """One machine as it is now."""
        server = self._cloud(cloud).servers.server(project, server_id)
        self._learn(server)
        return server

    def start_server(self, cloud: CloudName, project: Project, server_id: ServerId) -> None:
        """Start a stopped machine."""
        self._cloud(cloud).servers.act(project, server_id, "start")

    def stop_server(self, cloud: CloudName, project: Project, server_id: ServerId) -> None:
        """Shut a machine down; its disks stay."""
        self._cloud(cloud).servers.act(project, server_id, "stop")

    def reboot_server(self, cloud: CloudName, project: Project, server_id: ServerId) -> None:
        """Restart a machine."""
        self._cloud(cloud).servers.act(project, server_id, "reboot")

    def delete_server(self, cloud: CloudName, project: Project, server_id: ServerId) -> None:
        """Remove a machine with its disks and floating IP. A machine that is gone already is fine."""
        self._cloud(cloud).servers.act(project, server_id, "delete")

    def console_log(
        self, cloud: CloudName, project: Project, server_id: ServerId, *, lines: int = 500
    ) -> str:
        """The end of what the machine wrote on its serial console."""
        return self._cloud(cloud).servers.console(project, server_id, lines)

    def screen(self, cloud: CloudName, project: Project, server_id: ServerId, *, serial: bool = False) -> str:
        """An address, good for some minutes, at which a browser shows the machine's screen; or its serial line's WebSocket."""
        return self._cloud(cloud).servers.screen(project, server_id, serial=serial)

    def ensure_key(self, cloud: CloudName, project: Project, *, name: str, public_key: str) -> None:
        """Have an ssh public key there under `name`."""
        self._cloud(cloud).servers.ensure_key(project, name, public_key)

    def _learn(self, server: FleetServer) -> None:
        # Nova says "No valid host" only in the fault of the server that it could not place
        if server.status != "ERROR" or "no valid host" not in server.fault.lower():
            return
        if self._clock.now() - server.created_at < REFUSED_FOR:
            self.note_refusal(server.cloud, server.flavor, server.fault, at=server.created_at)


def _no_image(wanted: str) -> NotFound:
    return NotFound(
        f"No cloud has an active image {wanted} that this project may use.",
        code="image_not_found",
        facts={"image": wanted},
        remedy="List the images and name one of them by name, id or SHA-512 digest.",
    )
