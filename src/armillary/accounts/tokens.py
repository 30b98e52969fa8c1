"""Tokens: issued with a secret that is shown once, checked on every request, revoked at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from armillary.accounts.base_service import UNWRITABLE, ServiceBase, need_person, need_project, storable
from armillary.accounts.core.rules import Findings
from armillary.accounts.model import (
    AccessRule,
    CloudScope,
    IssuedToken,
    Person,
    Principal,
    Project,
    Role,
    Token,
    TokenKind,
)
from armillary.accounts.passwords import hash_secret
from armillary.accounts.store import KnownToken, Records
from armillary.base.clock import Clock
from armillary.base.errors import Forbidden, NotFound, Unauthorized
from armillary.base.ids import PersonId, ProjectId, TokenId, new_hex, new_secret

LONGEST = timedelta(days=366)
USED_EVERY = timedelta(minutes=1)
NOTED_KINDS = frozenset({TokenKind.API, TokenKind.SESSION})
"""Those that people keep and look through; a cloud's and a job's come by the thousand and live an hour."""
SWEEP_EVERY = timedelta(hours=1)
KEPT_AFTER_END = timedelta(days=7)
SECRET_PREFIX = "arm_"  # noqa: S105 - what every secret starts with, not one
"""Lets secret scanners recognise a token that leaked into a repository."""


class Tokens(ServiceBase):
    """Issues, checks and revokes tokens."""

    _swept_at: datetime | None = None

    def issue_token(
        self,
        person_id: PersonId,
        *,
        kind: TokenKind,
        lifetime: timedelta,
        project_id: ProjectId | None = None,
        label: str = "",
        scopes: frozenset[str] = frozenset(),
        roles: frozenset[Role] | None = None,
        method: str = "password",
        credential_id: str | None = None,
        cloud_scope: CloudScope | None = None,
    ) -> IssuedToken:
        """Issue a token; its secret is in the answer and nowhere else.

        `method` says how its bearer proved who they are; a token made from an application credential names
        it and ends with it. `cloud_scope` makes a Keystone token for what is no project.

        Raises:
            Forbidden: the person has no role in the project or scope.
            Invalid: the lifetime is not positive or over a year, or the label is too long.
        """
        findings = Findings()
        findings.text("label", label, longest=200, required=False)
        findings.check(
            "lifetime", timedelta() < lifetime <= LONGEST, "This must be positive, at most 366 days."
        )
        findings.check("scopes", all(word and " " not in word for word in scopes), "A scope is one word.")
        findings.settle()
        now = self._clock.now()
        token = Token(
            id=TokenId(new_hex()),
            kind=kind,
            person_id=person_id,
            project_id=project_id,
            label=label,
            scopes=scopes,
            roles=roles,
            created_at=now,
            expires_at=now + lifetime,
            cloud_scope=cloud_scope,
        )
        secret = SECRET_PREFIX + new_secret()
        with self._store.write() as records:
            self._principal(records, person_id, project_id, cloud_scope)
            records.tokens.add(
                token, secret_hash=hash_secret(secret), method=method, credential_id=credential_id
            )
            if self._swept_at is None or now - self._swept_at >= SWEEP_EVERY:
                records.tokens.sweep(now - KEPT_AFTER_END)
                self._swept_at = now
        return IssuedToken(secret=secret, token=token)

    @property
    def clock(self) -> Clock:
        """By which tokens end."""
        return self._clock

    @property
    def changes(self) -> int:
        """A number that differs after anything about accounts was written by this process."""
        return self._store.writes

    def check_token(self, secret: str, *, kinds: frozenset[TokenKind] | None = None) -> Principal:
        """Return who bears this token: one indexed read, and for API tokens and sessions a write a minute.

        Every door names the `kinds` that open it (None: all); else a job's token would open the portal.

        Raises:
            Unauthorized: it is unknown, of another kind, revoked, expired, its person or project was switched
                off, or its person has no role left in its project.
        """
        now = self._clock.now()
        with self._store.read() as records:
            known = records.tokens.by_secret_hash(hash_secret(secret))
            rules = _rules(records, known) if known is not None else None
        if known is None:
            raise _refused("This token is not known.", "unknown_token")
        token, person = known.token, known.person
        if kinds is not None and token.kind not in kinds:
            raise _refused("This token is for something else.", "wrong_token_kind")
        if token.revoked_at is not None:
            raise _refused("This token was revoked.", "token_revoked")
        if token.expires_at <= now:
            raise _refused("This token has expired.", "token_expired")
        if not person.enabled:
            raise _refused("This account is switched off.", "person_disabled")
        scoped = known.project is not None or token.cloud_scope is not None
        if known.project is not None and not known.project.enabled:
            raise _refused("This token's project is closed.", "project_closed")
        if scoped and not (known.granted or person.is_admin):
            raise _refused("This token's project is closed to its bearer.", "project_closed")
        principal = limited(
            _assemble(person, known.project, known.granted, scoped=scoped),
            token.roles,
            strip=token.kind is TokenKind.JOB,
        )
        facts: Mapping[str, str] = {"credential_id": known.credential_id} if known.credential_id else {}
        self._note_use(token, now)
        return replace(
            principal,
            method=known.method,
            token=token,
            scopes=token.scopes,
            facts=facts,
            access_rules=rules,
        )

    def _note_use(self, token: Token, now: datetime) -> None:
        recently = token.last_used_at is not None and now - token.last_used_at < USED_EVERY
        if recently or token.kind not in NOTED_KINDS:
            return
        try:
            with self._store.write() as records:
                records.tokens.used(token.id, now)
        except UNWRITABLE:
            return

    def revoke_token(self, person_id: PersonId, token_id: TokenId) -> None:
        """Revoke a token of this person; revoking again is fine.

        Raises:
            NotFound: the person has no such token.
        """
        with self._store.write() as records:
            if not (storable(token_id) and records.tokens.exists(person_id, token_id)):
                raise NotFound("There is no such token.", code="token_not_found", facts={"token": token_id})
            records.tokens.revoke(self._clock.now(), person_id=person_id, token_id=token_id)

    def revoke_secret(self, secret: str) -> None:
        """Revoke the token with this secret, as on signing out; unknown ones are fine."""
        with self._store.write() as records:
            records.tokens.revoke(self._clock.now(), secret_hash=hash_secret(secret))

    def tokens_of(
        self, person_id: PersonId, *, kinds: frozenset[TokenKind] | None = None, limit: int = 1000
    ) -> list[Token]:
        """Return the newest tokens of a person, of some kinds or all, with those that ended lately."""
        with self._store.read() as records:
            return records.tokens.of_person(person_id, kinds=kinds, limit=limit)

    def sweep_tokens(self) -> int:
        """Delete tokens that ended more than a week ago; returns how many."""
        with self._store.write() as records:
            return records.tokens.sweep(self._clock.now() - KEPT_AFTER_END)

    def principal(self, person_id: PersonId, project_id: ProjectId | None = None) -> Principal:
        """Return a person as who asks, in a project or in none.

        Raises:
            NotFound: there is no such person or project.
            Unauthorized: the person is switched off.
            Forbidden: the person has no role in the project, or it is switched off.
        """
        with self._store.read() as records:
            return self._principal(records, person_id, project_id)

    def _principal(
        self,
        records: Records,
        person_id: PersonId,
        project_id: ProjectId | None,
        cloud_scope: CloudScope | None = None,
    ) -> Principal:
        person = need_person(records, person_id)
        if not person.enabled:
            raise _refused("This account is switched off.", "person_disabled")
        if cloud_scope is not None:
            granted = records.projects.effective_cloud_roles(cloud_scope, person_id)
            if not (granted or person.is_admin):
                raise Forbidden("You have no role there.", facts={"scope": cloud_scope.value})
            return _assemble(person, None, granted, scoped=True)
        if project_id is None:
            return _assemble(person, None, frozenset(), scoped=False)
        project = need_project(records, project_id)
        granted = records.projects.effective_roles(project_id, person_id)
        if not project.enabled or not (granted or person.is_admin):
            raise Forbidden(
                "You have no role in this project.",
                code="not_a_member",
                facts={"project": project.name},
                remedy="Ask an administrator of the project to add you.",
            )
        return _assemble(person, project, granted, scoped=True)


def _rules(records: Records, known: KnownToken) -> tuple[AccessRule, ...] | None:
    if known.rule_ids is None:
        return None
    return tuple(rule for rule in records.rules.of_person(known.person.id) if rule.id in known.rule_ids)


def _assemble(
    person: Person, project: Project | None, granted: frozenset[Role], *, scoped: bool
) -> Principal:
    roles = frozenset[Role]().union(*(role.implied for role in granted))
    if scoped and person.is_admin:
        roles |= Role.CLOUD_ADMIN.implied
    return Principal(person=person, project=project, roles=roles)


def limited(principal: Principal, roles: frozenset[Role] | None, *, strip: bool = False) -> Principal:
    """Return the principal of a credential that carries only `roles` (None: all of them).

    A credential without the role of the clouds' administrators, and a job's (`strip`), does not carry its person's
    rights over the platform either: otherwise a reader's credential made by an administrator would be an administrator's.
    """
    person = principal.person
    if roles is not None:
        allowed = frozenset[Role]().union(*(role.implied for role in roles))
        strip = strip or Role.CLOUD_ADMIN not in allowed
        principal = replace(principal, roles=principal.roles & allowed)
    if strip:
        weaker = replace(person, is_admin=False) if person.is_admin else person
        principal = replace(principal, person=weaker, roles=principal.roles - {Role.CLOUD_ADMIN})
    return principal


def _refused(message: str, code: str) -> Unauthorized:
    return Unauthorized(message, code=code, remedy="Sign in again.")
