"""The tables of accounts, and how a row becomes a value."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from armillary.accounts.model import (
    Allocation,
    Application,
    ApplicationCredential,
    ApplicationState,
    CloudScope,
    Person,
    Project,
    Role,
    Token,
    TokenKind,
)
from armillary.columns import Moment, by_bytes

metadata = MetaData()


class RoleSet(TypeDecorator[frozenset[Role]]):
    """A set of roles as words with spaces between them."""

    impl = String(100)
    cache_ok = True

    def process_bind_param(self, value: frozenset[Role] | None, dialect: Dialect) -> str | None:
        """Write the words in order."""
        return None if value is None else " ".join(sorted(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> frozenset[Role] | None:
        """Read the words."""
        return None if value is None else frozenset(Role(word) for word in value.split())


class WordSet(TypeDecorator[frozenset[str]]):
    """A set of words without spaces in them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:
        """Write the words in order."""
        return None if value is None else " ".join(sorted(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> frozenset[str] | None:
        """Read the words."""
        return None if value is None else frozenset(value.split())


class Words(TypeDecorator[tuple[str, ...]]):
    """Texts in order, as a JSON array."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> Any:
        """Write the texts."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """Read the texts."""
        return None if value is None else tuple(value)


class Figures(TypeDecorator[Allocation]):
    """An allocation as a JSON object."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Allocation | None, dialect: Dialect) -> Any:
        """Write the figures."""
        return None if value is None else vars(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Allocation | None:
        """Read the figures."""
        return None if value is None else Allocation(**value)


# names are in the order of their bytes, whatever language a database was made for
_Name = by_bytes(255)

people = Table(
    "accounts_people",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_name", _Name, nullable=False, unique=True),
    Column("full_name", Text, nullable=False),
    Column("email", String(254), nullable=False, index=True),
    Column("institute", Text, nullable=False),
    Column("locale", String(10), nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("is_service", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("password_hash", Text),
    Column("previous_hash", Text),
    Column("default_project_id", String(64)),  # no foreign key: Keystone takes any
    Column("extras", JSON, nullable=False),
)

projects = Table(
    "accounts_projects",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", _Name, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("allocation", Figures, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("tags", Words, nullable=False),
    Column("extras", JSON, nullable=False),
    Column("furnished", Boolean, nullable=False),
)


def _person() -> ForeignKey:
    """What belongs to a person goes with the person."""
    return ForeignKey(people.c.id, ondelete="CASCADE")


def _project() -> ForeignKey:
    """What belongs to a project goes with the project."""
    return ForeignKey(projects.c.id, ondelete="CASCADE")


grants = Table(
    "accounts_grants",
    metadata,
    Column("project_id", String(32), _project(), primary_key=True),
    Column("person_id", String(32), _person(), primary_key=True, index=True),
    Column("role", String(16), primary_key=True),
)

cloud_grants = Table(
    "accounts_cloud_grants",
    metadata,
    Column("cloud_scope", String(16), primary_key=True),
    Column("person_id", String(32), _person(), primary_key=True, index=True),
    Column("role", String(16), primary_key=True),
)

groups = Table(
    "accounts_groups",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", _Name, nullable=False, unique=True),
    Column("description", Text, nullable=False),
)


def _group() -> ForeignKey:
    """What belongs to a group goes with the group."""
    return ForeignKey(groups.c.id, ondelete="CASCADE")


group_members = Table(
    "accounts_group_members",
    metadata,
    Column("group_id", String(32), _group(), primary_key=True),
    Column("person_id", String(32), _person(), primary_key=True, index=True),
)

group_grants = Table(
    "accounts_group_grants",
    metadata,
    Column("group_id", String(32), _group(), nullable=False, index=True),
    # one of the next two is given
    Column("project_id", String(32), _project(), index=True),
    Column("cloud_scope", String(16)),
    Column("role", String(16), nullable=False),
)

access_rules = Table(
    "accounts_access_rules",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", String(32), _person(), nullable=False, index=True),
    Column("service", String(255), nullable=False),
    Column("method", String(16), nullable=False),
    Column("path", String(128), nullable=False),
)

ec2_credentials = Table(
    "accounts_ec2_credentials",
    metadata,
    Column("access", String(32), primary_key=True),
    Column("secret", String(64), nullable=False),  # clients show it again, so it is kept as it is
    Column("person_id", String(32), _person(), nullable=False, index=True),
    Column("project_id", String(32), _project(), nullable=False),
)

applications = Table(
    "accounts_applications",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("person_id", String(32), _person(), nullable=False, index=True),
    Column("project_name", String(255), nullable=False),
    Column("requested", Figures, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("submitted_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("decided_by", String(32)),  # no foreign key: the decision stays when the administrator goes
    Column("granted", Figures(none_as_null=True)),
    Column("decision_reason", Text, nullable=False),
    Column("project_id", String(32)),
)

credentials = Table(
    "accounts_application_credentials",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", _Name, nullable=False),
    Column("description", Text, nullable=False),
    Column("person_id", String(32), _person(), nullable=False),
    Column("project_id", String(32), _project(), nullable=False, index=True),
    Column("roles", RoleSet, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("unrestricted", Boolean, nullable=False),
    Column("rule_ids", WordSet),
    Column("secret_hash", Text, nullable=False),
    UniqueConstraint("person_id", "name"),
)

tokens = Table(
    "accounts_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("person_id", String(32), _person(), nullable=False, index=True),
    Column("project_id", String(32), _project(), index=True),
    Column("label", Text, nullable=False),
    Column("scopes", WordSet, nullable=False),
    Column("roles", RoleSet),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    Column("method", String(64), nullable=False),
    Column("credential_id", String(32), ForeignKey(credentials.c.id, ondelete="CASCADE"), index=True),
    Column("cloud_scope", String(16)),
)

failures = Table(
    "accounts_sign_in_failures",
    metadata,
    Column("user_name", String(255), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("locked_until", Moment),
)
Index("accounts_sign_in_failures_last_at", failures.c.last_at)

second_factors = Table(
    "accounts_second_factors",
    metadata,
    Column("person_id", String(32), _person(), primary_key=True),
    Column("secret", String(64), nullable=False),  # codes are computed from it, so it is kept as it is
    Column("confirmed_at", Moment),
    Column("last_step", Integer, nullable=False),
    Column("recovery", WordSet, nullable=False),
)

errands = Table(
    "accounts_errands",
    metadata,
    Column("secret_hash", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("person_id", String(32), _person(), index=True),
    Column("facts", JSON, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

identities = Table(
    "accounts_identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("person_id", String(32), _person(), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
)

PERSON_COLUMNS = [c for c in people.c if c.name not in {"is_service", "password_hash", "previous_hash"}]
CREDENTIAL_COLUMNS = [c for c in credentials.c if c.name != "secret_hash"]


def person_of(row: Any) -> Person:
    """Make a person from the columns `PERSON_COLUMNS` of a row."""
    return Person(**{c.name: row[c] for c in PERSON_COLUMNS})


def project_of(row: Any) -> Project:
    """Make a project from a row."""
    return Project(**{c.name: row[c] for c in projects.c})


def application_of(row: Any) -> Application:
    """Make an application from a row."""
    values: dict[str, Any] = {c.name: row[c] for c in applications.c}
    values["state"] = ApplicationState(values["state"])
    return Application(**values)


def credential_of(row: Any) -> ApplicationCredential:
    """Make an application credential from a row."""
    return ApplicationCredential(**{c.name: row[c] for c in CREDENTIAL_COLUMNS})


def token_of(row: Any) -> Token:
    """Make a token from a row; its secret's hash stays behind."""
    hidden = {"secret_hash", "method", "credential_id"}
    return token_from({c.name: row[c] for c in tokens.c if c.name not in hidden})


def token_from(values: dict[str, Any]) -> Token:
    """Make a token from the values of its columns."""
    values["kind"] = TokenKind(values["kind"])
    if values["cloud_scope"] is not None:
        values["cloud_scope"] = CloudScope(values["cloud_scope"])
    return Token(**values)
