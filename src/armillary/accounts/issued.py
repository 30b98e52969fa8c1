"""Certificates of people: noted when they are issued, looked up at every request, revoked at any moment."""

from __future__ import annotations

import logging
from datetime import datetime

from armillary.accounts.base_service import UNWRITABLE, ServiceBase, need_person, storable
from armillary.accounts.model import IssuedCertificate, Person, Principal
from armillary.accounts.store import Bearer
from armillary.accounts.tokens import KEPT_AFTER_END
from armillary.base.errors import NotFound, Unauthorized
from armillary.base.ids import PersonId

audit = logging.getLogger("armillary.audit")


class Issued(ServiceBase):
    """Knows which certificates are good."""

    def note_certificate(
        self, person_id: PersonId, *, serial: str, expires_at: datetime, by: Person
    ) -> IssuedCertificate:
        """Note a certificate that was issued to a person, at the wish of `by`; old ones are forgotten."""
        now = self._clock.now()
        noted = IssuedCertificate(serial=serial, issued_at=now, expires_at=expires_at, issued_by=by.user_name)
        try:
            with self._store.write() as records:
                need_person(records, person_id)
                records.certificates.sweep(now - KEPT_AFTER_END)
                records.certificates.add(noted, person_id)
        except UNWRITABLE:
            # Revoking all of theirs ends this one, too.
            audit.warning("certificate %s: not noted", serial)
        audit.info("certificate %s: issued to person %s by %s", serial, person_id, by.user_name)
        return noted

    def certificates_of(self, person_id: PersonId) -> list[IssuedCertificate]:
        """Return the certificates of a person, newest first, with those that ended in the last week."""
        with self._store.read() as records:
            return records.certificates.of_person(person_id)

    def revoke_certificate(self, person_id: PersonId, serial: str) -> None:
        """Revoke a certificate of this person; revoking again is fine.

        Raises:
            NotFound: the person has no such certificate.
        """
        with self._store.write() as records:
            now = self._clock.now()
            if not (storable(serial) and records.certificates.revoke(person_id, now, serial=serial)):
                raise NotFound(
                    "There is no such certificate.", code="certificate_not_found", facts={"serial": serial}
                )
        audit.info("certificate %s: revoked", serial)

    def revoke_certificates(self, person_id: PersonId) -> None:
        """Revoke all certificates of a person, whoever noted them; those of running jobs go on to their end."""
        with self._store.write() as records:
            need_person(records, person_id)
            now = self._clock.now()
            records.certificates.revoke(person_id, now)
            # certificates count whole seconds: one of this second may be newer, and is revoked by its serial if not
            records.certificates.void(person_id, now.replace(microsecond=0))
        audit.info("certificates of person %s: all revoked", person_id)

    def bearer(self, user_name: str, *, serial: str, issued_at: datetime | None, is_job: bool) -> Principal:
        """Return who bears a certificate of ours: one indexed read.

        Raises:
            Unauthorized: the person is gone or switched off, or the certificate was revoked.
        """
        with self._store.read() as records:
            known = records.certificates.bearer(user_name, serial) if storable(user_name) else None
        if known is None or _is_of_another(known, issued_at):
            raise _refused("This certificate's person is gone.", "person_not_found")
        if not known.person.enabled:
            raise _refused("This account is switched off.", "person_disabled")
        void = known.void_before is not None and issued_at is not None and issued_at < known.void_before
        if known.revoked_at is not None or (void and not is_job):
            raise _refused("This certificate was revoked.", "certificate_revoked")
        return Principal(person=known.person)


def _is_of_another(known: Bearer, issued_at: datetime | None) -> bool:
    """Whether the name in a certificate was somebody else's when it was issued: names can be given again."""
    if known.issued_to is not None:
        return known.issued_to != known.person.id
    # certificates count whole seconds
    return issued_at is not None and issued_at < known.person.created_at.replace(microsecond=0)


def _refused(message: str, code: str) -> Unauthorized:
    return Unauthorized(message, code=code, remedy="Get a new one with cadc-get-cert.")
