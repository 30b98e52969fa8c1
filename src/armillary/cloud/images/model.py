"""What an image is. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from armillary.base.ids import ImageId, PersonId, ProjectId, Sha512


class Status(StrEnum):
    """How far an image has come."""

    QUEUED = "queued"
    """registered, without content"""
    UPLOADING = "uploading"
    """content arrives, or waits, beside the image until it is imported"""
    SAVING = "saving"
    """content is arriving; nobody sees any of it"""
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    """whole, but only administrators may download it or boot from it"""
    KILLED = "killed"
    """its content could not be made; `fault` says why"""


class Visibility(StrEnum):
    """Who may know of an image and use it."""

    PRIVATE = "private"
    SHARED = "shared"
    """the owner's, and of those members that accepted it"""
    COMMUNITY = "community"
    """everybody may use it, nobody has it in the list unless asked for"""
    PUBLIC = "public"


class MemberStatus(StrEnum):
    """What a project said to the offer of an image."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
BOOTABLE_DISK_FORMATS = ("raw", "qcow2")
"""What machines and volumes are made from; the others are kept and given back."""
PACKED_CONTAINER_FORMATS = ("ova", "docker", "compressed")
"""Those in which the disk is not the content itself."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of one project. `size`, digests and `virtual_size` are None until its content is whole."""

    id: ImageId
    project_id: ProjectId
    owner_person: PersonId
    name: str | None
    status: Status
    visibility: Visibility
    disk_format: str | None
    container_format: str | None
    min_disk: int
    """GB of root disk that booting takes at least"""
    min_ram: int
    """MB"""
    protected: bool
    os_hidden: bool
    created_at: datetime
    updated_at: datetime
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: tuple[str, ...] = ()
    checksum: str | None = None
    """MD5, as Glance's clients want it"""
    sha512: Sha512 | None = None
    size: int | None = None
    virtual_size: int | None = None
    fault: str = ""
    """Why its content could not be made, or why no machine can be made from it."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A project that an image is shared with."""

    image_id: ImageId
    member_id: str
    status: MemberStatus
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Task:
    """An import that was done: it is over before it is answered, so every task has succeeded."""

    id: str
    image_id: ImageId
    project_id: ProjectId
    person_id: PersonId
    method: str
    request_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a list of images shall contain. Empty attributes do not restrict it."""

    visibility: Visibility | None = None
    every_visibility: bool = False
    member_status: MemberStatus | None = MemberStatus.ACCEPTED
    """of the images shared with the caller; None means any"""
    hidden: bool = False
    any_of: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """by column: one of these values"""
    ranges: tuple[tuple[str, str, int | datetime], ...] = ()
    """column, one of `lt lte gt gte eq neq`, value"""
    flags: Mapping[str, bool] = field(default_factory=dict[str, bool])
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    sort: tuple[tuple[str, bool], ...] = (("created_at", True),)
    """column, and whether it descends"""
    marker: ImageId | None = None
    limit: int = 25


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a sender says of the bytes before they come; a difference refuses them."""

    length: int | None = None
    md5: str | None = None
    sha256: str | None = None
    sha512: str | None = None
