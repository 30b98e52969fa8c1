"""Identities from elsewhere: who a provider of OpenID Connect says somebody is."""

from __future__ import annotations

from armillary.accounts.base_service import ServiceBase, need_person, storable
from armillary.accounts.model import Identity, Person
from armillary.accounts.store import Records
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import PersonId


class Identities(ServiceBase):
    """Knows which person an identity belongs to. An e-mail address alone never does: providers let people type any."""

    def person_of_identity(self, issuer: str, subject: str) -> Person | None:
        """Return the person of an identity who may sign in, or None if it is nobody's."""
        if not (storable(issuer) and storable(subject)):
            return None
        with self._store.read() as records:
            person_id = records.identities.person_of(issuer, subject)
            person = need_person(records, person_id) if person_id else None
        return person if person and person.enabled else None

    def identities_of(self, person_id: PersonId) -> list[Identity]:
        """Return the identities of a person, the oldest first."""
        with self._store.read() as records:
            return records.identities.of(person_id)

    def add_identity(self, person_id: PersonId, *, issuer: str, subject: str) -> Identity:
        """Let a person sign in with an identity.

        Raises:
            Conflict: it is somebody's.
        """
        with self._store.write() as records:
            return self._add_identity(records, need_person(records, person_id), issuer, subject)

    def _add_identity(self, records: Records, person: Person, issuer: str, subject: str) -> Identity:
        if records.identities.person_of(issuer, subject) is not None:
            raise Conflict(
                "This identity belongs to an account already.",
                code="identity_taken",
                facts={"issuer": issuer},
                remedy="Sign in with it, or remove it from the other account.",
            )
        made = Identity(issuer=issuer, subject=subject, person_id=person.id, created_at=self._clock.now())
        records.identities.add(made)
        return made

    def remove_identity(self, person_id: PersonId, *, issuer: str, subject: str) -> None:
        """Take an identity from a person.

        Raises:
            NotFound: it is not theirs.
            Conflict: it is the only way in.
        """
        with self._store.write() as records:
            mine = records.identities.of(person_id)
            if not any((one.issuer, one.subject) == (issuer, subject) for one in mine):
                raise NotFound("There is no such identity.", code="identity_not_found")
            if len(mine) == 1 and records.people.password_hashes(person_id)[0] is None:
                raise Conflict(
                    "This is your only way in.",
                    code="only_way_in",
                    remedy="Set a password first, with the link for a forgotten one.",
                )
            records.identities.remove(issuer, subject)
