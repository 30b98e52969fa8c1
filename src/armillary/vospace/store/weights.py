"""How much is in the folders of a folder, added up by the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from armillary.vospace.model import Node, NodeKind, Weight
from armillary.vospace.store.tables import nodes

SHOWN = 50


def weights_of(connection: Connection, parent: Node, most: int) -> Sequence[Weight]:
    """See `ports.Tree.weights`."""
    below = (
        select(nodes.c.id, nodes.c.id.label("top"), nodes.c.length)
        .where(nodes.c.parent_id == parent.id)
        .cte("below", recursive=True)
    )
    child = nodes.alias()
    below = below.union_all(
        select(child.c.id, below.c.top, child.c.length).join(below, child.c.parent_id == below.c.id)
    )
    # both databases make the rows of the recursion as they are taken: no more than these are looked at
    some = select(below).limit(most).subquery()
    octets = func.sum(some.c.length)
    sums = (
        select(some.c.top, octets.label("octets"), func.count().label("nodes"))
        .group_by(some.c.top)
        .order_by(octets.desc())
        .limit(SHOWN)
        .subquery()
    )
    query = select(nodes.c.name, nodes.c.kind, sums.c.octets, sums.c.nodes).join(
        sums, sums.c.top == nodes.c.id
    )
    rows = connection.execute(query.order_by(sums.c.octets.desc(), nodes.c.name))
    return [
        Weight(
            name=row.name,
            is_container=row.kind == NodeKind.CONTAINER.value,
            octets=int(row.octets),
            nodes=row.nodes,
        )
        for row in rows
    ]
