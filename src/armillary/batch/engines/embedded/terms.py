"""The figures of the embedded engine, and how its secrets are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How long promises last.

    An agent stops its jobs `lease` after the last renewal that was answered; we give them to others only `grace`
    later, so that two attempts never run at once while clocks run at the same speed.
    """

    lease: timedelta = timedelta(seconds=60)
    grace: timedelta = timedelta(seconds=15)
    poll: timedelta = timedelta(seconds=20)
    max_lost: int = 5
    """attempts of one job that may be lost with their workers before it is held"""
    claim_at_once: int = 64
    """jobs in one claim"""
    credential_left: timedelta = timedelta(hours=1)
    """how much longer a credential must be good for a job that gets it from one that has ended"""
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    """concurrency limits by their names in lower case; what is not named here is not limited"""
    seen_every: timedelta = timedelta(seconds=10)
    """how exact a waiting worker's last_seen is; saves a commit for each poll that finds nothing"""

    @property
    def lease_kept(self) -> timedelta:
        """How long after a renewal the queue waits for the next."""
        return self.lease + self.grace


def secret_of(call: str, cluster: int, proc: int, attempt: int) -> str:
    """Return the secret of a lease that is given in answer to a call by this name, known to its caller alone.

    So whoever makes the call again gets what it was given before, and nothing of it has to be kept.
    """
    return hashlib.sha256(f"{call} {cluster}.{proc} {attempt}".encode()).hexdigest()


def digest(secret: str) -> str:
    """Return what is kept of a secret. It has 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()
