"""Tokens and application credentials, found by the hash of their secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from armillary.accounts.model import ApplicationCredential, Person, Project, Role, Token, TokenKind
from armillary.accounts.store.tables import (
    CREDENTIAL_COLUMNS,
    PERSON_COLUMNS,
    cloud_grants,
    credential_of,
    credentials,
    grants,
    group_grants,
    group_members,
    people,
    projects,
    token_from,
    token_of,
    tokens,
)
from armillary.base.ids import PersonId, TokenId

# Labels keep apart the columns that the tables share (`id`, `created_at`, …): one statement answers all.
_PERSON = [c.label(f"person_{c.name}") for c in PERSON_COLUMNS]
_PROJECT = [c.label(f"project_{c.name}") for c in projects.c]
_TOKEN = [c.label(f"token_{c.name}") for c in tokens.c if c.name != "secret_hash"]
_BY_SECRET = (
    select(
        *_TOKEN,
        *_PERSON,
        *_PROJECT,
        func.coalesce(grants.c.role, cloud_grants.c.role).label("granted_role"),  # a token is for one of both
        group_grants.c.role.label("group_role"),
        credentials.c.rule_ids,
    )
    .select_from(
        tokens.join(people, people.c.id == tokens.c.person_id)
        .outerjoin(projects, projects.c.id == tokens.c.project_id)
        .outerjoin(
            grants, (grants.c.project_id == tokens.c.project_id) & (grants.c.person_id == tokens.c.person_id)
        )
        .outerjoin(
            cloud_grants,
            (cloud_grants.c.cloud_scope == tokens.c.cloud_scope)
            & (cloud_grants.c.person_id == tokens.c.person_id),
        )
        .outerjoin(group_members, group_members.c.person_id == tokens.c.person_id)
        .outerjoin(
            group_grants,
            (group_grants.c.group_id == group_members.c.group_id)
            & (
                (group_grants.c.project_id == tokens.c.project_id)
                | (group_grants.c.cloud_scope == tokens.c.cloud_scope)
            ),
        )
        .outerjoin(credentials, credentials.c.id == tokens.c.credential_id)
    )
    .where(tokens.c.secret_hash == bindparam("secret_hash"))
)


@dataclass(frozen=True, kw_only=True)
class KnownToken:
    """A token with all that decides what its bearer may do."""

    token: Token
    person: Person
    project: Project | None
    granted: frozenset[Role]
    method: str
    credential_id: str | None
    rule_ids: frozenset[str] | None
    """The access rules of the credential that it was made from; None: no such limit."""


def _part(row: Any, prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}


class TokensTable:
    """Tokens of every kind."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, token: Token, *, secret_hash: str, method: str, credential_id: str | None) -> None:
        """Insert a token."""
        values = vars(token) | {"secret_hash": secret_hash, "method": method, "credential_id": credential_id}
        self._db.execute(insert(tokens).values(values))

    def by_secret_hash(self, secret_hash: str) -> KnownToken | None:
        """Everything about a token in one indexed read, or None."""
        rows = self._db.execute(_BY_SECRET, {"secret_hash": secret_hash}).mappings().all()
        if not rows:
            return None
        row = rows[0]
        values = _part(row, "token_")
        method, credential_id = values.pop("method"), values.pop("credential_id")
        project = _part(row, "project_")
        return KnownToken(
            token=token_from(values),
            person=Person(**_part(row, "person_")),
            project=None if project["id"] is None else Project(**project),
            granted=frozenset(
                Role(r[column]) for r in rows for column in ("granted_role", "group_role") if r[column]
            ),
            method=method,
            credential_id=credential_id,
            rule_ids=row["rule_ids"],
        )

    def end_of(self, person_id: PersonId, token_id: str) -> datetime | None:
        """When a token of a person ends, or has ended; None when it is not known any more."""
        query = select(tokens.c.expires_at, tokens.c.revoked_at).where(
            (tokens.c.id == token_id) & (tokens.c.person_id == person_id)
        )
        row = self._db.execute(query).first()
        return None if row is None else row.revoked_at or row.expires_at

    def used(self, token_id: TokenId, at: datetime) -> None:
        """Note when a token was last used."""
        self._db.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=at))

    def exists(self, person_id: PersonId, token_id: TokenId) -> bool:
        """Whether a person has this token, good or not."""
        query = select(tokens.c.id).where((tokens.c.id == token_id) & (tokens.c.person_id == person_id))
        return self._db.scalar(query) is not None

    def of_person(
        self, person_id: PersonId, *, kinds: frozenset[TokenKind] | None, limit: int
    ) -> list[Token]:
        """The newest tokens of a person, revoked and expired ones too until they are swept."""
        query = select(tokens).where(tokens.c.person_id == person_id)
        if kinds is not None:
            query = query.where(tokens.c.kind.in_(sorted(kinds)))
        query = query.order_by(tokens.c.created_at.desc(), tokens.c.id).limit(limit)
        return [token_of(row) for row in self._db.execute(query).mappings()]

    def revoke(
        self,
        at: datetime,
        *,
        person_id: PersonId | None = None,
        token_id: TokenId | None = None,
        secret_hash: str | None = None,
        spare_kinds: frozenset[TokenKind] = frozenset(),
        spare: TokenId | None = None,
    ) -> int:
        """Revoke the tokens that match everything given; returns how many were good until now."""
        condition = tokens.c.revoked_at.is_(None)
        for column, value in (
            (tokens.c.person_id, person_id),
            (tokens.c.id, token_id),
            (tokens.c.secret_hash, secret_hash),
        ):
            if value is not None:
                condition &= column == value
        if spare_kinds:
            condition &= tokens.c.kind.not_in(sorted(spare_kinds))
        if spare is not None:
            condition &= tokens.c.id != spare
        return self._db.execute(update(tokens).where(condition).values(revoked_at=at)).rowcount

    def sweep(self, before: datetime) -> int:
        """Delete tokens that ended before a moment; returns how many."""
        ended = (tokens.c.expires_at < before) | (tokens.c.revoked_at < before)
        return self._db.execute(delete(tokens).where(ended)).rowcount


class CredentialsTable:
    """Application credentials."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, credential: ApplicationCredential, *, secret_hash: str) -> None:
        """Insert a credential whose name is free for its person."""
        self._db.execute(insert(credentials).values(vars(credential) | {"secret_hash": secret_hash}))

    def find(
        self, *, credential_id: str | None = None, person_id: PersonId | None = None, name: str | None = None
    ) -> list[ApplicationCredential]:
        """Credentials that match everything given, by name."""
        query = select(*CREDENTIAL_COLUMNS).order_by(credentials.c.name)
        for column, value in (
            (credentials.c.id, credential_id),
            (credentials.c.person_id, person_id),
            (credentials.c.name, name),
        ):
            if value is not None:
                query = query.where(column == value)
        return [credential_of(row) for row in self._db.execute(query).mappings()]

    def secret_hash(self, credential_id: str) -> str | None:
        """What is kept of a credential's secret."""
        return self._db.scalar(select(credentials.c.secret_hash).where(credentials.c.id == credential_id))

    def remove(self, credential_id: str) -> None:
        """Delete a credential and the tokens that it gave."""
        self._db.execute(delete(credentials).where(credentials.c.id == credential_id))
