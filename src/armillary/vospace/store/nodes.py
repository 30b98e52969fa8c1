"""Node records in SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    TextualSelect,
    and_,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    union,
    update,
)
from sqlalchemy.exc import IntegrityError

from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import PersonId
from armillary.vospace.access_model import JobAccess
from armillary.vospace.model import Node, NodeKind, Order, Page, Sharing, Weight
from armillary.vospace.paths import MAX_DEPTH, VOSPath
from armillary.vospace.store.accesses import SqlAccessRecords, forget_digests, put_access
from armillary.vospace.store.offers import note_sharing, offered_by, offered_to
from armillary.vospace.store.shared import shared_with
from armillary.vospace.store.tables import ROOT_ID, dead_blobs, nodes, property_names, secrets
from armillary.vospace.store.uploads import SqlUploadRecords
from armillary.vospace.store.weights import weights_of

_PAGE = 500
_SORTED_BY: Mapping[Order, ColumnElement[Any]] = {
    Order.LENGTH: nodes.c.length,
    Order.DATE: nodes.c.modified_at,
    Order.MADE: nodes.c.created_at,
    Order.TYPE: nodes.c.content_type,
    Order.OWNER: nodes.c.owner_name,
}
_PROPERTIES = (
    "modified_at", "content_type", "content_encoding", "is_public", "group_read", "group_write", "inherits",
    "is_locked", "properties",
)  # fmt: skip


class SqlTree:
    """The tree inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Work on an open transaction."""
        self._connection = connection

    def walk(self, path: VOSPath) -> Sequence[Node]:
        """See `ports.Tree`. One statement, however deep: every request begins with it."""
        names = {f"name{depth}": name for depth, name in enumerate(path.names, 1)}
        rows = self._connection.execute(_way(len(names)), names)
        return [node_of(row, VOSPath.trusted(path.names[:depth])) for depth, row in enumerate(rows)]

    def children(self, parent: Node, page: Page) -> Sequence[Node]:
        """See `ports.Tree`."""
        key = _SORTED_BY.get(page.order)
        columns = [nodes.c.name] if key is None else [key, nodes.c.name]
        query = select(nodes).where(nodes.c.parent_id == parent.id)
        if page.match:
            query = query.where(nodes.c.name.icontains(page.match, autoescape=True))
        if page.after is not None:
            query = query.where(_beyond(columns, _place(page.after, page.order), page.descending))
        elif page.start:
            query = query.where(self._from(parent, page, key))
        order = [column.desc() if page.descending else column.asc() for column in columns]
        query = query.order_by(*order).limit(page.limit)
        if key is not None:
            # Sorted by what is not indexed: only numbers are, and not every child with all that is known of it.
            these = query.with_only_columns(nodes.c.id)
            query = select(nodes).where(nodes.c.id.in_(these)).order_by(*order)
        rows = self._connection.execute(query)
        return [node_of(row, VOSPath.trusted((*parent.path.names, row.name))) for row in rows]

    def below(self, node: Node) -> Iterable[Node]:
        """See `ports.Tree`. Reads page by page: memory grows with the depth only."""
        last: Node | None = None
        while node.is_container:
            page = self.children(node, Page(after=last, limit=_PAGE))
            for child in page:
                yield child
                yield from self.below(child)
            if len(page) < _PAGE:
                return
            last = page[-1]

    def add(self, node: Node) -> Node:
        """See `ports.Tree`."""
        self._note(node.properties)
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
        self._note(node.properties)
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

    def save_properties(self, changed: Sequence[Node]) -> None:
        """See `ports.Tree`."""
        if not changed:
            return
        self._note({uri for node in changed for uri in node.properties})
        statement = update(nodes).where(nodes.c.id == bindparam("of"))
        rows = [
            {"of": node.id, **{f"new_{name}": _values(node)[name] for name in _PROPERTIES}}
            for node in changed
        ]
        new = {name: bindparam(f"new_{name}", type_=nodes.c[name].type) for name in _PROPERTIES}
        self._connection.execute(statement.values(new), rows)

    def remove(self, *removed: Node) -> None:
        """See `ports.Tree`. The foreign key takes along what is below."""
        these = nodes.c.id.in_([node.id for node in removed])
        tree = select(nodes.c.id, nodes.c.blob).where(these).cte("tree", recursive=True)
        tree = tree.union_all(select(nodes.c.id, nodes.c.blob).join(tree, nodes.c.parent_id == tree.c.id))
        # Two nodes may share a blob after a copy, and it may wait there already.
        known = select(dead_blobs.c.blob).where(dead_blobs.c.blob == tree.c.blob).exists()
        dying = select(tree.c.blob).where(tree.c.blob.is_not(None), ~known).distinct()
        self._connection.execute(insert(dead_blobs).from_select(["blob"], dying))
        self._connection.execute(delete(nodes).where(these))

    def charge(self, home: Node, octets: int) -> int:
        """See `ports.Tree`."""
        statement = update(nodes).where(nodes.c.id == home.id).values(used=nodes.c.used + octets)
        return self._connection.execute(statement.returning(nodes.c.used)).scalar_one()

    def weights(self, parent: Node, most: int) -> Sequence[Weight]:
        """See `ports.Tree`."""
        return weights_of(self._connection, parent, most)

    def shared_with(self, owner: PersonId, group: str, most: int) -> Sequence[VOSPath]:
        """See `ports.Tree`."""
        return shared_with(self._connection, owner, group, most)

    def note_sharing(self, node: Node) -> None:
        """See `ports.Tree`."""
        note_sharing(self._connection, node)

    def note_access(self, access: JobAccess) -> int:
        """See `ports.Tree`."""
        return put_access(self._connection, access)

    def offered_to(
        self, groups: Collection[str], most: int, start: int = 0, besides: PersonId | None = None
    ) -> Sequence[VOSPath]:
        """See `ports.Tree`."""
        return offered_to(self._connection, groups, most, start, besides)

    def offered_by(self, owner: PersonId, most: int, start: int = 0) -> Sequence[VOSPath]:
        """See `ports.Tree`."""
        return offered_by(self._connection, owner, most, start)

    def property_names(self) -> Sequence[str]:
        """See `ports.Tree`."""
        return (
            self._connection.execute(select(property_names.c.uri).order_by(property_names.c.uri))
            .scalars()
            .all()
        )

    def _note(self, uris: Iterable[str]) -> None:
        wanted = set(uris)
        if wanted:
            known = select(property_names.c.uri).where(property_names.c.uri.in_(wanted))
            for uri in sorted(wanted.difference(self._connection.execute(known).scalars())):
                with suppress(IntegrityError), self._connection.begin_nested():  # another has just noted it
                    self._connection.execute(insert(property_names).values(uri=uri))

    def _doom(self, blobs: Iterable[str]) -> None:
        for blob in blobs:
            known = select(literal(blob)).where(~select(dead_blobs).where(dead_blobs.c.blob == blob).exists())
            self._connection.execute(insert(dead_blobs).from_select(["blob"], known))

    def _from(self, parent: Node, page: Page, key: ColumnElement[Any] | None) -> ColumnElement[bool]:
        name = nodes.c.name
        if key is None:
            return name <= page.start if page.descending else name >= page.start
        where = (nodes.c.parent_id == parent.id, name == page.start)
        first = self._connection.execute(select(key).where(*where)).scalar_one_or_none()
        if first is None:
            raise NotFound(
                f"{parent.path} has no {page.start!r} any more.",
                code="node_not_found",
                facts={"path": str(parent.path), "name": page.start},
                remedy="Begin the listing anew, or sort by name.",
            )
        exactly = and_(key == first, name == page.start)
        return or_(exactly, _beyond([key, name], (first, page.start), page.descending))


class SqlRecords:
    """See `ports.Records`."""

    def __init__(self, engine: Engine) -> None:
        """Keep records in a database that `create_all` has prepared."""
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)
        self.uploads = SqlUploadRecords(engine)
        self.accesses = SqlAccessRecords(engine)

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

        Files go away outside of any transaction, since a bucket takes its time: a blob that waits and that no node
        names will never be named again, for copies take theirs from nodes and keys are not used twice.
        """
        with self._reading.connect() as connection:
            blobs = list(connection.execute(select(dead_blobs.c.blob).limit(limit)).scalars())
            used = set(connection.execute(select(nodes.c.blob).where(nodes.c.blob.in_(blobs))).scalars())
        gone = [blob for blob in blobs if blob not in used]
        for blob in gone:
            delete(blob)
        if blobs:
            still_used = select(nodes.c.id).where(nodes.c.blob == dead_blobs.c.blob).exists()
            done = dead_blobs.c.blob.in_(gone) | (dead_blobs.c.blob.in_(used) & still_used)
            with self._engine.begin() as connection:
                connection.execute(dead_blobs.delete().where(done))
                forget_digests(connection, gone)
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


