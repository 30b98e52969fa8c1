"""What compute keeps. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from armillary.base.ids import ImageId, PersonId, ProjectId, ServerId, Sha512
from armillary.base.units import GiB, MiB


class VmState(StrEnum):
    """Nova's vm_state: what a server is."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """Nova's task_state: what is being done to a server. It is also our journal: whatever stands here when the
    platform starts was promised and is not done.
    """

    SCHEDULING = "scheduling"
    SPAWNING = "spawning"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    IMAGE_SNAPSHOT = "image_snapshot"
    DELETING = "deleting"


@dataclass(frozen=True, kw_only=True)
class Flavor:
    """A size of server."""

    id: str
    name: str
    vcpus: int
    ram: MiB
    disk: GiB
    ephemeral: GiB
    swap: MiB
    is_public: bool = True
    rxtx_factor: float = 1.0
    description: str | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Keypair:
    """A person's public ssh key under a name."""

    person_id: PersonId
    name: str
    kind: str
    public_key: str
    fingerprint: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a server is in ERROR."""

    code: int
    message: str
    created: str


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server's record. It keeps its own copy of flavor and key, which may be deleted while it lives."""

    id: ServerId
    name: str
    description: str | None
    hostname: str
    project_id: ProjectId
    user_id: PersonId
    image_id: ImageId
    image_sha512: Sha512
    image_format: str
    flavor: Flavor
    key_name: str | None
    key_type: str
    public_key: str | None
    user_data: str | None
    """base64, as it came"""
    config_drive: bool
    metadata: Mapping[str, str]
    tags: tuple[str, ...]
    seed: str
    """base64 of random bytes for the guest; the same at every boot"""
    reservation_id: str
    launch_index: int
    vm_state: VmState
    task_state: TaskState | None
    fault: Fault | None
    locked: bool
    locked_reason: str | None
    charged: bool
    """Counts against the project's quota."""
    placed: bool
    """Counts against the cloud's capacity."""
    snapshot_image_id: ImageId | None
    """The image that a running snapshot is going to be."""
    created_at: datetime
    updated_at: datetime
    launched_at: datetime | None
    deleted_at: datetime | None
    access_ipv4: str | None = None
    """What its owner says; nothing follows from it."""
    access_ipv6: str | None = None
    disk_config: str = "MANUAL"


@dataclass(frozen=True, kw_only=True)
class InstanceAction:
    """Something that somebody did to a server."""

    id: str
    """the request id"""
    server_id: ServerId
    action: str
    project_id: ProjectId
    user_id: PersonId
    started_at: datetime
    updated_at: datetime
    finished: bool
    message: str | None
