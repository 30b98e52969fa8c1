"""The tokens with which machines join a pool."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from armillary.base.clock import Clock
from armillary.base.errors import Unavailable
from armillary.base.ids import WorkerId
from armillary.batch.engines.htcondor.tokens import idtoken

AUTHORITY = ("ADVERTISE_STARTD", "ADVERTISE_MASTER", "READ")
"""All that a worker's token is good for: to say that it is there. Jobs come by the schedd's own claim on it."""


class Secrets:
    """Makes tokens from a signing key of the pool; keeps nothing."""

    def __init__(
        self,
        *,
        key_file: Path,
        trust_domain: str,
        token_life: timedelta,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._key_file = key_file
        self._trust_domain = trust_domain
        self._life = token_life
        self._clock = clock
        self._new_id = new_id

    def join(self, worker: WorkerId) -> str:
        """Return the token with which a machine joins the pool, in its own name and for nothing else."""
        return idtoken(
            self._key(),
            key_id=self._key_file.name,
            issuer=self._trust_domain,
            identity=f"{worker}@{self._trust_domain}",
            authz=AUTHORITY,
            issued=int(self._clock.now().timestamp()),
            lifetime=int(self._life.total_seconds()),
            token_id=self._new_id(),
        )

    def _key(self) -> bytes:
        try:
            return self._key_file.read_bytes()
        except OSError as error:
            raise Unavailable(
                f"the pool's signing key cannot be read: {error.strerror}",
                code="htcondor_key_unreadable",
                facts={"file": str(self._key_file)},
                remedy="Set htcondor.key_file to a signing key of the pool that this user may read.",
            ) from error
