"""The second factor: turned on with a first code, kept with recovery codes, turned off with a last one."""

from __future__ import annotations

from collections.abc import Collection

import pyotp

from armillary.accounts.base_service import need_person
from armillary.accounts.core.codes import step_of
from armillary.accounts.model import SecondFactor
from armillary.accounts.passwords import hash_secret
from armillary.accounts.proving import Proving, wrong_code
from armillary.base.errors import Conflict
from armillary.base.ids import PersonId

RECOVERY_CODES = 10


class SecondFactors(Proving):
    """Turns the second factor on and off."""

    def second_factor(self, person_id: PersonId) -> SecondFactor | None:
        """Return the second factor that a person is asked for, or None."""
        with self._store.read() as records:
            kept = records.proofs.confirmed(person_id)
        if kept is None or kept.confirmed_at is None:
            return None
        return SecondFactor(since=kept.confirmed_at, recovery_codes=len(kept.recovery))

    def with_second_factor(self, people: Collection[PersonId]) -> frozenset[PersonId]:
        """Return which of some people have one."""
        with self._store.read() as records:
            return records.proofs.confirmed_among(people)

    def begin_second_factor(self, person_id: PersonId) -> str:
        """Return the secret to be given to an authenticator; nothing is asked for until it is confirmed.

        The same secret is returned until then, so that a page that is reloaded shows the same picture.

        Raises:
            Conflict: there is a second factor already.
        """
        with self._store.write() as records:
            need_person(records, person_id)
            kept = records.proofs.of(person_id)
            if kept is not None and kept.confirmed_at is not None:
                raise Conflict(
                    "Your second factor is on already.",
                    code="second_factor_is_on",
                    remedy="Turn it off first, to move it to another device.",
                )
            if kept is not None:
                return kept.secret
            secret = pyotp.random_base32()
            records.proofs.add(person_id, secret)
            return secret

    def confirm_second_factor(self, person_id: PersonId, code: str) -> list[str]:
        """Turn the second factor on with a first code; return the recovery codes, kept nowhere as they are.

        Raises:
            Unauthorized: code `wrong_code`.
        """
        codes = _recovery_codes()
        now = self._clock.now()
        with self._store.write() as records:
            kept = records.proofs.of(person_id)
            if kept is None or kept.confirmed_at is not None:
                raise wrong_code()
            step = step_of(kept.secret, "".join(code.split()), now, after=kept.last_step)
            if step is None:
                raise wrong_code()
            records.proofs.change(
                person_id, confirmed_at=now, last_step=step, recovery=frozenset(map(hash_secret, codes))
            )
        return codes

    def renew_recovery_codes(self, person_id: PersonId, code: str) -> list[str]:
        """Replace the recovery codes; raises Unauthorized if the code is not good."""
        self.check_code(person_id, code)
        codes = _recovery_codes()
        with self._store.write() as records:
            records.proofs.change(person_id, recovery=frozenset(map(hash_secret, codes)))
        return codes

    def end_second_factor(self, person_id: PersonId, code: str) -> None:
        """Turn it off with a code; raises Unauthorized if the code is not good."""
        self.check_code(person_id, code)
        self.clear_second_factor(person_id)

    def clear_second_factor(self, person_id: PersonId) -> None:
        """Turn it off on an administrator's behalf: the device and the recovery codes are lost."""
        with self._store.write() as records:
            records.proofs.remove(person_id)


def _recovery_codes() -> list[str]:
    """Ten codes of 80 bits, in letters that are not mistaken for each other."""
    return [pyotp.random_base32(length=32)[:16].lower() for _ in range(RECOVERY_CODES)]
