"""The host keys of machines, kept from the first connection on: who answers under a machine's address must be the machine."""

from __future__ import annotations

import re

import sqlalchemy as sa

from armillary.base.clock import Clock, to_iso
from armillary.base.ids import CloudName, ServerId

metadata = sa.MetaData()
_pins = sa.Table(
    "portal_host_keys",
    metadata,
    sa.Column("cloud", sa.String(64), primary_key=True),
    sa.Column("server_id", sa.String(64), primary_key=True),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("seen_at", sa.String(40), nullable=False),
)

_BLOCK = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
_KEY = re.compile(r"\b((?:ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+={0,2})")


class HostKeys:
    """One key for each machine."""

    def __init__(self, *, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def create_all(self) -> None:
        """Make the table if it is not there."""
        metadata.create_all(self._engine)

    def of(self, cloud: CloudName, server_id: ServerId) -> str | None:
        """Return the key that a machine has shown before, as `KIND BASE64`."""
        query = sa.select(_pins.c.public_key).where(_pins.c.cloud == cloud, _pins.c.server_id == server_id)
        with self._engine.execution_options(readonly=True).connect() as connection:
            return connection.execute(query).scalar()

    def keep(self, cloud: CloudName, server_id: ServerId, public_key: str, *, source: str) -> None:
        """Keep a machine's key in place of an earlier one; `source` is `console` or `first use`."""
        one = (_pins.c.cloud == cloud) & (_pins.c.server_id == server_id)
        with self._engine.begin() as connection:
            connection.execute(_pins.delete().where(one))
            connection.execute(
                _pins.insert().values(
                    cloud=cloud,
                    server_id=server_id,
                    public_key=public_key,
                    source=source,
                    seen_at=to_iso(self._clock.now()),
                )
            )


def told_on_console(log: str) -> list[str]:
    """Return the host keys that a machine wrote on its console, each `KIND BASE64`, of its last such block.

    cloud-init writes them between two marks; the cloud, and nobody between the machine and us, hands them over.
    """
    blocks = _BLOCK.findall(log)
    return _KEY.findall(blocks[-1]) if blocks else []
