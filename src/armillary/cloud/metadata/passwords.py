"""The passwords that guests post: encrypted for their servers' keys, so that only whoever has such a key reads one."""

from __future__ import annotations

from sqlalchemy import Engine, select

from armillary.base.ids import ServerId
from armillary.cloud.metadata.store import PASSWORDS, Posted, passwords
from armillary.cloud.store import servers


class Passwords:
    """Keeps one password for each server that lives."""

    def __init__(self, *, engine: Engine) -> None:
        self._engine = engine

    def get(self, server_id: str) -> str:
        """Return what a server posted; empty if nothing. Who may see the server has been settled by the caller."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            posted = PASSWORDS.get(connection, server_id)
        return posted.password if posted is not None else ""

    def post(self, server_id: ServerId, password: str) -> bool:
        """Keep a server's password; False if it has posted one already."""
        alive = select(servers.c.id).where(servers.c.deleted_at.is_(None))
        with self._engine.begin() as connection:
            if PASSWORDS.get(connection, server_id) is not None:
                return False
            PASSWORDS.remove(connection, passwords.c.server_id.not_in(alive))
            PASSWORDS.add(connection, Posted(server_id=server_id, password=password))
        return True

    def forget(self, server_id: str) -> None:
        """Drop a server's password; it may post another one."""
        with self._engine.begin() as connection:
            PASSWORDS.remove(connection, passwords.c.server_id == server_id)
