"""Who somebody is: a password, and the code of a second factor where that is on."""

from __future__ import annotations

from datetime import datetime

from armillary.accounts.base_service import ServiceBase, storable
from armillary.accounts.core.codes import step_of
from armillary.accounts.core.lockout import Failures
from armillary.accounts.model import Person
from armillary.accounts.passwords import hash_secret
from armillary.accounts.store import Records
from armillary.accounts.turnstile import Attempt
from armillary.base.errors import Unauthorized
from armillary.base.ids import PersonId


class Proving(ServiceBase):
    """Checks passwords and codes. Wrong ones in a row make the next try wait."""

    def authenticate(
        self, user_name: str, password: str, *, code: str | None = None, origin: str = ""
    ) -> Person:
        """Return the person whose name and password these are, with the code if a second factor is on.

        A door that takes a password alone refuses people with a second factor: they go through it with a token or
        an application credential.

        Raises:
            Unauthorized: code `wrong_password` or `wrong_code`; `second_factor_needed` when all but the code was
                right; or `too_many_attempts` with `facts["retry_after"]` (seconds).
            TooManyRequests: too many wrong ones came from the network address `origin`.
        """
        person = self.prove_password(user_name, password, origin=origin)
        if self.has_second_factor(person.id):
            if not code:
                raise Unauthorized(
                    "The code of your second factor is needed, too.",
                    code="second_factor_needed",
                    remedy="Give the code; where only a password can be given, use a token or an application credential.",
                )
            self.check_code(person.id, code, origin=origin)
        return person

    def prove_password(self, user_name: str, password: str, *, origin: str = "") -> Person:
        """Return the person whose name and password these are; their second factor is for the caller to ask.

        Unknown names are answered with the same words after the same work. Wrong passwords in a row make the
        next try wait, for known and unknown names alike.

        Raises:
            Unauthorized: code `wrong_password`; or `too_many_attempts` with `facts["retry_after"]` (seconds).
            TooManyRequests: too many wrong ones came from the network address `origin`.
        """
        now = self._clock.now()
        with self._store.read() as records:
            self._turnstile.need_turn(records, Attempt.PROOF, origin)
        if not storable(user_name) or len(user_name) > 255:
            self._passwords.verify(password, None)
            with self._store.write() as records:
                self._turnstile.count(records, Attempt.PROOF, origin)
            raise _wrong_password()
        with self._store.read() as records:
            failures = records.people.failures(user_name)
            person = records.people.by_name(user_name)
            kept = records.people.password_hashes(person.id)[0] if person else None
        self._need_no_wait(failures, now)
        right = self._passwords.verify(password, kept)
        forget_before = now - self._lockout.memory
        if not right or person is None or not person.enabled:
            with self._store.write() as records:  # read again: another try may have failed meanwhile
                failed = self._lockout.after_failure(records.people.failures(user_name), now)
                records.people.set_failures(user_name, failed, forget_before=forget_before)
                self._turnstile.count(records, Attempt.PROOF, origin)
            raise _wrong_password()
        outdated = kept is not None and self._passwords.outdated(kept)
        if failures is not None or outdated:
            rehashed = self._passwords.hash(password) if outdated else None
            with self._store.write() as records:
                records.people.set_failures(user_name, None, forget_before=forget_before)
                if rehashed and records.people.password_hashes(person.id)[0] == kept:
                    records.people.change(person.id, password_hash=rehashed)
        return person

    def has_second_factor(self, person_id: PersonId) -> bool:
        """Whether a person is asked for a code."""
        with self._store.read() as records:
            return records.proofs.confirmed(person_id) is not None

    def check_code(self, person_id: PersonId, code: str, *, origin: str = "") -> None:
        """Check a code of the authenticator, or use up a recovery code. Each is good once.

        Raises:
            Unauthorized: code `wrong_code` or `too_many_attempts`.
            TooManyRequests: too many wrong ones came from the network address `origin`.
        """
        now = self._clock.now()
        typed = "".join(code.split()).lower()
        counted_as = f"code of {person_id}"  # no user name has a space
        with self._store.write() as records:
            self._turnstile.need_turn(records, Attempt.PROOF, origin)
            failures = records.people.failures(counted_as)
            self._need_no_wait(failures, now)
            right = self._use_code(records, person_id, typed, now)
            failed = None if right else self._lockout.after_failure(failures, now)
            if failed or failures:
                records.people.set_failures(counted_as, failed, forget_before=now - self._lockout.memory)
            if not right:
                self._turnstile.count(records, Attempt.PROOF, origin)
        if not right:
            raise wrong_code()

    def _use_code(self, records: Records, person_id: PersonId, typed: str, now: datetime) -> bool:
        factor = records.proofs.confirmed(person_id)
        if factor is None:
            return False
        step = step_of(factor.secret, typed, now, after=factor.last_step)
        if step is not None:
            records.proofs.change(person_id, last_step=step)
            return True
        used = hash_secret(typed)
        if used in factor.recovery:
            records.proofs.change(person_id, recovery=factor.recovery - {used})
            return True
        return False

    def _need_no_wait(self, failures: Failures | None, now: datetime) -> None:
        wait = self._lockout.wait(failures, now)
        if wait:
            seconds = max(1, round(wait.total_seconds()))
            raise Unauthorized(
                "There were too many wrong tries for this user name.",
                code="too_many_attempts",
                facts={"retry_after": seconds},
                remedy=f"Try again in {seconds} seconds.",
            )


def wrong_code() -> Unauthorized:
    """What a code that is not good is answered with."""
    return Unauthorized(
        "This code is not good, or it was used before.",
        code="wrong_code",
        remedy="Wait for the next code of your authenticator, or use a recovery code.",
    )


def _wrong_password() -> Unauthorized:
    return Unauthorized(
        "The user name or the password is wrong.",
        code="wrong_password",
        remedy="Check both; after several wrong tries there is a pause.",
    )
