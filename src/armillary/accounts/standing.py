"""Whether what somebody signed in with is still good, for what was promised on the strength of it."""

from __future__ import annotations

from datetime import datetime

from armillary.accounts.base_service import need_person
from armillary.accounts.issued import Issued
from armillary.accounts.model import Person
from armillary.base.errors import NotFound, Unauthorized
from armillary.base.ids import PersonId


class Standing(Issued):
    """Looks at credentials again without seeing their secrets."""

    def holder(self, person_id: PersonId, credential: str) -> Person:
        """Return the person who signed in with `credential` (see `Principal.credential`), as they are now.

        Raises:
            Unauthorized: they are gone or switched off, or it has expired or was revoked.
        """
        kind, _, name = credential.partition(":")
        with self._store.read() as records:
            try:
                person = need_person(records, person_id)
            except NotFound as error:
                raise _ended("This account is gone.", "person_not_found") from error
            ends_at = records.tokens.end_of(person_id, name) if kind == "token" else None
        if not person.enabled:
            raise _ended("This account is switched off.", "person_disabled")
        if kind == "token" and (ends_at is None or ends_at <= self._clock.now()):
            raise _ended("The token behind this has ended.", "token_revoked")
        if kind == "x509":
            serial, _, issued_at = name.partition("@")
            moment = datetime.fromisoformat(issued_at) if issued_at else None
            # void by date are all but those of jobs, which end within the hour, as this does in minutes
            self.bearer(person.user_name, serial=serial, issued_at=moment, is_job=False)
        return person


def _ended(message: str, code: str) -> Unauthorized:
    return Unauthorized(message, code=code, remedy="Sign in, and ask for a new address.")
