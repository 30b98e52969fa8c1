"""What an account is made of. Values only: no clock, no storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from armillary.base.ids import ApplicationId, PersonId, ProjectId, TokenId
from armillary.base.units import GiB, MiB


class Role(StrEnum):
    """A person's role in a project. The first four are ours, weakest first; each implies the ones before it.

    The last two are given by Keystone alone: `cloud_admin`, which is called `admin` there, makes administrators of
    the clouds of those who sign in for that project, and implies the four; `service` is for programs and implies nothing.
    """

    READER = "reader"
    MEMBER = "member"
    MANAGER = "manager"
    ADMIN = "admin"
    CLOUD_ADMIN = "cloud_admin"
    SERVICE = "service"

    @property
    def implied(self) -> frozenset[Role]:
        """The role itself and every weaker one."""
        if self is Role.SERVICE:
            return frozenset({self})
        order = list(Role)
        return frozenset(order[: order.index(self) + 1])


OWN_ROLES = (Role.READER, Role.MEMBER, Role.MANAGER, Role.ADMIN)
"""The roles that projects give to their members; Keystone's others are not theirs to give."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who can sign in. `is_admin` makes an administrator of the whole platform."""

    id: PersonId
    user_name: str
    full_name: str
    email: str
    institute: str
    is_admin: bool
    enabled: bool
    created_at: datetime
    locale: str = "en"
    default_project_id: ProjectId | None = None
    """What Keystone's tokens are for when nothing is asked; perhaps no project of theirs."""
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    """What else Keystone's clients wrote beside them; it means nothing to us."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """What a project may use. Cores and RAM count per cloud; `batch_cores` come on top, for workers."""

    cores: int
    ram: MiB
    disk: GiB
    storage: GiB
    batch_cores: int


@dataclass(frozen=True, kw_only=True)
class Project:
    """People who share an allocation, machines, images and jobs."""

    id: ProjectId
    name: str
    description: str
    allocation: Allocation
    enabled: bool
    created_at: datetime
    tags: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    """As a person's."""
    furnished: bool = True
    """Whether clouds give it a first network; those made through the Identity API find what OpenStack gives."""


class ApplicationState(StrEnum):
    """Where an application stands; the last two are final."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True, kw_only=True)
class Application:
    """A request for a project with an allocation, and what became of it, with dates."""

    id: ApplicationId
    person_id: PersonId
    project_name: str
    requested: Allocation
    reason: str
    state: ApplicationState
    submitted_at: datetime
    decided_at: datetime | None = None
    decided_by: PersonId | None = None
    granted: Allocation | None = None
    decision_reason: str = ""
    project_id: ProjectId | None = None
    """The project that was made; of a request for more, the one that is to have it, from the beginning."""

    @property
    def is_more(self) -> bool:
        """Whether this waits for another allocation of a project that is there."""
        return self.state is ApplicationState.WAITING and self.project_id is not None


@dataclass(frozen=True, kw_only=True)
class Membership:
    """One person's role in one project."""

    person: Person
    project: Project
    role: Role


class CloudScope(StrEnum):
    """What a Keystone token can be for besides a project: the clouds themselves, or the one domain of people."""

    SYSTEM = "system"
    DOMAIN = "domain"


class TokenKind(StrEnum):
    """What a token was made for, which decides what it opens."""

    API = "api"
    """made by a person for scripts and the command line"""
    SESSION = "session"
    """a browser's cookie"""
    KEYSTONE = "keystone"
    """issued by Identity v3, perhaps scoped to a project"""
    JOB = "job"
    """a running job's, for its owner's VOSpace"""


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is known of a token once its secret has been handed out; of that only a hash is kept."""

    id: TokenId
    kind: TokenKind
    person_id: PersonId
    project_id: ProjectId | None
    label: str
    scopes: frozenset[str]
    roles: frozenset[Role] | None
    """A restriction to these roles (application credentials), or None: all that the person has."""
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    cloud_scope: CloudScope | None = None


@dataclass(frozen=True, kw_only=True)
class IssuedToken:
    """A new token with its secret, which is shown this once."""

    secret: str
    token: Token


@dataclass(frozen=True, kw_only=True)
class IssuedCertificate:
    """What is kept of a client certificate; its key never is."""

    serial: str
    issued_at: datetime
    expires_at: datetime
    issued_by: str
    """the user name of who asked for it"""
    revoked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AccessRule:
    """A kind of request that an application credential is limited to (Identity v3).

    In `path`, `*` and `{name}` stand for one part and `**` for any number of them.
    """

    id: str
    person_id: PersonId
    service: str
    method: str
    path: str


@dataclass(frozen=True, kw_only=True)
class EC2Credential:
    """A pair of access key and secret, for clients that sign their requests (Identity v3, OS-EC2)."""

    access: str
    secret: str
    person_id: PersonId
    project_id: ProjectId


@dataclass(frozen=True, kw_only=True)
class Group:
    """People who are given roles together (Identity v3)."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, kw_only=True)
