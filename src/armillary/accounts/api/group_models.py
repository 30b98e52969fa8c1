"""The shapes on the wire of groups and certificates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from armillary.accounts.core.group_rules import GroupBrief, GroupDetail
from armillary.accounts.model import IssuedCertificate, Person

_Text = Annotated[str, Field(max_length=10_000)]


class GroupBody(BaseModel):
    """A wish for a group. With `join`, its maker is its first member."""

    model_config = ConfigDict(extra="forbid")

    name: _Text
    description: _Text = ""
    join: bool = True


class GroupChange(BaseModel):
    """What is to be changed of a group."""

    model_config = ConfigDict(extra="forbid")

    description: _Text


class GroupBriefShape(BaseModel):
    """A group in a listing; `owner` is None for the platform's own and for projects."""

    name: str
    description: str
    owner: str | None
    is_project: bool

    @classmethod
    def of(cls, value: GroupBrief) -> Self:
        """Return the shape of a value."""
        return cls(
            name=value.name,
            description=value.description,
            owner=value.owner_name,
            is_project=value.is_project,
        )


class InGroupShape(BaseModel):
    """A person in a group."""

    user_name: str
    full_name: str

    @classmethod
    def of(cls, value: Person) -> Self:
        """Return the shape of a value."""
        return cls(user_name=value.user_name, full_name=value.full_name)


class GroupShape(GroupBriefShape):
    """A group with all that is in it."""

    created_at: datetime | None
    changed_at: datetime | None
    members: list[InGroupShape]
    member_groups: list[str]
    admins: list[InGroupShape]
    admin_groups: list[str]

    @classmethod
    def whole(cls, value: GroupDetail) -> Self:
        """Return the shape of a value."""
        return cls(
            name=value.name,
            description=value.description,
            owner=value.owner.user_name if value.owner else None,
            is_project=value.is_project,
            created_at=value.created_at,
            changed_at=value.changed_at,
            members=[InGroupShape.of(person) for person in value.members],
            member_groups=list(value.member_groups),
            admins=[InGroupShape.of(person) for person in value.admins],
            admin_groups=list(value.admin_groups),
        )


class CertificateShape(BaseModel):
    """What is known of a client certificate."""

    serial: str
    issued_at: datetime
    expires_at: datetime
    issued_by: str
    revoked_at: datetime | None

    @classmethod
    def of(cls, value: IssuedCertificate) -> Self:
        """Return the shape of a value."""
        return cls(**vars(value))


class InvitationBody(BaseModel):
    """A wish for a link into a group, good for some days and people; `uses` null: for as many as come."""

    model_config = ConfigDict(extra="forbid")

    place: Literal["members", "admins"] = "members"
    days: int = Field(default=7, ge=1, le=90)
    uses: int | None = Field(default=1, ge=1, le=10_000)


class InvitationShape(BaseModel):
    """A link into a group, without what it needs to be used."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    group: str
    place: Literal["member", "admin"]
    made_by: str
    made_at: datetime
    expires_at: datetime
    uses_left: int | None
    used: int


class NewInvitationShape(InvitationShape):
    """A link as it is shown once; `path` is below the platform's address."""

    path: str


class AcceptBody(BaseModel):
    """What is behind the last slash of a link."""

    model_config = ConfigDict(extra="forbid")

    secret: Annotated[str, Field(max_length=200)]


class AcceptedShape(BaseModel):
    """The group that one is in now."""

    group: str
