"""What the fleet tells about clouds, images and servers. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from armillary.base.ids import CloudName, ImageId, ServerId, Sha512, VolumeId
from armillary.base.units import GiB, MiB

ADDRESS_MARK = "armillary_address"
"""Server metadata: `floating` says that this server was promised a floating IP, which we release with it."""
PROJECT_MARK = "armillary_project"
"""Server metadata and image property: our project's id, for clouds where all projects share one account."""

WORKER_MARK = "armillary_worker"
"""Server metadata: the worker that the server is. Found again by it when the reply to a create was lost."""

COPY_MARK = "armillary_copy"
"""Image property: the digest of which this is a copy of ours."""

OWN_LOGINS = {name: name for name in ("ubuntu", "fedora", "almalinux", "rocky")}
"""Distributions whose cloud images have a user of their own name."""


@dataclass(frozen=True, kw_only=True)
class FleetCloud:
    """One cloud as we use it: what `clouds.yaml` does not say about it."""

    name: CloudName
    """Its entry in `clouds.yaml`."""
    guest_url: str
    """The platform's address as machines of this cloud reach it."""
    per_project: bool = True
    """True: our project ids are projects there, and each call is scoped to one. False: one account for all."""
    external_network: str = "public"
    """Where floating IPs come from."""
    image_visibility: str = "private"
    """The visibility of images that we copy there."""


@dataclass(frozen=True, kw_only=True)
class FleetFlavor:
    """A size of machine on one cloud."""

    id: str
    name: str
    vcpus: int
    ram: MiB
    disk: GiB
    ephemeral: GiB
    gpus: int = 0


@dataclass(frozen=True, kw_only=True)
class FleetImage:
    """A machine image on one cloud. `sha512` is its name on all of them; None until its bytes are there."""

    id: ImageId
    name: str
    cloud: CloudName
    sha512: Sha512 | None
    size: int
    min_disk: GiB
    status: str
    visibility: str
    owner: str
    disk_format: str
    created_at: datetime
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    is_protected: bool = False
    """whether the cloud refuses to delete it"""

    @property
    def login(self) -> str:
        """The user name to sign in with, from the image's properties (Glance's `os_admin_user`)."""
        distribution = self.properties.get("os_distro", "debian")
        return self.properties.get("os_admin_user") or OWN_LOGINS.get(distribution, "debian")


@dataclass(frozen=True, kw_only=True)
class SshAddress:
    """Where a machine's ssh answers."""

    host: str
    port: int = 22

    def command(self, user: str) -> str:
        """The line to type."""
        return f"ssh {user}@{self.host}" if self.port == 22 else f"ssh -p {self.port} {user}@{self.host}"


@dataclass(frozen=True, kw_only=True)
class FleetServer:
    """A machine on one cloud, as the cloud tells it now. `status` is Nova's: BUILD, ACTIVE, SHUTOFF, ERROR."""

    id: ServerId
    name: str
    cloud: CloudName
    status: str
    fault: str
    fixed_ip: str | None
    floating_ip: str | None
    ssh: SshAddress | None
    image_id: ImageId | None
    flavor: str
    created_at: datetime
    key_name: str | None = None
    task: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def state(self) -> str:
        """Its status, or DELETING once that has been asked for: Nova keeps the old status until it is gone."""
        return "DELETING" if self.task == "deleting" else self.status

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it changes by itself soon."""
        rests = self.status in ("ACTIVE", "SHUTOFF", "ERROR", "VERIFY_RESIZE", "PAUSED", "SUSPENDED")
        return rests and self.task is None and not self.wants_address

    @property
    def wants_address(self) -> bool:
        """Whether a floating IP was promised and is still missing."""
        return self.metadata.get(ADDRESS_MARK) == "floating" and self.floating_ip is None


@dataclass(frozen=True, kw_only=True)
class ServerRequest:
    """A machine to make."""

    name: str
    image_id: ImageId
    flavor: str
    user_data: str | None = None
    key_name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    floating_ip: bool = False
    networks: Sequence[str] = ()
    """Ids; none: the project's own, as the cloud finds it."""
    groups: Sequence[str] = ()
    """Names of security groups; none: the project's default one."""
    volumes: Sequence[VolumeId] = ()
    """Free volumes that it is to have from the beginning."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A project's quota on one cloud and its use; None means without limit."""

    cores: int | None
    cores_used: int
    ram: MiB | None
    ram_used: MiB
    instances: int | None
    instances_used: int


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One reason why a cloud takes no more machines now."""

    cloud: CloudName
    code: str
    message: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """The JSON shape."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Room:
    """How many machines of one flavor a cloud would take now; when none, all the reasons."""

    count: int
    refusals: tuple[Refusal, ...] = ()
