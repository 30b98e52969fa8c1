"""The keys of jobs in a pool: with its key, what stands beside a job acts for that job, and for nothing else. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from armillary.base.errors import Unauthorized

FILE = ".armillary-key"
"""What a job's key is called among its input files. It is in no ad: those are for all eyes of the pool."""
_FORM = re.compile(r"(\d{1,18})\.(\d{1,9})\.(\d{1,9})\.([A-Za-z0-9_-]{43})")


class JobKeys:
    """Makes and knows keys; keeps nothing but one secret."""

    def __init__(self, *, secret: bytes) -> None:
        self._secret = secret

    def of(self, cluster: int, proc: int, turn: int) -> str:
        """Return the key of one turn of a job."""
        return f"{cluster}.{proc}.{turn}.{self._mark(cluster, proc, turn)}"

    def read(self, key: str) -> tuple[int, int, int]:
        """Return (cluster, number in it, turn) of a key. Raises Unauthorized for one that we did not make."""
        found = _FORM.fullmatch(key)
        if found:
            cluster, proc, turn = int(found[1]), int(found[2]), int(found[3])
            if hmac.compare_digest(found[4], self._mark(cluster, proc, turn)):
                return cluster, proc, turn
        raise Unauthorized(
            "this is no key of a job", code="no_credentials", remedy="Only a job in the pool has one."
        )

    def _mark(self, cluster: int, proc: int, turn: int) -> str:
        name = f"armillary pool job {cluster}.{proc}.{turn}".encode()
        made = hmac.new(self._secret, name, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode("ascii")
