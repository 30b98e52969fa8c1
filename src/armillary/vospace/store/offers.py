"""What was shared with groups: noted when somebody shares it, so that the group finds it without looking at all nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, insert, select

from armillary.base.ids import PersonId
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.store.shared import place_of
from armillary.vospace.store.tables import nodes, shares


def note_sharing(connection: Connection, node: Node) -> None:
    """See `ports.Tree.note_sharing`."""
    connection.execute(delete(shares).where(shares.c.node_id == node.id))
    groups = sorted(node.sharing.group_read | node.sharing.group_write)
    if groups:
        connection.execute(insert(shares), [{"group_name": group, "node_id": node.id} for group in groups])


def offered_to(
    connection: Connection, groups: Collection[str], most: int, start: int, besides: PersonId | None
) -> Sequence[VOSPath]:
    """See `ports.Tree.offered_to`."""
    query = (
        select(shares.c.node_id).where(shares.c.group_name.in_(groups), shares.c.node_id >= start).distinct()
    )
    if besides is not None:
        query = query.join(nodes, nodes.c.id == shares.c.node_id).where(nodes.c.owner_id != besides)
    found = connection.execute(query.order_by(shares.c.node_id).limit(most)).scalars().all()
    return [place_of(connection, node_id) for node_id in found]


def offered_by(connection: Connection, owner: PersonId, most: int, start: int) -> Sequence[VOSPath]:
    """See `ports.Tree.offered_by`."""
    query = (
        select(shares.c.node_id)
        .join(nodes, nodes.c.id == shares.c.node_id)
        .where(nodes.c.owner_id == owner, shares.c.node_id >= start)
    )
    found = connection.execute(query.distinct().order_by(shares.c.node_id).limit(most)).scalars().all()
    return [place_of(connection, node_id) for node_id in found]
