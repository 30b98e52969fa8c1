"""A fleet in memory, for tests of what stands on the fleet: typed, instant, and as strict as a real one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound, PreconditionFailed, QuotaExceeded, Unavailable
from armillary.base.ids import CloudName, ImageId, ServerId, Sha512, new_uuid
from armillary.base.units import GiB, MiB
from armillary.fleet.capacity import room_of
from armillary.fleet.fake_parts import FakeParts
from armillary.fleet.fake_sharing import FakeSharing
from armillary.fleet.faults import Faults
from armillary.fleet.model import (
    ADDRESS_MARK,
    FleetCloud,
    FleetFlavor,
    FleetImage,
    FleetServer,
    Limits,
    ServerRequest,
    SshAddress,
)
from armillary.fleet.ports import Cloud
from armillary.fleet.service import FleetService

FLAVORS = (
    FleetFlavor(id="1", name="c1-1gb-5", vcpus=1, ram=MiB(1024), disk=GiB(5), ephemeral=GiB(5)),
    FleetFlavor(id="2", name="c2-2gb-10", vcpus=2, ram=MiB(2048), disk=GiB(10), ephemeral=GiB(10)),
    FleetFlavor(id="4", name="c4-8gb-20", vcpus=4, ram=MiB(8192), disk=GiB(20), ephemeral=GiB(20)),
)


class FakeCloud:
    """One cloud in memory: implements `CloudImages` and `CloudServers`.

    Attributes:
        silent: when True every call raises `Unavailable`, as a cloud that does not answer.
        boots: when True a new machine is ACTIVE as soon as it is looked at again; else it stays in BUILD
            until `set_status` says otherwise.
        uploads: how many images were uploaded here.
        creates: how many creates were asked for, those that were refused too.
        faults: what is to go wrong.
        sizes: its flavors.
        consoles_at: addresses of consoles, by `novnc` and `serial`.
        ssh_at: where ssh of all its machines answers, when it is not at their floating IPs.
        parts: its volumes, networks and figures.
        sharing: which images projects offer to each other.
    """

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        cores: int = 8,
        ram_mib: int = 16384,
        instances: int = 10,
        number: int = 16,
        flavors: Sequence[FleetFlavor] = FLAVORS,
    ) -> None:
        self.name = CloudName(name)
        self.silent = False
        self.consoles_at: dict[str, str] = {}
        self.ssh_at: SshAddress | None = None
        self.boots = True
        self.uploads = 0
        self.creates = 0
        self.faults = Faults()
        self.sizes = list(flavors)
        self._clock = clock
        self._limits = (cores, MiB(ram_mib), instances)
        self._number = number
        self._lock = threading.RLock()
        self._images: dict[ImageId, tuple[FleetImage, bytes]] = {}
        self._servers: dict[ServerId, tuple[str, FleetServer]] = {}
        self._consoles: dict[ServerId, str] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._deleted: list[tuple[datetime, str, FleetServer]] = []
        self._addresses = 10
        self.parts = FakeParts(cloud=self, clock=clock, number=number)
        self.sharing = FakeSharing(cloud=self)

    # CloudImages

    def images(self, project: Project) -> list[FleetImage]:
        """Every image that the project may use, newest first."""
        self.answer()
        with self._lock:
            usable = [
                i
                for i, _ in self._images.values()
                if i.visibility == "public" or i.owner == project.id or self.sharing.has_taken(project, i.id)
            ]
        return usable[::-1]

    def open(self, project: Project, image_id: ImageId, *, offset: int = 0) -> Iterator[bytes]:
        """The image's bytes, in pieces."""
        if image_id not in [image.id for image in self.images(project)]:
            raise NotFound(f"Cloud {self.name} has no image {image_id}.", code="image_not_found")
        content = self._images[image_id][1]
        until = offset + self.faults.breaks.pop(0) if self.faults.breaks else len(content)
        for start in range(offset, min(until, len(content)), 4096):
            self.answer()
            yield content[start : min(until, start + 4096)]
        if until < len(content):
            raise self._unreachable()

    def upload(self, project: Project, like: FleetImage, chunks: Iterator[bytes]) -> FleetImage:
        """Keep the bytes if they are those of `like`."""
        self.answer()
        if self.faults.refused_bytes:
            self._break_upload(project, like, chunks, self.faults.refused_bytes.pop(0))
        content = b"".join(chunks)
        if hashlib.sha512(content).hexdigest() != like.sha512:
            raise PreconditionFailed("The copy is not the same.", code="image_copy_differs")
        image = self._own(project, like, visibility="private")
        with self._lock:
            self._images[image.id] = (image, content)
            self.uploads += 1
        return image

    def snapshot(
        self, project: Project, server_id: ServerId, name: str, properties: Mapping[str, str]
    ) -> ImageId:
        """Make an active image at once, with bytes of its own."""
        self.server(project, server_id)
        content = f"snapshot of {server_id} as {name}".encode() * 100
        return self.add_image(name, content, project=project, properties=properties).id

    def delete(self, project: Project, image_id: ImageId) -> None:
        """Remove the image."""
        with self._lock:
            if image_id in [image.id for image in self.images(project)]:
                del self._images[self.sharing.deletable(image_id)]

    # CloudServers

    def flavors(self, project: Project | None = None) -> list[FleetFlavor]:
        """The three that every cloud in memory has, unless it was given others."""
        self.answer()
        return list(self.sizes)

    def limits(self, project: Project) -> Limits:
        """The quota of every project, and this project's use."""
        self.answer()
        return self._usage(project)

    def _usage(self, project: Project) -> Limits:
        sizes = {flavor.name: flavor for flavor in self.sizes}
        with self._lock:
            used = [sizes[server.flavor] for owner, server in self._servers.values() if owner == project.id]
        cores, ram, instances = self._limits
        return Limits(
            cores=cores,
            cores_used=sum(flavor.vcpus for flavor in used),
            ram=ram,
            ram_used=MiB(sum(flavor.ram for flavor in used)),
            instances=instances,
            instances_used=len(used),
        )

    def create(self, project: Project, request: ServerRequest) -> FleetServer:
        """Begin a machine, within quota."""
        self.creates += 1
        self.answer()
        if self.faults.creates:
            raise self.faults.creates.pop(0)
        flavor = next((f for f in self.sizes if f.name == request.flavor), None)
        if flavor is None:
            raise NotFound(f"Cloud {self.name} has no flavor {request.flavor}.", code="flavor_not_found")
        if request.image_id not in self._images:
            raise Invalid(f"Image {request.image_id} not found.")
        if request.key_name and (str(project.id), request.key_name) not in self._keys:
            raise Invalid(f"Invalid key_name {request.key_name} provided.")
        with self._lock:
            room = room_of(self.name, self._usage(project), flavor)
            if not room.count:
                raise QuotaExceeded(room.refusals[0].message)
            self._addresses += 1
            marks = {ADDRESS_MARK: "floating"} if request.floating_ip else {}
            server = FleetServer(
                id=ServerId(new_uuid()),
                name=request.name,
                cloud=self.name,
                status="BUILD",
                fault="",
                fixed_ip=f"10.0.0.{self._addresses}",
                floating_ip=None,
                ssh=None,
                image_id=request.image_id,
                flavor=request.flavor,
                created_at=self._clock.now(),
                key_name=request.key_name,
                metadata={**request.metadata, **marks},
            )
            self._servers[server.id] = (str(project.id), server)
            self._consoles[server.id] = f"[    0.000000] Linux version 6.1 booting {request.name}\n"
        for volume in request.volumes:
            self.parts.attach(project, server.id, volume)
        doom = self.faults.dooms(request)
        if doom is not None:
            self.set_status(server.id, "ERROR", fault=doom)
        if self.faults.lost_replies:
            self.faults.lost_replies -= 1
            raise self._unreachable()
        return server

    def servers(self, project: Project) -> list[FleetServer]:
        """The project's machines, newest first."""
        self.answer()
        now = self._clock.now()
        with self._lock:
            mine = [one for owner, one in self._servers.values() if owner == project.id]
            if self.faults.listed_after:
                mine = [one for one in mine if now - one.created_at >= self.faults.listed_after]
            if self.faults.listed_deleted:
                mine += [
                    one
                    for at, owner, one in self._deleted
                    if owner == project.id and now - at < self.faults.listed_deleted
                ]
            return [self._look(one) for one in reversed(mine)]

    def server(self, project: Project, server_id: ServerId) -> FleetServer:
        """One machine; in BUILD it becomes ACTIVE by being looked at, if `boots`."""
        self.answer()
        with self._lock:
            owner, server = self._servers.get(server_id, ("", None))
            if server is None or owner != project.id:
                raise NotFound(f"Cloud {self.name} has no machine {server_id}.", code="server_not_found")
            found = self._look(server)
            return replace(found, ssh=self.ssh_at) if found.ssh and self.ssh_at else found

    def _look(self, server: FleetServer) -> FleetServer:
        if server.status != "BUILD" or not self.boots or self.faults.stuck_building:
            return server
        owner, _ = self._servers.get(server.id, ("", None))
        server = replace(server, status="ACTIVE")
        if server.wants_address:
            address = f"127.{self._number}.0.{str(server.fixed_ip).rsplit('.', 1)[1]}"
            server = replace(server, floating_ip=address, ssh=SshAddress(host=address))
        if owner:
            self._servers[server.id] = (owner, server)
        return server

    def act(self, project: Project, server_id: ServerId, action: str) -> None:
        """`start`, `stop`, `reboot` or `delete` it."""
        try:
            server = self.server(project, server_id)
        except NotFound:
            if action == "delete":
                return
            raise
        if action != "delete":
            self.set_status(server_id, {"start": "ACTIVE", "stop": "SHUTOFF", "reboot": "ACTIVE"}[action])
        elif self.faults.stuck_deleting:
            self.set_status(server_id, server.status, task="deleting")
        else:
            with self._lock:
                self._servers.pop(server_id, None)
                if self.faults.listed_deleted:
                    self._deleted.append((self._clock.now(), str(project.id), server))

    def console(self, project: Project, server_id: ServerId, lines: int) -> str:
        """What `write_console` wrote."""
        self.server(project, server_id)
        return "".join(self._consoles[server_id].splitlines(keepends=True)[-lines:])

    def screen(self, project: Project, server_id: ServerId, *, serial: bool = False) -> str:
        """What a test has put at `consoles_at`; else an address of nothing."""
        if self.server(project, server_id).status != "ACTIVE":
            raise Conflict(f"Instance {server_id} is not ready", code="instance_not_ready")
        kind = "serial" if serial else "novnc"
        return self.consoles_at.get(kind) or f"http://{self.name}.example/console/{server_id}"

    def ensure_key(self, project: Project, name: str, public_key: str) -> None:
        """Keep the key."""
        self.answer()
        if self._keys.setdefault((str(project.id), name), public_key) != public_key:
            raise Conflict(f"Cloud {self.name} has another key named {name}.", code="key_differs")

    # what a test does to the cloud

    def add_image(
        self,
        name: str,
        content: bytes,
        *,
        project: Project | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> FleetImage:
        """Put an active image there: the project's own, or public."""
        image = FleetImage(
            id=ImageId(new_uuid()),
            name=name,
            cloud=self.name,
            sha512=Sha512(hashlib.sha512(content).hexdigest()),
            size=len(content),
            min_disk=GiB(1),
            status="active",
            visibility="private" if project else "public",
            owner=str(project.id) if project else "admin",
            disk_format="qcow2",
            created_at=self._clock.now(),
            properties=dict(properties or {}),
        )
        with self._lock:
            self._images[image.id] = (image, content)
        return image

    def corrupt(self, image_id: ImageId) -> None:
        """Change the image's bytes behind its digest."""
        image, content = self._images[image_id]
        self._images[image_id] = (image, content[:-1] + b"?")

    def set_status(
        self, server_id: ServerId, status: str, *, fault: str = "", task: str | None = None
    ) -> None:
        """Make a machine be in that state."""
        server = self._servers[server_id][1]
        self.change_server(replace(server, status=status, fault=fault, task=task))

    def change_server(self, server: FleetServer) -> None:
        """Make a machine be as this says."""
        self._servers[server.id] = (self._servers[server.id][0], server)

    def change_image(self, image: FleetImage) -> None:
        """Make an image be as this says."""
        self._images[image.id] = (image, self._images[image.id][1])

    def any_image(self, image_id: ImageId) -> FleetImage:
        """Whose it may be."""
        return self._images[image_id][0]

    def machines(self) -> list[tuple[str, FleetServer]]:
        """Return all machines with their projects' ids, whatever the cloud would answer."""
        return list(self._servers.values())

    def vanish(self, server_id: ServerId) -> None:
        """Have a machine be gone, without a word."""
        del self._servers[server_id]

    def write_console(self, server_id: ServerId, text: str) -> None:
        """Have the machine write on its console."""
        self._consoles[server_id] += text

    def _break_upload(self, project: Project, like: FleetImage, chunks: Iterator[bytes], after: int) -> None:
        content = b""
        while len(content) < after:
            content += next(chunks)
        if self.faults.half_images:
            half = self._own(project, like, status="saving", sha512=None)
            self._images[half.id] = (half, content)
        raise self._unreachable()

    def _own(self, project: Project, like: FleetImage, **changes: Any) -> FleetImage:
        """Return what a copy of an image is here, a project's own and new."""
        ours = {
            "id": ImageId(new_uuid()),
            "cloud": self.name,
            "owner": str(project.id),
            "is_protected": False,
        }
        return replace(like, **{**ours, **changes})

    def answer(self) -> None:
        """Raise what a cloud that is away, or fails, says."""
        if self.silent:
            raise self._unreachable()
        if self.faults.calls:
            raise self.faults.calls.pop(0)

    def _unreachable(self) -> Unavailable:
        return Unavailable(f"Cloud {self.name} does not answer.", code="cloud_unreachable")


def fake_fleet(*, clock: Clock, clouds: Sequence[FakeCloud]) -> FleetService:
    """Return the real service over clouds in memory."""
    return FleetService(
        clock=clock,
        clouds=[
            Cloud(
                settings=FleetCloud(name=cloud.name, guest_url="https://armillary.internal:8443"),
                images=cloud,
                servers=cloud,
                sharing=cloud.sharing,
                tending=cloud.parts,
                volumes=cloud.parts,
                networks=cloud.parts,
                cards=cloud.parts,
            )
            for cloud in clouds
        ],
    )
