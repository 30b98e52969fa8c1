"""What a job may do in its owner's name: a token and a client certificate for VOSpace, both short-lived."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from armillary.accounts.model import JOB_MARK
from armillary.base.clock import Clock
from armillary.base.ids import PersonId
from armillary.batch.ports import Credential, IssueCertificate, IssueToken, People, RevokeToken


class JobCredentials:
    """The `Credentials` port over the accounts and their certificate authority, given as callables."""

    def __init__(
        self,
        *,
        people: People,
        issue_token: IssueToken,
        revoke_token: RevokeToken,
        issue_certificate: IssueCertificate,
        vospace: str,
        clock: Clock,
        lifetime: timedelta = timedelta(hours=2),
    ) -> None:
        self._people = people
        self._issue_token = issue_token
        self._revoke_token = revoke_token
        self._issue_certificate = issue_certificate
        self._vospace = vospace
        self._clock = clock
        self._lifetime = lifetime

    def issue(self, owner: PersonId, *, label: str, job: str = "") -> Credential:
        person = self._people.person(owner)
        expires = self._clock.now() + self._lifetime
        pem = self._issue_certificate(person.user_name, self._lifetime, job)
        secret, reference = self._issue_token(owner, self._lifetime, label)
        return Credential(
            token=_marked(secret, job),
            certificate_pem=pem.decode("ascii"),
            vospace=self._vospace,
            owner=person.user_name,
            expires=expires,
            reference=reference,
        )

    def hand_on(self, credential: Credential, *, job: str) -> Credential:
        left = credential.expires - self._clock.now()
        pem = self._issue_certificate(credential.owner, left, job)
        secret = credential.token.partition(JOB_MARK)[0]
        return replace(credential, token=_marked(secret, job), certificate_pem=pem.decode("ascii"))

    def revoke(self, owner: PersonId, reference: str) -> None:
        self._revoke_token(owner, reference)


def _marked(secret: str, job: str) -> str:
    return f"{secret}{JOB_MARK}{job}" if job else secret
