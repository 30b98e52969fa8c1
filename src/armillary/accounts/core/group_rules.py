"""Groups without hands: their names and URIs, who may do what to one, and which nesting would go in a circle."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from armillary.accounts.model import Person
from armillary.base.ids import PersonId

STOCK_GMS = "ivo://cadc.nrc.ca/gms"
"""The group service that the stock clients have built in; ours answers to it."""

OWNERLESS = "armillary"
"""In the owner's place of groups that belong to the platform; nobody can have this user name."""

_NAME = re.compile(r"[A-Za-z0-9,._~-]{1,128}")
_URI = re.compile(r"(?P<authority>ivo://[^\s?#]{1,300})\?(?P<name>[^\s?#]{1,128})")


class Place(StrEnum):
    """In which of its two lists a group has somebody."""

    MEMBER = "member"
    ADMIN = "admin"


class GroupAction(StrEnum):
    """What can be asked of a group."""

    SEE = "see"
    LEAVE = "leave"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What somebody is to a group. Membership counts through groups in groups, administration through its groups."""

    is_member: bool = False
    is_admin: bool = False
    is_owner: bool = False
    is_operator: bool = False
    """an administrator of the whole platform"""


@dataclass(frozen=True, kw_only=True)
class Places:
    """People and groups, by id and by name."""

    people: frozenset[PersonId] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class GroupBrief:
    """A group in a listing. Without `owner_name` it belongs to the platform; a project's is changed in the project."""

    name: str
    description: str
    owner_name: str | None
    is_project: bool = False


@dataclass(frozen=True, kw_only=True)
class GroupDetail:
    """A group with all that is in it; `people` by user name, `groups` by name."""

    name: str
    description: str
    owner: Person | None
    is_project: bool
    created_at: datetime | None
    changed_at: datetime | None
    members: tuple[Person, ...]
    member_groups: tuple[str, ...]
    admins: tuple[Person, ...]
    admin_groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A link into a group. `uses_left` None: it is good for as many as come before it expires."""

    id: str
    group: str
    place: Place
    made_by: str
    made_at: datetime
    expires_at: datetime
    uses_left: int | None
    used: int


def may(standing: Standing, action: GroupAction, *, is_project: bool) -> bool:
    """Decide. A project's group is changed by changing the project, whoever asks."""
    managing = standing.is_owner or standing.is_admin or standing.is_operator
    if action is GroupAction.SEE:
        return managing or standing.is_member
    if is_project:
        return False
    if action is GroupAction.DELETE:
        return standing.is_owner or standing.is_operator
    return managing or (action is GroupAction.LEAVE and standing.is_member)


def is_group_name(name: str) -> bool:
    """Whether the Group Membership Service can name such a group; Keystone's may have other names."""
    return _NAME.fullmatch(name) is not None


def group_name_in(text: str, authorities: Collection[str]) -> str | None:
    """Return the name in a bare name or in a URI under one of `authorities`; None if it is neither.

    Somebody else's group of the same name is another group.
    """
    found = _URI.fullmatch(text)
    if found is not None:
        text = found["name"] if found["authority"] in authorities else ""
    return text if is_group_name(text) else None
