"""Which nodes a group was let into."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, Text, cast, or_, select

from armillary.base.ids import PersonId
from armillary.vospace.paths import VOSPath
from armillary.vospace.store.tables import ROOT_ID, nodes


def shared_with(db: Connection, owner: PersonId, group: str, most: int) -> Sequence[VOSPath]:
    """Return where nodes of an owner are whose own lists of readers or writers have the group in them."""
    quoted = json.dumps(group)
    lists = (nodes.c.group_read, nodes.c.group_write)
    told = or_(*(cast(one, Text).contains(quoted, autoescape=True) for one in lists))
    query = select(nodes.c.id).where(nodes.c.owner_id == owner, told).order_by(nodes.c.id).limit(most)
    return sorted(place_of(db, number) for number in db.execute(query).scalars().all())


def place_of(db: Connection, number: int) -> VOSPath:
    """Return where a node is."""
    names: list[str] = []
    while number != ROOT_ID:
        row = db.execute(select(nodes.c.parent_id, nodes.c.name).where(nodes.c.id == number)).one()
        names.append(row.name)
        number = row.parent_id
    return VOSPath.trusted(tuple(reversed(names)))
