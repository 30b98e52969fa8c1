"""What the tree is made of. Values only: no clock, no storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from armillary.base.ids import PersonId
from armillary.vospace.paths import VOSPath

EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


class NodeKind(StrEnum):
    """What a node is."""

    CONTAINER = "container"
    DATA = "data"
    LINK = "link"


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Who besides the owner may come near. Groups are names; to write implies to read."""

    is_public: bool = False
    group_read: frozenset[str] = frozenset()
    group_write: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node of the tree, with its place.

    `length` and `md5` (32 hexadecimal digits) are those of a data node's bytes, which `blob` names in
    the byte store; an empty file has no blob. `used` and `quota` count bytes and mean something only on a
    home: the container `/home/<user>`. `written_by` is the user name of who wrote the bytes or made the node.
    """

    id: int
    parent_id: int | None
    path: VOSPath
    kind: NodeKind
    owner_id: PersonId
    owner_name: str
    created_at: datetime
    modified_at: datetime
    written_by: str
    length: int = 0
    md5: str = ""
    blob: str | None = None
    content_type: str = ""
    content_encoding: str = ""
    target: str = ""
    sharing: Sharing = field(default_factory=Sharing)
    is_locked: bool = False
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    used: int = 0
    quota: int | None = None

    @property
    def name(self) -> str:
        """The last name of its path."""
        return self.path.name

    @property
    def is_container(self) -> bool:
        """Whether it has children."""
        return self.kind is NodeKind.CONTAINER


class Order(StrEnum):
    """What a listing is sorted by; the name decides between equals."""

    NAME = "name"
    LENGTH = "length"
    DATE = "date"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which children: from `start` (inclusive, a child's name; empty: from the first), at most `limit`."""

    start: str = ""
    limit: int = 1000
    order: Order = Order.NAME
    descending: bool = False


@dataclass(frozen=True, kw_only=True)
class Change:
    """What to change on a node. `None` leaves a thing as it is; a property set to None is removed."""

    is_public: bool | None = None
    group_read: frozenset[str] | None = None
    group_write: frozenset[str] | None = None
    is_locked: bool | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    properties: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    @property
    def of_sharing(self) -> bool:
        """Whether it touches who may come near, which only owners decide."""
        return not (self.is_public is None and self.group_read is None and self.group_write is None)


class JobKind(StrEnum):
    """What a UWS job does."""

    TRANSFER = "transfers"
    DELETE = "async-delete"
    PROPERTIES = "async-setprops"


class Phase(StrEnum):
    """The phases of UWS 1.1 that we use."""

    PENDING = "PENDING"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A UWS job. `document` is the XML that was posted; `results` are hrefs by name."""

    id: str
    kind: JobKind
    owner_id: PersonId
    owner_name: str
    phase: Phase
    document: str
    created_at: datetime
    destroy_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    results: Mapping[str, str] = field(default_factory=dict[str, str])
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in {Phase.COMPLETED, Phase.ERROR, Phase.ABORTED}
