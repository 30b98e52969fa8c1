"""People: their records, their passwords, and the first administrator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from armillary.accounts.base_service import need_free_user_name, need_person, storable
from armillary.accounts.core.rules import Findings
from armillary.accounts.model import Allocation, Person, Project, Role, TokenKind
from armillary.accounts.proving import Proving
from armillary.accounts.store import Records
from armillary.accounts.trail import changed
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import PersonId, ProjectId, TokenId, new_hex, new_secret
from armillary.base.units import GiB, MiB

ADMIN_ALLOCATION = Allocation(cores=16, ram=MiB(32768), disk=GiB(200), storage=GiB(100), batch_cores=16)
_KEPT_KINDS = frozenset({TokenKind.JOB})
"""A new password ends every other kind of token, and all certificates; running jobs go on to their end."""


class People(Proving):
    """Knows people and sets their passwords."""

    def person(self, person_id: PersonId) -> Person:
        """Return a person; raises NotFound."""
        with self._store.read() as records:
            return need_person(records, person_id)

    def person_named(self, user_name: str) -> Person:
        """Return the person of that user name; raises NotFound."""
        with self._store.read() as records:
            person = records.people.by_name(user_name) if storable(user_name) else None
        if person is None:
            facts = {"user_name": user_name}
            raise NotFound("There is no such person.", code="person_not_found", facts=facts)
        return person

    def people(self) -> list[Person]:
        """Return everybody, by user name."""
        with self._store.read() as records:
            return records.people.all()

    def find_people(self, words: str, *, skip: int = 0, limit: int = 50) -> tuple[Sequence[Person], int]:
        """Return some of those whose names, address or institute have the words in them, and how many they are."""
        with self._store.read() as records:
            return records.people.found(words.strip(), skip=skip, limit=limit)

    def create_person(
        self,
        *,
        user_name: str,
        password: str | None = None,
        full_name: str = "",
        email: str = "",
        institute: str = "",
        is_admin: bool = False,
        enabled: bool = True,
        locale: str = "en",
        default_project_id: ProjectId | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> Person:
        """Make a person on an administrator's behalf, without an application.

        Raises:
            Invalid: a field is wrong.
            Conflict: the user name is taken.
        """
        findings = Findings()
        findings.admin_name("user_name", user_name)
        _check_profile(findings, full_name=full_name, email=email, institute=institute, locale=locale)
        if password is not None:
            findings.password(password, user_name=user_name)
        findings.settle()
        hashed = None if password is None else self._passwords.hash(password)
        with self._store.write() as records:
            return self._add_person(
                records,
                hashed,
                user_name=user_name,
                full_name=full_name or user_name,
                email=email,
                institute=institute,
                is_admin=is_admin,
                enabled=enabled,
                locale=locale,
                default_project_id=default_project_id,
                extras=dict(extras or {}),
            )

    def _add_person(
        self, records: Records, hashed: str | None, *, is_service: bool = False, **values: Any
    ) -> Person:
        need_free_user_name(records, values["user_name"])
        person = Person(id=PersonId(new_hex()), created_at=self._clock.now(), **values)
        records.people.add(person, password_hash=hashed, is_service=is_service)
        return person

    def update_person(
        self,
        person_id: PersonId,
        *,
        user_name: str | None = None,
        full_name: str | None = None,
        email: str | None = None,
        institute: str | None = None,
        locale: str | None = None,
        enabled: bool | None = None,
        is_admin: bool | None = None,
        default_project_id: ProjectId | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> Person:
        """Change what is given. A person who is switched off cannot use any credential from that moment.

        Raises:
            Conflict: the new name is taken, or this would leave the platform without an administrator.
        """
        findings = Findings()
        if user_name is not None:
            findings.admin_name("user_name", user_name)
        _check_profile(findings, full_name=full_name, email=email, institute=institute, locale=locale)
        findings.settle()
        given = {
            "user_name": user_name,
            "full_name": full_name,
            "email": email,
            "institute": institute,
            "locale": locale,
            "enabled": enabled,
            "is_admin": is_admin,
            "default_project_id": default_project_id,
            "extras": None if extras is None else dict(extras),
        }
        changes = {name: value for name, value in given.items() if value is not None}
        with self._store.write() as records:
            person = need_person(records, person_id)
            if user_name is not None and user_name != person.user_name:
                need_free_user_name(records, user_name)
            if enabled is False or is_admin is False:
                _need_other_administrator(records, person_id)
            if changes:
                records.people.change(person_id, **changes)
            after = need_person(records, person_id)
        for name in ("user_name", "is_admin", "enabled"):
            changed(f"{person.user_name}: {name}", getattr(person, name), getattr(after, name))
        return after

    def delete_person(self, person_id: PersonId) -> None:
        """Delete a person with all credentials, roles and applications.

        Raises:
            Conflict: this would leave the platform without an administrator.
        """
        with self._store.write() as records:
            need_person(records, person_id)
            _need_other_administrator(records, person_id)
            records.people.remove(person_id)

    def change_password(
        self, person_id: PersonId, old: str, new: str, *, keep: TokenId | None = None, origin: str = ""
    ) -> None:
        """Change a password with the old one; ends all tokens and certificates of the person but `keep` and running jobs'.

        Raises:
            Unauthorized: `old` is wrong; counts as a failed sign-in.
            Invalid: `new` breaks a rule, or is the present password or the one before.
        """
        person = self.person(person_id)
        self.prove_password(person.user_name, old, origin=origin)
        self._check_new_password(person, new, field="new_password")
        with self._store.read() as records:
            present, previous = records.people.password_hashes(person_id)
        if any(kept is not None and self._passwords.verify(new, kept) for kept in (present, previous)):
            raise Invalid(
                "The new password has been used before.",
                code="password_reused",
                facts={"field": "new_password"},
                remedy="Choose a password that differs from the last two.",
            )
        self._set_password(person_id, new, keep=keep, must_be=present)

    def set_password(self, person_id: PersonId, new: str) -> None:
        """Set a password on an administrator's behalf; ends all tokens and certificates of the person but running jobs'."""
        self._check_new_password(self.person(person_id), new, field="password")
        self._set_password(person_id, new)

    def _check_new_password(self, person: Person, new: str, *, field: str) -> None:
        findings = Findings()
        findings.password(new, user_name=person.user_name, field=field)
        findings.settle()

    def _set_password(
        self, person_id: PersonId, new: str, *, keep: TokenId | None = None, must_be: str | None = None
    ) -> None:
        hashed = self._passwords.hash(new)
        now = self._clock.now()
        with self._store.write() as records:
            person = need_person(records, person_id)
            present = records.people.password_hashes(person_id)[0]
            if must_be is not None and present != must_be:
                raise Conflict("The password was changed at the same moment.", remedy="Sign in again.")
            records.people.change(person_id, password_hash=hashed, previous_hash=present)
            records.people.set_failures(person.user_name, None, forget_before=now - self._lockout.memory)
            records.tokens.revoke(now, person_id=person_id, spare_kinds=_KEPT_KINDS, spare=keep)
            records.certificates.revoke(person_id, now)
            records.certificates.void(person_id, now.replace(microsecond=0))

    def bootstrap_admin(self) -> str | None:
        """Make the first administrator `admin` with project `admin`; return the password, kept nowhere.

        Returns None, and does nothing, if the platform has an administrator.
        """
        with self._store.read() as records:
            if records.people.administrators():
                return None
        password = new_secret(15)
        hashed = self._passwords.hash(password)
        with self._store.write() as records:
            if records.people.administrators():  # another process was first
                return None
            values = _blank_profile("Administrator")
            admin = self._add_person(
                records, hashed, user_name="admin", is_admin=True, enabled=True, **values
            )
            project = records.projects.by_name("admin")
            if project is None:
                project = Project(
                    id=ProjectId(new_hex()),
                    name="admin",
                    description="The platform's own project: base images and upkeep.",
                    allocation=ADMIN_ALLOCATION,
                    enabled=True,
                    created_at=admin.created_at,
                )
                records.projects.add(project)
            records.projects.grant(project.id, admin.id, Role.ADMIN)
        return password

    def ensure_service_person(
        self, user_name: str = "armillary-fleet", *, password: str | None = None
    ) -> Person:
        """Return one of the platform's own identities, made if it is not there, with admin rights everywhere.

        With `password`, that becomes its password; tokens are ended only if it is another one than before.
        It does not count as an administrator that people could turn to.
        """
        with self._store.write() as records:
            person = records.people.by_name(user_name)
            if person is None:
                values = _blank_profile(user_name)
                person = self._add_person(
                    records, None, user_name=user_name, is_admin=True, enabled=True, is_service=True, **values
                )
            elif not records.people.is_service(person.id):
                # never hand the platform's rights to somebody who happens to have the name
                raise Conflict(
                    f"The user name {user_name!r} belongs to a person.",
                    code="user_name_taken",
                    facts={"user_name": user_name},
                    remedy="Rename that person.",
                )
            if not (person.is_admin and person.enabled):
                records.people.change(person.id, is_admin=True, enabled=True)
                person = need_person(records, person.id)
            present = records.people.password_hashes(person.id)[0]
        if password is not None and not self._passwords.verify(password, present):
            self._set_password(person.id, password)
        return person


def _check_profile(findings: Findings, **values: str | None) -> None:
    for name, value in values.items():
        if value is None:
            continue
        if name == "email":
            if value:
                findings.email(value)
        elif name == "locale":
            findings.locale(value)
        else:
            findings.text(name, value, longest=255, required=False)


def _blank_profile(full_name: str) -> dict[str, Any]:
    return {"full_name": full_name, "email": "", "institute": "", "locale": "en"}


def _need_other_administrator(records: Records, person_id: PersonId) -> None:
    if [person.id for person in records.people.administrators()] == [person_id]:
        raise Conflict(
            "This is the only administrator of the platform.",
            code="last_administrator",
            facts={"person": person_id},
            remedy="Make somebody else an administrator first.",
        )
