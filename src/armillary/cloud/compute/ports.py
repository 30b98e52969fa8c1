"""What compute asks of its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from armillary.accounts.model import Principal, Project
from armillary.base.ids import ImageId, PersonId, ProjectId, ServerId, Sha512, VolumeId
from armillary.base.units import GiB
from armillary.cloud.model import VolumeDisk


class BootImage(Protocol):
    """What compute needs to know of an image."""

    @property
    def id(self) -> ImageId: ...
    @property
    def disk_format(self) -> str | None: ...
    @property
    def min_disk(self) -> int: ...
    @property
    def min_ram(self) -> int: ...
    @property
    def virtual_size(self) -> int | None: ...
    @property
    def sha512(self) -> Sha512 | None: ...
    @property
    def properties(self) -> Mapping[str, str]: ...


class Images(Protocol):
    """The image service, as far as compute uses it."""

    def resolve_bootable(self, principal: Principal, image_id: ImageId) -> BootImage:
        """An active image that the principal may see; Invalid otherwise."""
        ...

    def blob(self, sha512: Sha512) -> Path:
        """The file with this digest; it stays while a server uses it."""
        ...

    def begin_snapshot(
        self, principal: Principal, name: str, properties: Mapping[str, str], *, min_disk: int = 0
    ) -> BootImage:
        """A queued image that a snapshot will fill."""
        ...

    def commit_snapshot(self, image_id: ImageId, file: Path) -> object:
        """Take the file over and make the image active."""
        ...

    def commit_bytes_less(self, image_id: ImageId, properties: Mapping[str, str]) -> object:
        """Make an unfinished image active that has no bytes, only properties: of a server that boots from a volume."""
        ...

    def fail_snapshot(self, image_id: ImageId, why: str) -> object:
        """Give an unfinished image up; one that is active or gone is left alone."""
        ...

    def made(self, image_id: ImageId) -> BootImage | None:
        """An active image, whoever asks; None if there is none."""
        ...

    def backups(self, server_id: ServerId, kind: str) -> Sequence[ImageId]:
        """The active backups of a server with this `backup_type`, oldest first."""
        ...

    def drop(self, image_id: ImageId) -> object:
        """Remove an image that compute made, unless it is protected; one that is gone is fine."""
        ...


class Projects(Protocol):
    """Where allocations are looked up."""

    def project(self, project_id: ProjectId, /) -> Project:
        """A project by its id; NotFound otherwise."""
        ...

    def principal(self, person_id: PersonId, project_id: ProjectId | None = None, /) -> Principal:
        """Somebody as who asks, for what is done in their name in the background."""
        ...


class Volumes(Protocol):
    """The volume service, as far as compute uses it. Calls that change a state are safe to repeat."""

    def disk(self, volume_id: VolumeId) -> VolumeDisk:
        """A volume's bytes, whoever asks; NotFound if there is none."""
        ...

    def status(self, volume_id: VolumeId) -> str:
        """Cinder's status of a volume, such as `creating`, `available`, `error`; `deleted` if there is none."""
        ...

    def reserve(self, principal: Principal, volume_id: VolumeId) -> VolumeDisk:
        """Take an `available` volume that the principal may use: it is `reserved`, and nobody else's.

        Raises:
            NotFound: there is none that the principal sees.
            Invalid: its status is another one, in Cinder's words.
        """
        ...

    def attached(self, volume_id: VolumeId, *, server_id: ServerId, device: str, attachment_id: str) -> None:
        """Record that a server has it: it is `in-use`."""
        ...

    def begin_detach(self, volume_id: VolumeId) -> None:
        """`in-use` becomes `detaching`; Invalid if it is neither."""
        ...

    def keep_attached(self, volume_id: VolumeId) -> None:
        """A detaching failed: `in-use` again."""
        ...

    def detached(self, volume_id: VolumeId) -> None:
        """No server has it any more, or none came to have it: `available`."""
        ...

    def make(
        self,
        principal: Principal,
        *,
        name: str,
        size: GiB,
        image_id: ImageId | None = None,
        snapshot_id: str | None = None,
        volume_type: str | None = None,
    ) -> VolumeId:
        """Begin to make a volume for a server that boots from it; see `status` for how it goes.

        Raises:
            TooLarge: over quota.
            Invalid, NotFound: the source does not do.
        """
        ...

    def discard(self, volume_id: VolumeId) -> None:
        """Delete a volume that was to end with its server."""
        ...

    def snapshot(self, principal: Principal, volume_id: VolumeId, *, name: str) -> str:
        """Begin a snapshot of a volume, attached or not, and return its id."""
        ...
