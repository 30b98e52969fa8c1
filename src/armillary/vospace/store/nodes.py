"""Node records in SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    delete,
    insert,
    literal,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.exc import IntegrityError

from armillary.base.errors import Conflict
from armillary.vospace.model import Node, NodeKind, Order, Page, Sharing
from armillary.vospace.paths import VOSPath
from armillary.vospace.store.tables import ROOT_ID, dead_blobs, nodes, secrets

_SORTED_BY = {Order.LENGTH: nodes.c.length, Order.DATE: nodes.c.modified_at}


class SqlTree:
    """The tree inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Work on an open transaction."""
        self._connection = connection

    def walk(self, path: VOSPath) -> Sequence[Node]:
        """See `ports.Tree`."""
        row = self._connection.execute(select(nodes).where(nodes.c.id == ROOT_ID)).one()
        found = [_node(row, VOSPath())]
        for name in path.names:
            row = self._connection.execute(
                select(nodes).where(nodes.c.parent_id == found[-1].id, nodes.c.name == name)
            ).first()
            if row is None:
                break
            found.append(_node(row, found[-1].path / name))
        return found

    def children(self, parent: Node, page: Page) -> Sequence[Node]:
        """See `ports.Tree`."""
        key = _SORTED_BY.get(page.order)
        columns = [nodes.c.name] if key is None else [key, nodes.c.name]
        query = select(nodes).where(nodes.c.parent_id == parent.id)
        if page.start:
            query = query.where(self._from(parent, page, key))
        query = query.order_by(*(column.desc() if page.descending else column.asc() for column in columns))
        rows = self._connection.execute(query.limit(page.limit))
        return [_node(row, VOSPath.trusted((*parent.path.names, row.name))) for row in rows]

    def below(self, node: Node) -> Iterable[Node]:
        """See `ports.Tree`. Reads page by page: memory grows with the depth only."""
        start = ""
        while node.is_container:
            page = self.children(node, Page(start=start, limit=501))
            for child in page[:500]:
                yield child
                yield from self.below(child)
            if len(page) <= 500:
                return
            start = page[500].name

    def add(self, node: Node) -> Node:
        """See `ports.Tree`."""
        try:
            with self._connection.begin_nested():
                result = self._connection.execute(insert(nodes).values(_values(node)))
        except IntegrityError as error:
            raise _taken(node) from error
        key = result.inserted_primary_key
        assert key is not None
        return replace(node, id=key[0])

    def save(self, node: Node) -> None:
        """See `ports.Tree`."""
        dying = select(nodes.c.blob).where(nodes.c.id == node.id, nodes.c.blob.is_not(None))
        if node.blob:
            dying = dying.where(nodes.c.blob != node.blob)
        self._doom(self._connection.execute(dying).scalars())
        values = _values(node)
        del values["used"]
        try:
            with self._connection.begin_nested():
                self._connection.execute(update(nodes).where(nodes.c.id == node.id).values(values))
        except IntegrityError as error:
            raise _taken(node) from error

    def remove(self, node: Node) -> None:
        """See `ports.Tree`. The foreign key takes along what is below."""
        tree = select(nodes.c.id, nodes.c.blob).where(nodes.c.id == node.id).cte("tree", recursive=True)
        tree = tree.union_all(select(nodes.c.id, nodes.c.blob).join(tree, nodes.c.parent_id == tree.c.id))
        # Two nodes may share a blob after a copy, and it may wait there already.
        known = select(dead_blobs.c.blob).where(dead_blobs.c.blob == tree.c.blob).exists()
        dying = select(tree.c.blob).where(tree.c.blob.is_not(None), ~known).distinct()
        self._connection.execute(insert(dead_blobs).from_select(["blob"], dying))
        self._connection.execute(delete(nodes).where(nodes.c.id == node.id))

    def charge(self, home: Node, octets: int) -> int:
        """See `ports.Tree`."""
        statement = update(nodes).where(nodes.c.id == home.id).values(used=nodes.c.used + octets)
        return self._connection.execute(statement.returning(nodes.c.used)).scalar_one()

    def _doom(self, blobs: Iterable[str]) -> None:
        for blob in blobs:
            known = select(literal(blob)).where(~select(dead_blobs).where(dead_blobs.c.blob == blob).exists())
            self._connection.execute(insert(dead_blobs).from_select(["blob"], known))

    def _from(self, parent: Node, page: Page, key: ColumnElement[Any] | None) -> ColumnElement[bool]:
        name = nodes.c.name
        by_name = name <= page.start if page.descending else name >= page.start
        if key is None:
            return by_name
        where = (nodes.c.parent_id == parent.id, name == page.start)
        first = self._connection.execute(select(key).where(*where)).scalar_one_or_none()
        if first is None:
            return literal(False)
        return or_(key < first if page.descending else key > first, and_(key == first, by_name))


class SqlRecords:
    """See `ports.Records`."""

    def __init__(self, engine: Engine) -> None:
        """Keep records in a database that `create_all` has prepared."""
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)

    @contextmanager
    def reading(self) -> Generator[SqlTree]:
        """See `ports.Records`."""
        with self._reading.connect() as connection:
            yield SqlTree(connection)

    @contextmanager
    def writing(self) -> Generator[SqlTree]:
        """See `ports.Records`."""
        with self._engine.begin() as connection:
            yield SqlTree(connection)

    def reap(self, delete: Callable[[str], None], limit: int) -> int:
        """See `ports.Records`.

        Files go away inside the transaction: a copy that would use a blob again waits for it.
        """
        waiting = select(dead_blobs.c.blob).limit(limit)
        with self._reading.connect() as connection:
            if connection.execute(waiting.limit(1)).first() is None:
                return 0
        with self._engine.begin() as connection:
            blobs = list(connection.execute(waiting).scalars())
            used = set(connection.execute(select(nodes.c.blob).where(nodes.c.blob.in_(blobs))).scalars())
            for blob in blobs:
                if blob not in used:
                    delete(blob)
            connection.execute(dead_blobs.delete().where(dead_blobs.c.blob.in_(blobs)))
        return len(blobs)

    def blobs_in_use(self, keys: Collection[str]) -> frozenset[str]:
        """See `ports.Records`."""
        query = union(
            select(nodes.c.blob).where(nodes.c.blob.in_(keys)),
            select(dead_blobs.c.blob).where(dead_blobs.c.blob.in_(keys)),
        )
        with self._reading.connect() as connection:
            return frozenset(connection.execute(query).scalars())

    def signing_key(self, proposal: bytes) -> bytes:
        """See `ports.Records`."""
        mine = secrets.c.name == "signing"
        with self._engine.begin() as connection:
            if connection.execute(select(secrets.c.name).where(mine)).first() is None:
                connection.execute(insert(secrets).values(name="signing", value=proposal))
            return connection.execute(select(secrets.c.value).where(mine)).scalar_one()


def _taken(node: Node) -> Conflict:
    return Conflict(
        f"{node.path} exists already.",
        code="duplicate_node",
        facts={"path": str(node.path)},
        remedy="Choose another name, or delete the other first.",
    )


def _values(node: Node) -> dict[str, Any]:
    return {
        "parent_id": node.parent_id,
        "name": node.name,
        "kind": node.kind.value,
        "owner_id": node.owner_id,
        "owner_name": node.owner_name,
        "written_by": node.written_by,
        "created_at": node.created_at,
        "modified_at": node.modified_at,
        "length": node.length,
        "md5": node.md5,
        "blob": node.blob,
        "content_type": node.content_type,
        "content_encoding": node.content_encoding,
        "target": node.target,
        "is_public": node.sharing.is_public,
        "group_read": sorted(node.sharing.group_read),
        "group_write": sorted(node.sharing.group_write),
        "is_locked": node.is_locked,
        "properties": dict(node.properties),
        "used": node.used,
        "quota": node.quota,
    }


def _node(row: Row[Any], path: VOSPath) -> Node:
    return Node(
        id=row.id,
        parent_id=row.parent_id,
        path=path,
        kind=NodeKind(row.kind),
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        written_by=row.written_by,
        created_at=row.created_at,
        modified_at=row.modified_at,
        length=row.length,
        md5=row.md5,
        blob=row.blob,
        content_type=row.content_type,
        content_encoding=row.content_encoding,
        target=row.target,
        sharing=Sharing(
            is_public=row.is_public,
            group_read=frozenset(row.group_read),
            group_write=frozenset(row.group_write),
        ),
        is_locked=row.is_locked,
        properties=row.properties,
        used=row.used,
        quota=row.quota,
    )
