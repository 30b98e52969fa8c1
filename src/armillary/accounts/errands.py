"""What somebody is in the middle of: links and cookies with a secret that is good once, for a short while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from armillary.accounts.base_service import need_person, storable
from armillary.accounts.model import Errand, ErrandKind, Person
from armillary.accounts.passwords import hash_secret
from armillary.accounts.people import People
from armillary.accounts.turnstile import Attempt
from armillary.base.errors import NotFound
from armillary.base.ids import PersonId, new_secret

LIFETIMES: Mapping[ErrandKind, timedelta] = {
    ErrandKind.RESET: timedelta(hours=1),
    ErrandKind.CODE: timedelta(minutes=5),
    ErrandKind.IDENTITY: timedelta(minutes=30),
}
RESET_EVERY = timedelta(minutes=2)
"""How often a stranger may have a letter sent to somebody."""


class Errands(People):
    """Begins and ends errands: a new password, the code after the password, registration with an identity from elsewhere."""

    def begin_errand(
        self, kind: ErrandKind, *, person_id: PersonId | None = None, facts: Mapping[str, Any] | None = None
    ) -> str:
        """Return the secret of a new errand, kept nowhere as it is. Those of all kinds that are over are forgotten."""
        now = self._clock.now()
        secret = new_secret()
        errand = Errand(
            kind=kind,
            person_id=person_id,
            facts=dict(facts or {}),
            made_at=now,
            expires_at=now + LIFETIMES[kind],
        )
        with self._store.write() as records:
            if person_id is not None:
                need_person(records, person_id)
            records.errands.sweep(now)
            records.errands.add(errand, secret_hash=hash_secret(secret))
        return secret

    def errand(self, kind: ErrandKind, secret: str) -> Errand:
        """Return an errand that is not over; raises NotFound `errand_over`."""
        with self._store.read() as records:
            found = records.errands.by_secret_hash(hash_secret(secret))
        if found is None or found.kind is not kind or found.expires_at <= self._clock.now():
            raise _over()
        return found

    def end_errand(self, kind: ErrandKind, secret: str) -> Errand:
        """Return an errand and end it: of two at once, one gets it. Raises NotFound `errand_over`."""
        found = self.errand(kind, secret)
        with self._store.write() as records:
            if not records.errands.remove(hash_secret(secret)):
                raise _over()
        return found

    def ask_for_reset(self, name_or_email: str, *, origin: str = "") -> tuple[Person, str] | None:
        """Return whom to send the secret of a new password to; None if to nobody.

        The caller answers the same in both cases, so that nobody learns who has an account. There is one letter in
        two minutes.

        Raises:
            TooManyRequests: too many were asked for from the network address `origin`, whosesoever.
        """
        with self._store.write() as records:
            self._turnstile.need_turn(records, Attempt.REQUEST, origin)
            self._turnstile.count(records, Attempt.REQUEST, origin)
        if not storable(name_or_email) or not name_or_email or len(name_or_email) > 255:
            return None
        with self._store.read() as records:
            person = records.people.by_name(name_or_email) or records.people.by_email(name_or_email)
            if (
                person is None
                or not person.enabled
                or not person.email
                or records.people.is_service(person.id)
            ):
                return None
            latest = records.errands.latest(person.id, ErrandKind.RESET)
        if latest is not None and self._clock.now() - latest < RESET_EVERY:
            return None
        return person, self.begin_errand(ErrandKind.RESET, person_id=person.id)

    def reset_password(self, secret: str, new: str) -> Person:
        """Set a password with the secret of a reset; a password that breaks a rule leaves the secret good.

        Raises:
            NotFound: `errand_over`.
            Invalid: `new` breaks a rule.
        """
        errand = self.errand(ErrandKind.RESET, secret)
        assert errand.person_id is not None  # every reset is somebody's
        person = self.person(errand.person_id)
        self._check_new_password(person, new, field="password")
        self.end_errand(ErrandKind.RESET, secret)
        self._set_password(person.id, new)
        return person


def _over() -> NotFound:
    return NotFound(
        "This link or form is not good any more: it was used, or it is too old.",
        code="errand_over",
        remedy="Begin again.",
    )
