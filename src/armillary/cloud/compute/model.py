"""What compute keeps. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from armillary.base.ids import ImageId, PersonId, PortId, ProjectId, ServerId, Sha512, VolumeId
from armillary.base.units import GiB, MiB

_NO_IMAGE = Sha512("")


class VmState(StrEnum):
    """Nova's vm_state: what a server is."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESCUED = "rescued"
    RESIZED = "resized"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"
    SOFT_DELETED = "soft-delete"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """Nova's task_state: what is being done to a server. It is also our journal: whatever stands here when the
    platform starts was promised and is not done.
    """

    SCHEDULING = "scheduling"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    SPAWNING = "spawning"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    REBUILDING = "rebuilding"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_FINISH = "resize_finish"
    RESIZE_CONFIRMING = "resize_confirming"
    RESIZE_REVERTING = "resize_reverting"
    SHELVING = "shelving"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_BACKUP = "image_backup"
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
    """Empty if it boots from a volume."""
    image_sha512: Sha512
    """What its root disk was made from; after shelving the shelved image, while `image_id` stays."""
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
    availability_zone: str | None = None
    """The one that was asked for."""
    group_id: str | None = None
    """The server group that it was made a member of."""
    trusted_certs: tuple[str, ...] = ()
    admin_pass: str | None = None
    """For the guest, until its machine has booted with it; then forgotten."""
    files: tuple[Mapping[str, str], ...] = ()
    """Injected files: `path`, and `contents` in base64."""
    resting: VmState | None = None
    """What it goes back to when the task, or the resize, is over."""
    old_flavor: Flavor | None = None
    """Before a resize that is neither confirmed nor reverted."""
    rescue_sha512: Sha512 = _NO_IMAGE
    """The image that it was rescued with."""
    rescue_format: str = "raw"
    shelved_image_id: ImageId | None = None
    locked_by_admin: bool = False
    """Somebody of another project locked it, and its owner cannot unlock it."""

    @property
    def from_volume(self) -> bool:
        """It boots from a volume, and has no root disk of its own."""
        return not self.image_sha512

    @property
    def footprint(self) -> Flavor:
        """What it takes of the cloud's capacity, as a flavor."""
        size = replace(self.flavor, disk=GiB(0)) if self.from_volume else self.flavor
        old = self.old_flavor
        if old is None:
            return size
        # until the resize is confirmed its old disk is kept; but only one of the two sizes runs at a time
        return replace(
            size,
            vcpus=max(size.vcpus, old.vcpus),
            ram=max(size.ram, old.ram),
            disk=size.disk if self.from_volume else GiB(size.disk + old.disk),
            ephemeral=max(size.ephemeral, old.ephemeral),
        )


class DeviceState(StrEnum):
    """How far a device of a server has come. All but `ATTACHED` is journal: it was promised and is not done."""

    WANTED = "wanted"
    """to be made or taken when the server is built"""
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


@dataclass(frozen=True, kw_only=True)
class BlockDevice:
    """A disk of a server, as Nova's block device mapping describes it."""

    id: str
    server_id: ServerId
    source_type: str
    """`blank`, `image`, `snapshot` or `volume`"""
    destination_type: str
    """`local` or `volume`"""
    source_id: str | None
    """of the image, snapshot or volume"""
    volume_id: VolumeId | None
    """None until its volume is made, and for local disks"""
    size: GiB | None
    volume_type: str | None
    guest_format: str | None
    device_name: str
    boot_index: int | None
    """0: the server boots from it; None or negative: never"""
    delete_on_termination: bool
    tag: str | None
    attachment_id: str
    state: DeviceState
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What compute keeps of a network card, beside the port that it is."""

    port_id: PortId
    server_id: ServerId
    tag: str | None
    state: DeviceState


@dataclass(frozen=True, kw_only=True)
class Migration:
    """A resize of a server: on one computer, the only kind of migration that there is."""

    number: int
    id: str
    server_id: ServerId
    project_id: ProjectId
    user_id: PersonId
    old_flavor_id: str
    new_flavor_id: str
    status: str
    """`migrating`, `finished`, `confirmed`, `reverted` or `error`"""
    created_at: datetime
    updated_at: datetime


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
