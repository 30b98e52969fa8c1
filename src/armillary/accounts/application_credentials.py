"""Application credentials (Identity v3): a named secret for scripts, bound to one project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from armillary.accounts.base_service import storable
from armillary.accounts.core.rules import Findings
from armillary.accounts.model import AccessRule, ApplicationCredential, Principal, Role
from armillary.accounts.passwords import hash_secret
from armillary.accounts.store import Records
from armillary.accounts.tokens import Tokens, limited
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from armillary.base.ids import PersonId, ProjectId, new_hex, new_secret

MOST_PER_PERSON = 100


class ApplicationCredentials(Tokens):
    """Makes, checks and deletes application credentials."""

    def create_application_credential(
        self,
        person_id: PersonId,
        project_id: ProjectId,
        *,
        name: str,
        secret: str | None = None,
        description: str = "",
        roles: frozenset[Role] | None = None,
        expires_at: datetime | None = None,
        unrestricted: bool = False,
        rules: Sequence[str | tuple[str, str, str]] | None = None,
    ) -> tuple[ApplicationCredential, str]:
        """Make a credential and return it with its secret, made here unless given.

        `rules` limits it to some requests: ids of the person's access rules, or (service, method, path).

        Raises:
            Invalid: a field is wrong, or a role is not one that the person has in the project.
            Conflict: the person has a credential of that name.
            Forbidden: the person has no role in the project.
        """
        now = self._clock.now()
        findings = Findings()
        findings.text("name", name, longest=255)
        findings.text("description", description, longest=2000, required=False, lines=True)
        if secret is not None:
            findings.text("secret", secret, longest=1024)
        findings.check("expires_at", expires_at is None or expires_at > now, "This must be in the future.")
        findings.settle()
        made = new_secret(48) if secret is None else secret
        kept = hash_secret(made) if secret is None else self._passwords.hash_chosen_secret(made)
        with self._store.write() as records:
            principal = self._principal(records, person_id, project_id)
            asked = principal.roles if roles is None else roles
            missing = asked - principal.roles
            if missing or not asked:
                raise Invalid(
                    "A credential carries only roles that you have in the project.",
                    code="role_not_held",
                    facts={"field": "roles", "missing": sorted(missing)},
                )
            mine = records.credentials.find(person_id=person_id)
            if any(credential.name == name for credential in mine):
                raise Conflict(
                    f"You have an application credential {name!r}.",
                    code="credential_name_taken",
                    facts={"field": "name", "name": name},
                    remedy="Choose another name, or delete that one.",
                )
            if len(mine) >= MOST_PER_PERSON:
                raise Forbidden(
                    f"You have {len(mine)} application credentials.",
                    code="too_many_credentials",
                    facts={"limit": MOST_PER_PERSON},
                    remedy="Delete some that are not used.",
                )
            credential = ApplicationCredential(
                id=new_hex(),
                name=name,
                description=description,
                person_id=person_id,
                project_id=project_id,
                roles=asked,
                created_at=now,
                expires_at=expires_at,
                unrestricted=unrestricted,
                rule_ids=None if rules is None else _rule_ids(records, person_id, rules),
            )
            records.credentials.add(credential, secret_hash=kept)
        return credential, made

    def application_credentials_of(self, person_id: PersonId) -> list[ApplicationCredential]:
        """Return the credentials of a person, by name."""
        with self._store.read() as records:
            return records.credentials.find(person_id=person_id)

    def application_credential(self, credential_id: str) -> ApplicationCredential:
        """Return a credential; raises NotFound."""
        with self._store.read() as records:
            return _need(records, credential_id)

    def delete_application_credential(self, person_id: PersonId, credential_id: str) -> None:
        """Delete a credential of this person; the tokens made from it end at once.

        Raises:
            NotFound: the person has no such credential.
        """
        with self._store.write() as records:
            if _need(records, credential_id).person_id != person_id:
                raise _no_such(credential_id)
            records.credentials.remove(credential_id)

    def authenticate_application_credential(
        self,
        *,
        id: str | None = None,
        name: str | None = None,
        user_name: str | None = None,
        user_id: PersonId | None = None,
        secret: str,
    ) -> Principal:
        """Return who bears the credential given by `id`, or by `name` with its person's name or id.

        Raises:
            Unauthorized: it is unknown or expired, the secret is wrong, or its person or project is closed.
        """
        with self._store.read() as records:
            credential = _find(records, id=id, name=name, user_name=user_name, user_id=user_id)
            kept = records.credentials.secret_hash(credential.id) if credential else None
        if not self._passwords.verify_secret(secret, kept) or credential is None:
            raise _refused("The application credential or its secret is wrong.", "wrong_secret")
        if credential.expires_at is not None and credential.expires_at <= self._clock.now():
            raise _refused("This application credential has expired.", "credential_expired")
        try:
            principal = self.principal(credential.person_id, credential.project_id)
        except (Forbidden, NotFound) as error:
            raise _refused("This credential's project is closed to its bearer.", "project_closed") from error
        return replace(
            limited(principal, credential.roles),
            method="application_credential",
            facts={"credential_id": credential.id},
        )


def _rule_ids(
    records: Records, person_id: PersonId, wanted: Sequence[str | tuple[str, str, str]]
) -> frozenset[str]:
    """The ids of these rules of the person, which are made if they are not there."""
    known = {(rule.service, rule.method, rule.path): rule.id for rule in records.rules.of_person(person_id)}
    found: set[str] = set()
    for rule in wanted:
        if isinstance(rule, str):
            if rule not in known.values():
                raise NotFound(
                    "There is no such access rule.", code="access_rule_not_found", facts={"rule": rule}
                )
            found.add(rule)
            continue
        if rule not in known:
            service, method, path = rule
            made = AccessRule(id=new_hex(), person_id=person_id, service=service, method=method, path=path)
            records.rules.add(made)
            known[rule] = made.id
        found.add(known[rule])
    return frozenset(found)


def _find(
    records: Records, *, id: str | None, name: str | None, user_name: str | None, user_id: str | None
) -> ApplicationCredential | None:
    if not all(storable(text) for text in (id, name, user_name, user_id) if text is not None):
        return None
    if id is not None:
        return next(iter(records.credentials.find(credential_id=id)), None)
    if name is None:
        return None
    if user_id is None and user_name is not None:
        person = records.people.by_name(user_name)
        user_id = person.id if person else None
    if user_id is None:
        return None
    return next(iter(records.credentials.find(person_id=PersonId(user_id), name=name)), None)


def _need(records: Records, credential_id: str) -> ApplicationCredential:
    found = records.credentials.find(credential_id=credential_id) if storable(credential_id) else []
    if not found:
        raise _no_such(credential_id)
    return found[0]


def _no_such(credential_id: str) -> NotFound:
    return NotFound(
        "There is no such application credential.",
        code="credential_not_found",
        facts={"application_credential": credential_id},
    )


def _refused(message: str, code: str) -> Unauthorized:
    return Unauthorized(message, code=code, remedy="Make a new application credential.")
