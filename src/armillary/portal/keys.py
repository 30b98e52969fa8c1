"""The ssh public keys that people keep in their profile, to be put on the machines that they launch."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from armillary.base.clock import Clock, from_iso
from armillary.base.errors import Invalid
from armillary.base.ids import PersonId

metadata = sa.MetaData()
_keys = sa.Table(
    "portal_keys",
    metadata,
    sa.Column("person_id", sa.String(64), primary_key=True),
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("created_at", sa.String(40), nullable=False),
)

KINDS = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
MOST = 50
LONGEST = 16_384


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """An ssh public key, one line in OpenSSH's form."""

    name: str
    public_key: str
    fingerprint: str
    created_at: datetime

    def cloud_name(self, user_name: str) -> str:
        """Its name on clouds, where all our key pairs belong to one user: unique by owner and content."""
        digest = hashlib.sha256(self.public_key.encode()).hexdigest()[:12]
        return f"{user_name}-{digest}"


def read_key(text: str) -> tuple[str, str, str]:
    """Return (the line without its comment, its fingerprint as ssh-keygen shows it, its comment).

    Raises:
        Invalid: code `bad_key`.
    """
    words = text.strip().split(None, 2)
    refusal = Invalid(
        "This is not an ssh public key.",
        code="bad_key",
        facts={"field": "key"},
        remedy="Paste the one line of a file like ~/.ssh/id_ed25519.pub.",
    )
    if len(words) < 2 or words[0] not in KINDS or len(text) > LONGEST or "\n" in text.strip():
        raise refusal
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        raise refusal from None
    kind = words[0].encode()
    if blob[:4] != len(kind).to_bytes(4, "big") or blob[4 : 4 + len(kind)] != kind:
        raise refusal  # the blob repeats its kind (RFC 4253, 6.6)
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{words[0]} {words[1]}", f"SHA256:{digest}", words[2] if len(words) > 2 else ""


class KeyRing:
    """Keeps public keys, each once per person."""

    def __init__(self, *, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def create_all(self) -> None:
        """Make the table if it is not there."""
        metadata.create_all(self._engine)

    def of(self, person: PersonId) -> list[PublicKey]:
        """Return a person's keys, the newest first."""
        query = sa.select(_keys).where(_keys.c.person_id == person).order_by(_keys.c.created_at.desc())
        with self._engine.execution_options(readonly=True).connect() as connection:
            return [
                PublicKey(
                    name=row.name,
                    public_key=row.public_key,
                    fingerprint=row.fingerprint,
                    created_at=from_iso(row.created_at),
                )
                for row in connection.execute(query)
            ]

    def add(self, person: PersonId, text: str, *, name: str = "") -> PublicKey:
        """Keep a key and return it; one that is there already is returned as it is.

        Raises:
            Invalid: it is no public key, or there are too many.
        """
        line, fingerprint, comment = read_key(text)
        known = self.of(person)
        for key in known:
            if key.fingerprint == fingerprint:
                return key
        if len(known) >= MOST:
            raise Invalid(
                f"You have {MOST} keys already.", code="too_many_keys", remedy="Remove one that is not used."
            )
        key = PublicKey(
            name=(name or comment or fingerprint)[:100],
            public_key=line,
            fingerprint=fingerprint,
            created_at=self._clock.now(),
        )
        with self._engine.begin() as connection:
            connection.execute(
                _keys.insert().values(
                    person_id=person,
                    fingerprint=fingerprint,
                    name=key.name,
                    public_key=line,
                    created_at=key.created_at.isoformat(),
                )
            )
        return key

    def remove(self, person: PersonId, fingerprint: str) -> None:
        """Forget a key; unknown ones are fine. Machines that carry it keep it."""
        with self._engine.begin() as connection:
            connection.execute(
                _keys.delete().where(_keys.c.person_id == person, _keys.c.fingerprint == fingerprint)
            )
