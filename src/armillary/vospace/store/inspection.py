"""Looks at all node records, in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import CTE, ColumnElement, Connection, Engine, exists, func, literal, select

from armillary.base.ids import PersonId
from armillary.vospace.check_model import DAMAGED, HomeUsage, NamedBytes, OwnerShare
from armillary.vospace.core.permissions import SYSTEM_OWNER
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import MAX_DEPTH, VOSPath
from armillary.vospace.store.nodes import node_of
from armillary.vospace.store.tables import HOMES_ID, ROOT_ID, dead_blobs, nodes

_PAGE = 200


class SqlInspection:
    """See `check_ports.Inspection`."""

    def __init__(self, engine: Engine) -> None:
        """Look at a database that `create_all` has prepared."""
        self._reading = engine.execution_options(readonly=True)

    def named(self, shard: str, limit: int | None = None) -> Sequence[NamedBytes]:
        """See `check_ports.Inspection`."""
        # `g` comes after the last hexadecimal digit: a range that the index can find in either database
        return self._bytes((nodes.c.blob >= shard) & (nodes.c.blob < f"{shard}g"), limit)

    def nameless(self) -> Sequence[NamedBytes]:
        """See `check_ports.Inspection`."""
        return self._bytes(nodes.c.blob.is_(None) & (nodes.c.length > 0), None)

    def path_of(self, node_id: int) -> VOSPath | None:
        """See `check_ports.Inspection`."""
        names: list[str] = []
        step = select(nodes.c.id, nodes.c.parent_id, nodes.c.name)
        with self._reading.connect() as connection:
            while node_id != ROOT_ID:
                row = connection.execute(step.where(nodes.c.id == node_id)).first()
                if row is None or row.parent_id is None or len(names) >= MAX_DEPTH:
                    return None
                names.append(row.name)
                node_id = row.parent_id
        return VOSPath.trusted(tuple(reversed(names)))

    def unreachable(self, limit: int) -> Sequence[Node]:
        """See `check_ports.Inspection`."""
        parent = nodes.alias()
        hangs = exists().where(parent.c.id == nodes.c.parent_id, parent.c.kind == NodeKind.CONTAINER.value)
        tops = select(nodes).where(nodes.c.id != ROOT_ID, ~hangs).order_by(nodes.c.id).limit(limit)
        with self._reading.connect() as connection:
            rows = connection.execute(tops).all()
            if not rows:
                # What is lost now hangs in rings: open one. To count is quick, and takes little memory.
                reached = _reached()
                found = connection.execute(select(func.count()).select_from(reached)).scalar_one()
                if found < connection.execute(select(func.count()).select_from(nodes)).scalar_one():
                    lost = select(nodes.c.id).where(nodes.c.id.not_in(select(reached.c.id))).limit(1)
                    ring = self._ring(connection, connection.execute(lost).scalar_one())
                    rows = connection.execute(select(nodes).where(nodes.c.id == ring)).all()
            return [node_of(row, VOSPath.trusted((row.name,))) for row in rows]

    @staticmethod
    def _ring(connection: Connection, node_id: int) -> int:
        """Return the oldest node of the ring that a node hangs on: of those that come again on the way up."""
        climbed: list[int] = []
        while node_id not in climbed:
            climbed.append(node_id)
            node_id = connection.execute(select(nodes.c.parent_id).where(nodes.c.id == node_id)).scalar_one()
        return min(climbed[climbed.index(node_id) :])

    def usages(self) -> Iterator[HomeUsage]:
        """See `check_ports.Inspection`."""
        last = 0
        homes = select(nodes.c.id, nodes.c.name).where(
            nodes.c.parent_id == HOMES_ID, nodes.c.kind == NodeKind.CONTAINER.value
        )
        while True:
            with self._reading.connect() as connection:
                page = connection.execute(
                    homes.where(nodes.c.id > last).order_by(nodes.c.id).limit(_PAGE)
                ).all()
            for row in page:
                found = self._usage(row.id, row.name)
                if found:
                    yield found
                last = row.id
            if len(page) < _PAGE:
                return

    def waiting(self) -> int:
        """See `check_ports.Inspection`."""
        with self._reading.connect() as connection:
            return connection.execute(select(func.count()).select_from(dead_blobs)).scalar_one()

    def owners(self) -> Sequence[OwnerShare]:
        """See `check_ports.Inspection`."""
        query = (
            select(
                nodes.c.owner_id,
                func.max(nodes.c.owner_name).label("name"),
                func.count().label("nodes"),
                func.sum(nodes.c.length).label("octets"),
            )
            .where(nodes.c.owner_id != SYSTEM_OWNER)
            .group_by(nodes.c.owner_id)
            .order_by(nodes.c.owner_id)
        )
        with self._reading.connect() as connection:
            return [
                OwnerShare(
                    owner_id=PersonId(row.owner_id),
                    owner_name=row.name,
                    nodes=row.nodes,
                    octets=int(row.octets),
                )
                for row in connection.execute(query)
            ]

    def _bytes(self, where: ColumnElement[bool], limit: int | None) -> list[NamedBytes]:
        columns = (nodes.c.id, nodes.c.blob, nodes.c.length, nodes.c.md5, nodes.c.properties)
        with self._reading.connect() as connection:
            return [
                NamedBytes(
                    node_id=row.id,
                    blob=row.blob,
                    length=row.length,
                    md5=row.md5,
                    damaged=DAMAGED in row.properties,
                )
                for row in connection.execute(select(*columns).where(where).limit(limit))
            ]

    def _usage(self, home_id: int, name: str) -> HomeUsage | None:
        inside = (
            select(nodes.c.id, nodes.c.length)
            .where(nodes.c.parent_id == home_id)
            .cte("inside", recursive=True)
        )
        inside = inside.union_all(
            select(nodes.c.id, nodes.c.length).join(inside, nodes.c.parent_id == inside.c.id)
        )
        held = select(func.coalesce(func.sum(inside.c.length), 0)).scalar_subquery()
        with self._reading.connect() as connection:
            row = connection.execute(select(nodes.c.used, held).where(nodes.c.id == home_id)).first()
        if row is None:
            return None
        return HomeUsage(path=VOSPath.trusted(("home", name)), used=row[0], held=int(row[1]))


def _reached() -> CTE:
    """Return the nodes that a path leads to, each once, since each has one parent."""
    reached = select(literal(ROOT_ID, nodes.c.id.type).label("id")).cte("reached", recursive=True)
    return reached.union_all(select(nodes.c.id).join(reached, nodes.c.parent_id == reached.c.id))
