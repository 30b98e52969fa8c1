"""Pre-authorised URLs: a signed slip of paper that says who may do one thing to one node for a while.

Nothing is stored. What the slip allows is decided again when it is used, so taking away access takes effect, and so
does revoking the token or the certificate that it was given for.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from armillary.accounts.model import Person
from armillary.base.clock import Clock
from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import PersonId
from armillary.vospace.core.permissions import Asker
from armillary.vospace.paths import VOSPath

_MAC_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a slip says. `asker` is None for a stranger, who reads what is public."""

    action: str
    path: VOSPath
    asker: Asker | None
    note: str
    expires_at: datetime


class Grants:
    """Signs slips and reads them.

    The text is upper-case Base32: the stock client rewrites URLs that contain certain lower-case words.
    """

    def __init__(
        self,
        *,
        key: bytes,
        clock: Clock,
        groups: Callable[[PersonId], frozenset[str]],
        holder: Callable[[PersonId, str], Person],
        lifetime: timedelta,
    ) -> None:
        """Sign with `key`. `holder` returns who signed in with a credential, or raises when it is good no more."""
        self._key = key
        self._clock = clock
        self._groups = groups
        self._holder = holder
        self.lifetime = lifetime

    def issue(self, action: str, path: VOSPath, asker: Asker | None, note: str = "") -> str:
        """Return the text of a slip. `note` comes back as it is."""
        slip: dict[str, Any] = {
            "a": action,
            "n": note,
            "p": path.names,
            "e": int((self._clock.now() + self.lifetime).timestamp()),
        }
        if asker is not None:
            flags = (asker.is_admin, asker.may_read, asker.may_write, asker.confined)
            slip["w"] = [asker.person_id, asker.credential, *map(int, flags)]
            if asker.job:
                slip["j"] = asker.job
        body = json.dumps(slip, separators=(",", ":"), ensure_ascii=False).encode()
        return base64.b32encode(self._mac(body) + body).decode().rstrip("=")

    def read(self, text: str, actions: frozenset[str], *, expired: bool = False) -> Grant:
        """Return what a slip says; with `expired` also one whose time has passed.

        A slip ends with the credential that it was given for. Who lost rights since then has lost them here too.

        Raises:
            NotFound: it is not one of ours.
            Forbidden: it has expired (code `grant_expired`), or is for something else.
            Unauthorized: the credential, or the account, that it was given for is good no more.
        """
        try:
            octets = base64.b32decode(text + "=" * (-len(text) % 8))
        except ValueError as error:
            raise _unknown() from error
        body = octets[_MAC_BYTES:]
        if not hmac.compare_digest(self._mac(body), octets[:_MAC_BYTES]):
            raise _unknown()
        slip = json.loads(body)
        expires_at = datetime.fromtimestamp(slip["e"], UTC)
        if expires_at < self._clock.now() and not expired:
            raise Forbidden("This address has expired.", code="grant_expired", remedy="Ask for a new one.")
        if slip["a"] not in actions:
            raise Forbidden("This address is for something else.", code="permission_denied")
        return Grant(
            action=slip["a"],
            path=VOSPath(tuple(slip["p"])),
            note=slip["n"],
            asker=self._asker(slip["w"], slip.get("j", "")) if "w" in slip else None,
            expires_at=expires_at,
        )

    def _asker(self, who: list[Any], job: str) -> Asker:
        person_id, credential, is_admin, may_read, may_write, confined = who
        person = self._holder(PersonId(person_id), credential)
        return Asker(
            person_id=person.id,
            user_name=person.user_name,
            is_admin=bool(is_admin) and person.is_admin,
            groups=self._groups(PersonId(person_id)),
            may_read=bool(may_read),
            may_write=bool(may_write),
            confined=bool(confined),
            credential=credential,
            job=job,
            is_bearer=True,
        )

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MAC_BYTES]


def _unknown() -> NotFound:
    return NotFound("There is nothing at this address.", code="node_not_found", remedy="Ask for a new one.")
