"""Share links in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, RowMapping, delete, insert, or_, select, update

from armillary.base.ids import PersonId
from armillary.vospace.link_model import ShareLink
from armillary.vospace.paths import VOSPath
from armillary.vospace.store.tables import links


class SqlLinkRecords:
    """See `link_ports.LinkRecords`."""

    def __init__(self, engine: Engine) -> None:
        """Keep links in a database that `create_all` has prepared."""
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)

    def add_link(self, link: ShareLink) -> None:
        """See `link_ports.LinkRecords`."""
        with self._engine.begin() as connection:
            connection.execute(insert(links).values(vars(link) | {"path": _text(link.path)}))

    def link(self, link_id: str) -> ShareLink | None:
        """See `link_ports.LinkRecords`."""
        with self._reading.connect() as connection:
            row = connection.execute(select(links).where(links.c.id == link_id)).mappings().first()
        return _link(row) if row else None

    def links_of(self, owner_id: PersonId, path: VOSPath | None = None) -> Sequence[ShareLink]:
        """See `link_ports.LinkRecords`."""
        query = select(links).where(links.c.owner_id == owner_id)
        if path is not None:
            query = query.where(links.c.path == _text(path))
        with self._reading.connect() as connection:
            rows = connection.execute(query.order_by(links.c.made_at.desc(), links.c.id)).mappings()
            return [_link(row) for row in rows]

    def revoke_link(self, link_id: str, at: datetime) -> None:
        """See `link_ports.LinkRecords`."""
        with self._engine.begin() as connection:
            mine = (links.c.id == link_id) & links.c.revoked_at.is_(None)
            connection.execute(update(links).where(mine).values(revoked_at=at))

    def use_link(self, link_id: str, at: datetime) -> bool:
        """See `link_ports.LinkRecords`."""
        left = or_(links.c.most.is_(None), links.c.used < links.c.most)
        good = (links.c.id == link_id) & links.c.revoked_at.is_(None) & (links.c.expires_at > at) & left
        with self._engine.begin() as connection:
            statement = update(links).where(good).values(used=links.c.used + 1, used_at=at)
            return connection.execute(statement.returning(links.c.id)).first() is not None

    def forget_links(self, before: datetime, limit: int) -> int:
        """See `link_ports.LinkRecords`."""
        over = or_(links.c.expires_at < before, links.c.revoked_at < before)
        with self._engine.begin() as connection:
            ids = list(connection.execute(select(links.c.id).where(over).limit(limit)).scalars())
            connection.execute(delete(links).where(links.c.id.in_(ids)))
        return len(ids)


def _text(path: VOSPath) -> str:
    return json.dumps(path.names)


def _link(row: RowMapping) -> ShareLink:
    values: dict[str, Any] = {**row, "path": _path(row["path"])}
    return ShareLink(**values)


def _path(text: str) -> VOSPath:
    return VOSPath.trusted(tuple(json.loads(text)))
