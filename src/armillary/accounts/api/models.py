"""The shapes on the wire of `/api/v1/accounts`. Figures carry their unit in their name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from armillary.accounts import model
from armillary.base.ids import PersonId
from armillary.base.units import GiB, MiB

Text = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**12)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AllocationShape(_Body):
    """What a project may use."""

    cores: Count
    ram_mib: Count = Field(validation_alias=AliasChoices("ram_mib", "ram"))
    disk_gib: Count = Field(validation_alias=AliasChoices("disk_gib", "disk"))
    storage_gib: Count = Field(validation_alias=AliasChoices("storage_gib", "storage"))
    batch_cores: Count = 0

    def value(self) -> model.Allocation:
        """Return the value that the service takes."""
        return model.Allocation(
            cores=self.cores,
            ram=MiB(self.ram_mib),
            disk=GiB(self.disk_gib),
            storage=GiB(self.storage_gib),
            batch_cores=self.batch_cores,
        )

    @classmethod
    def of(cls, value: model.Allocation) -> Self:
        """Return the shape of a value."""
        return cls(
            cores=value.cores,
            ram_mib=value.ram,
            disk_gib=value.disk,
            storage_gib=value.storage,
            batch_cores=value.batch_cores,
        )


class RegisterBody(_Body):
    """A person and what they ask for."""

    user_name: Text
    full_name: Text
    email: Text
    institute: Text
    password: Text
    project_name: Text
    requested: AllocationShape
    reason: Text
    locale: Text = "en"


class LoginBody(_Body):
    """A user name and password, to be traded for an API token."""

    user_name: Text
    password: Text
    code: Text | None = None
    """of the second factor, where that is on"""
    label: Text = "sign-in"
    lifetime_days: Annotated[int, Field(ge=1, le=366)] = 30


class ApplicationBody(_Body):
    """A request for one more project."""

    project_name: Text
    requested: AllocationShape
    reason: Text


class MoreBody(_Body):
    """A request for another allocation of a project."""

    requested: AllocationShape
    reason: Text


class ApproveBody(_Body):
    """An approval, with other figures than those asked for if given."""

    granted: AllocationShape | None = None


class DeclineBody(_Body):
    """A refusal with its reason."""

    reason: Text


class MemberBody(_Body):
    """A role in a project."""

    role: model.Role = model.Role.MEMBER


class TokenBody(_Body):
    """A wish for an API token."""

    label: Text = ""
    lifetime_days: Annotated[int, Field(ge=1, le=366)] = 90
    project: Text | None = None
    scopes: Annotated[list[Text], Field(max_length=50)] = []


class PasswordBody(_Body):
    """A change of password."""

    old_password: Text
    new_password: Text


class PersonChange(_Body):
    """What an administrator may change of a person."""

    enabled: bool | None = None
    is_admin: bool | None = None
    password: Text | None = None


class PersonShape(BaseModel):
    """A person."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    user_name: str
    full_name: str
    email: str
    institute: str
    is_admin: bool
    enabled: bool
    created_at: datetime
    locale: str


class ProjectShape(BaseModel):
    """A project, with the caller's role in it where there is one."""

    id: str
    name: str
    description: str
    allocation: AllocationShape
    enabled: bool
    created_at: datetime
    role: model.Role | None = None

    @classmethod
    def of(cls, value: model.Project, role: model.Role | None = None) -> Self:
        """Return the shape of a value."""
        return cls(
            id=value.id,
            name=value.name,
            description=value.description,
            allocation=AllocationShape.of(value.allocation),
            enabled=value.enabled,
            created_at=value.created_at,
            role=role,
        )


class MemberShape(BaseModel):
    """A member of a project."""

    user_name: str
    full_name: str
    role: model.Role

    @classmethod
    def of(cls, value: model.Membership) -> Self:
        """Return the shape of a value."""
        return cls(user_name=value.person.user_name, full_name=value.person.full_name, role=value.role)


class ApplicationShape(BaseModel):
    """An application with its dated state."""

    id: str
    user_name: str
    full_name: str
    email: str
    institute: str
    project_name: str
    requested: AllocationShape
    reason: str
    state: model.ApplicationState
    submitted_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    granted: AllocationShape | None
    decision_reason: str
    project_id: str | None

    @classmethod
    def of(cls, value: model.Application, people: dict[PersonId, model.Person]) -> Self:
        """Return the shape of a value; `people` are those that it may name."""
        person = people[value.person_id]
        decider = people.get(value.decided_by) if value.decided_by else None
        return cls(
            id=value.id,
            user_name=person.user_name,
            full_name=person.full_name,
            email=person.email,
            institute=person.institute,
            project_name=value.project_name,
            requested=AllocationShape.of(value.requested),
            reason=value.reason,
            state=value.state,
            submitted_at=value.submitted_at,
            decided_at=value.decided_at,
            decided_by=decider.user_name if decider else value.decided_by,
            granted=AllocationShape.of(value.granted) if value.granted else None,
            decision_reason=value.decision_reason,
            project_id=value.project_id,
        )


class TokenShape(BaseModel):
    """What is known of a token; never its secret."""

    id: str
    kind: model.TokenKind
    label: str
    project_id: str | None
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, value: model.Token) -> Self:
        """Return the shape of a value."""
        return cls(
            id=value.id,
            kind=value.kind,
            label=value.label,
            project_id=value.project_id,
            scopes=sorted(value.scopes),
            created_at=value.created_at,
            expires_at=value.expires_at,
            revoked_at=value.revoked_at,
            last_used_at=value.last_used_at,
        )


class IssuedShape(BaseModel):
    """A new token with its secret, shown this once."""

    token: str
    id: str
    expires_at: datetime
    person: PersonShape


class MeShape(BaseModel):
    """Who asks, with all that a front page needs."""

    person: PersonShape
    method: str
    scopes: list[str]
    project: str | None
    projects: list[ProjectShape]
    groups: list[str]
    applications: list[ApplicationShape]


class ResetShape(BaseModel):
    """Where somebody sets a new password: a path of the portal, good for an hour."""

    path: str
