"""What block storage asks of its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from armillary.accounts.model import Principal, Project
from armillary.base.errors import ArmillaryError
from armillary.base.ids import ImageId, ProjectId, ServerId, Sha512, VolumeId
from armillary.base.units import GiB
from armillary.cloud.model import Capacity


class DiskFailed(ArmillaryError):
    """A volume's bytes could not be made, copied or removed; `message` is fit for a user."""

    code = "volume_disk_failed"


class VolumeDisks(Protocol):
    """Keeps the bytes of volumes, snapshots and backups under names, such as `volume-<id>`.

    What stands under a name is whole: a process that is killed half way leaves no name behind, and one that fails
    leaves what was there before. Every call is safe to repeat; calls for different names may run side by side.
    Nothing leans on anything else but an incremental backup on its parent. Files are sparse.
    """

    @property
    def format(self) -> str:
        """Of the files: `qcow2` or `raw`."""
        ...

    def path(self, name: str) -> Path:
        """Where the bytes are, or would be."""
        ...

    def make(self, name: str, size: GiB, *, source: Path | None = None, source_format: str = "") -> None:
        """Make a disk of `size`: empty, or beginning with what the disk image `source` holds.

        Raises:
            DiskFailed: the source is gone, bad or larger than `size`; this computer's disk is full.
        """
        ...

    def adopt(self, name: str, file: Path) -> None:
        """Take over a whole file of our format, which is moved. Raises DiskFailed; then the file stays."""
        ...

    def grow(self, name: str, size: GiB) -> None:
        """Make a disk that no machine has open at least `size` large. Raises DiskFailed."""
        ...

    def back_up(self, name: str, source: str, *, parent: str | None = None) -> None:
        """Copy the disk `source` to `name`; with a `parent`, keep only what differs from that backup.

        A backup with a parent is read through it by `make`: the parent must stay as long.

        Raises:
            DiskFailed: as `make`.
        """
        ...

    def export(self, name: str, target: Path, *, disk_format: str) -> None:
        """Write a disk to a file that stands alone, in `raw` or `qcow2`. After failure there is no file.

        Raises:
            DiskFailed: as `make`.
        """
        ...

    def remove(self, name: str) -> None:
        """Delete what is under the name; unknown ones are fine. Raises DiskFailed."""
        ...

    def names(self) -> frozenset[str]:
        """All that is kept."""
        ...


class Holder(Protocol):
    """The engine, as far as volumes that a machine has open need it; see `cloud.ports.Devices`."""

    def capacity(self) -> Capacity:
        """What the cloud may use in all."""
        ...

    def grow_volume(self, server_id: ServerId, volume_id: VolumeId, size: GiB) -> bool:
        """Make an attached volume larger; False if no running machine holds it."""
        ...

    def copy_volume(self, server_id: ServerId, volume_id: VolumeId, target: Path) -> bool:
        """Copy an attached volume as it is at one moment; False if no running machine holds it."""
        ...


class SourceImage(Protocol):
    """What block storage needs to know of an image."""

    @property
    def id(self) -> ImageId: ...
    @property
    def name(self) -> str | None: ...
    @property
    def disk_format(self) -> str | None: ...
    @property
    def container_format(self) -> str | None: ...
    @property
    def min_disk(self) -> int: ...
    @property
    def min_ram(self) -> int: ...
    @property
    def size(self) -> int | None: ...
    @property
    def checksum(self) -> str | None: ...
    @property
    def virtual_size(self) -> int | None: ...
    @property
    def sha512(self) -> Sha512 | None: ...
    @property
    def properties(self) -> Mapping[str, str]: ...


class Images(Protocol):
    """The image service, as far as block storage uses it."""

    def resolve_bootable(self, principal: Principal, image_id: str) -> SourceImage:
        """An active image that the principal may see; NotFound or Invalid otherwise."""
        ...

    def blob(self, sha512: Sha512) -> Path:
        """The file with this digest."""
        ...

    def create(self, principal: Principal, attributes: Mapping[str, object]) -> SourceImage:
        """Register an image without content."""
        ...

    def commit_snapshot(self, image_id: str, file: Path) -> object:
        """Take the file over and make the image active."""
        ...

    def fail_snapshot(self, image_id: str, why: str) -> object:
        """Give an unfinished image up; one that is active or gone is left alone."""
        ...


class Projects(Protocol):
    """Where allocations are looked up."""

    def project(self, project_id: ProjectId, /) -> Project:
        """A project by its id; NotFound otherwise."""
        ...