class GroupGrant:
    """One role of all members of a group, in a project or in a cloud scope."""

    group_id: str
    project_id: ProjectId | None
    cloud_scope: CloudScope | None
    role: Role


@dataclass(frozen=True, kw_only=True)
class ApplicationCredential:
    """A named secret bound to one person, project and set of roles (Identity v3)."""

    id: str
    name: str
    description: str
    person_id: PersonId
    project_id: ProjectId
    roles: frozenset[Role]
    created_at: datetime
    expires_at: datetime | None
    unrestricted: bool = False
    rule_ids: frozenset[str] | None = None
    """The access rules that it is limited to; None: no such limit."""


JOB_MARK = "~"
"""In a job's token, between the secret and the job's name. No secret has it."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks: the one answer of every way to sign in.

    `project` is None when the credential is bound to no project. `roles` are those in that project (or, of Keystone's
    tokens, in their cloud scope) with the implied ones; an administrator of the platform has all everywhere. `scopes` limits API and job tokens
    (`vospace:read`, `batch:write`, …); an empty set means no such limit.
    """

    person: Person
    project: Project | None = None
    roles: frozenset[Role] = frozenset()
    method: str = "password"
    token: Token | None = None
    scopes: frozenset[str] = frozenset()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    access_rules: tuple[AccessRule, ...] | None = None
    """The requests that the credential is limited to, or None: no such limit."""

    def has(self, role: Role) -> bool:
        """Whether the principal has `role` in its project."""
        return self.person.is_admin or role in self.roles

    @property
    def is_cloud_admin(self) -> bool:
        """Whether the principal administers the clouds: with the platform, or by the role its token is scoped to."""
        return self.person.is_admin or Role.CLOUD_ADMIN in self.roles

    @property
    def of_job(self) -> bool:
        """Whether a running job asks in its owner's name, by its token or its certificate."""
        return (self.token is not None and self.token.kind is TokenKind.JOB) or "job" in self.facts

    @property
    def job(self) -> str:
        """The name of the running job that asks, where its credential has it."""
        return self.facts.get("job", "") if self.of_job else ""

    @property
    def credential(self) -> str:
        """What was signed in with, for `AccountsService.holder`; empty for what cannot be revoked by itself."""
        if self.token is not None:
            return f"token:{self.token.id}"
        return f"x509:{self.facts['certificate']}" if "certificate" in self.facts else ""

    def allows(self, scope: str) -> bool:
        """Whether a limit on the credential leaves room for `scope`; a job has room for VOSpace alone."""
        if self.of_job and not scope.startswith("vospace:"):
            return False
        return not self.scopes or scope in self.scopes


@dataclass(frozen=True, kw_only=True)
class SecondFactor:
    """That a person is asked for a code, and how many recovery codes are left."""

    since: datetime
    recovery_codes: int


class ErrandKind(StrEnum):
    """What somebody is in the middle of."""

    RESET = "reset"
    """a new password, with a link"""
    CODE = "code"
    """signing in: the password was right, the code is asked for"""
    IDENTITY = "identity"
    """registration with an identity from elsewhere"""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What somebody is in the middle of, known by a secret that is good once."""

    kind: ErrandKind
    person_id: PersonId | None
    facts: Mapping[str, Any]
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a provider of OpenID Connect says a person is."""

    issuer: str
    subject: str
    person_id: PersonId
    created_at: datetime