@lru_cache(maxsize=MAX_DEPTH + 1)
def _way(depth: int) -> TextualSelect:
    """Return the statement that reads the nodes on a way of `depth` names, from the top.

    In the words of SQL that both databases understand; building it from parts would take longer than it runs.
    """
    names = ", ".join(f"({place}, CAST(:name{place} AS TEXT))" for place in range(1, depth + 1))
    wanted = f"VALUES {names}" if names else "SELECT 0, '' WHERE 1 = 0"
    columns = ", ".join(f"{nodes.name}.{column.name}" for column in nodes.c)
    statement = (
        f"WITH RECURSIVE wanted(place, name) AS ({wanted}), way(id, place) AS ("  # noqa: S608 - our own names
        f"SELECT CAST({ROOT_ID} AS BIGINT), 0 UNION ALL SELECT {nodes.name}.id, wanted.place FROM way "
        f"JOIN wanted ON wanted.place = way.place + 1 JOIN {nodes.name} ON {nodes.name}.parent_id = way.id "
        f"AND {nodes.name}.name = wanted.name) "
        f"SELECT {columns} FROM way JOIN {nodes.name} ON {nodes.name}.id = way.id ORDER BY way.place"
    )
    return text(statement).columns(*nodes.c)


def _place(node: Node, order: Order) -> tuple[Any, ...]:
    """Return what decides where a node stands in a listing."""
    keys: Mapping[Order, Any] = {
        Order.LENGTH: node.length,
        Order.DATE: node.modified_at,
        Order.MADE: node.created_at,
        Order.TYPE: node.content_type,
        Order.OWNER: node.owner_name,
    }
    return (keys[order], node.name) if order in keys else (node.name,)


def _beyond(
    columns: Sequence[ColumnElement[Any]], place: Sequence[Any], descending: bool
) -> ColumnElement[bool]:
    bound = tuple_(*(literal(value, column.type) for value, column in zip(place, columns, strict=True)))
    row = tuple_(*columns)
    return row < bound if descending else row > bound


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
        "written_at": node.written_at,
        "length": node.length,
        "md5": node.md5,
        "blob": node.blob,
        "content_type": node.content_type,
        "content_encoding": node.content_encoding,
        "target": node.target,
        "is_public": node.sharing.is_public,
        "group_read": sorted(node.sharing.group_read),
        "group_write": sorted(node.sharing.group_write),
        "inherits": node.sharing.inherits,
        "is_locked": node.is_locked,
        "properties": dict(node.properties),
        "used": node.used,
        "quota": node.quota,
    }


def node_of(row: Row[Any], path: VOSPath) -> Node:
    """Return the node of a row that is at `path`."""
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
        written_at=row.written_at,
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
            inherits=row.inherits,
        ),
        is_locked=row.is_locked,
        properties=row.properties,
        used=row.used,
        quota=row.quota,
    )
