"""Lets a machine that was booted for it into the pool, when it is what it should be."""

from __future__ import annotations

from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.htcondor.secrets import Secrets
from armillary.batch.genuine import ImageCheck
from armillary.disks.probing import Answers


class Admission:
    """Gives a machine its token of the pool for the one of its user data, which is good for nothing else."""

    def __init__(self, *, register: Register, secrets: Secrets, genuine: ImageCheck | None = None) -> None:
        self._register = register
        self._secrets = secrets
        self._genuine = genuine

    def admit(self, token: str, measured: Answers | None) -> str:
        """Return the token with which the machine joins the pool. It may be asked for again until it has joined.

        Raises:
            Unauthorized: nobody is expected with this token, or not any more.
            Forbidden, PreconditionFailed: it is not made of its image, or has to measure itself first.
        """
        worker, image = self._register.invited(token)
        if self._genuine:
            self._genuine.check(worker, image, measured)
        return self._secrets.join(worker)
