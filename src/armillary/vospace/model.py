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
    """What a node is: the types of the standard, except the bare `Node`, which is made as `DATA`."""

    CONTAINER = "container"
    DATA = "data"
    UNSTRUCTURED = "unstructured"
    STRUCTURED = "structured"
    LINK = "link"

    @property
    def is_file(self) -> bool:
        """Whether it has bytes of its own. The three kinds of data differ in name only."""
        return self not in {NodeKind.CONTAINER, NodeKind.LINK}


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Who besides the owner may come near. Groups are names; to write implies to read.

    `inherits` says of a container whether what is made in it starts with this sharing; else that is private.
    """

    is_public: bool = False
    group_read: frozenset[str] = frozenset()
    group_write: frozenset[str] = frozenset()
    inherits: bool = True


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node of the tree, with its place.

    `length` and `md5` (32 hexadecimal digits) are those of a data node's bytes, which `blob` names in
    the byte store; an empty file has no blob. `used` and `quota` count bytes and mean something only on a
    home: the container `/home/<user>`. `written_by` is the user name of who wrote the bytes or made the node.
    `modified_at` moves with every change, `written_at` with the bytes only.
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
    written_at: datetime | None = None
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

    @property
    def is_file(self) -> bool:
        """Whether it has bytes of its own."""
        return self.kind.is_file


class Order(StrEnum):
    """What a listing is sorted by; the name decides between equals."""

    NAME = "name"
    LENGTH = "length"
    DATE = "date"
    MADE = "made"
    TYPE = "type"
    OWNER = "owner"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which children: from `start` (inclusive, a child's name; empty: from the first), at most `limit`.

    With `after`, the last child of the page before, it is those that follow it, also when that child is gone.
    With `match` only those with that text in their name, in capitals or not (as far as the database knows: in ASCII).
    """

    start: str = ""
    limit: int = 1000
    order: Order = Order.NAME
    descending: bool = False
    after: Node | None = None
    match: str = ""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """How many bytes and nodes a child of a container has, with all below it."""

    name: str
    is_container: bool
    octets: int
    nodes: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """What to change on a node. `None` leaves a thing as it is; a property set to None is removed.

    `quota` is in bytes; with `drops_quota` a home goes back to what its owner was granted.
    """

    is_public: bool | None = None
    group_read: frozenset[str] | None = None
    group_write: frozenset[str] | None = None
    inherits: bool | None = None
    is_locked: bool | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    target: str | None = None
    quota: int | None = None
    drops_quota: bool = False
    properties: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    @property
    def of_sharing(self) -> bool:
        """Whether it touches who may come near, which only owners decide."""
        touched = (self.is_public, self.group_read, self.group_write, self.inherits)
        return any(part is not None for part in touched)

    @property
    def of_quota(self) -> bool:
        """Whether it touches how much a home may hold, which only administrators decide."""
        return self.quota is not None or self.drops_quota
