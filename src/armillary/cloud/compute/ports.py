"""What compute asks of its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from armillary.accounts.model import Principal, Project
from armillary.base.ids import ImageId, ProjectId, Sha512


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

    def fail_snapshot(self, image_id: ImageId, why: str) -> object:
        """Give an unfinished image up; one that is active or gone is left alone."""
        ...


class Projects(Protocol):
    """Where allocations are looked up."""

    def project(self, project_id: ProjectId, /) -> Project:
        """A project by its id; NotFound otherwise."""
        ...
