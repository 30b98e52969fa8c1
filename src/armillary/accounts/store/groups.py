"""Groups of people, and the roles that they have together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from armillary.accounts.model import CloudScope, Group, GroupGrant, Person, Role
from armillary.accounts.store.tables import (
    PERSON_COLUMNS,
    group_grants,
    group_members,
    groups,
    people,
    person_of,
)
from armillary.base.ids import PersonId, ProjectId


class GroupsTable:
    """Groups, who is in them, and what they were given."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, group: Group) -> None:
        """Insert a group whose name is free."""
        self._db.execute(insert(groups).values(vars(group)))

    def find(self, *, group_id: str | None = None, name: str | None = None) -> list[Group]:
        """Groups that match everything given, by name."""
        query = select(groups).order_by(groups.c.name)
        if group_id is not None:
            query = query.where(groups.c.id == group_id)
        if name is not None:
            query = query.where(groups.c.name == name)
        return [Group(**row) for row in self._db.execute(query).mappings()]

    def of_person(self, person_id: PersonId) -> list[Group]:
        """The groups that a person is in, by name."""
        mine = select(group_members.c.group_id).where(group_members.c.person_id == person_id)
        query = select(groups).where(groups.c.id.in_(mine)).order_by(groups.c.name)
        return [Group(**row) for row in self._db.execute(query).mappings()]

    def change(self, group_id: str, **values: Any) -> None:
        """Set columns of a group."""
        self._db.execute(update(groups).where(groups.c.id == group_id).values(values))

    def remove(self, group_id: str) -> None:
        """Delete a group with its members' places and its roles."""
        self._db.execute(delete(groups).where(groups.c.id == group_id))

    def members(self, group_id: str) -> list[Person]:
        """The people of a group, by user name."""
        inside = select(group_members.c.person_id).where(group_members.c.group_id == group_id)
        query = select(*PERSON_COLUMNS).where(people.c.id.in_(inside)).order_by(people.c.user_name)
        return [person_of(row) for row in self._db.execute(query).mappings()]

    def has(self, group_id: str, person_id: PersonId) -> bool:
        """Whether a person is in a group."""
        place = (group_members.c.group_id == group_id) & (group_members.c.person_id == person_id)
        return self._db.scalar(select(group_members.c.person_id).where(place)) is not None

    def put(self, group_id: str, person_id: PersonId) -> None:
        """Put a person into a group, who may be there already."""
        if not self.has(group_id, person_id):
            self._db.execute(insert(group_members).values(group_id=group_id, person_id=person_id))

    def drop(self, group_id: str, person_id: PersonId) -> None:
        """Take a person out of a group."""
        place = (group_members.c.group_id == group_id) & (group_members.c.person_id == person_id)
        self._db.execute(delete(group_members).where(place))

    def grants(self, group_id: str | None = None) -> list[GroupGrant]:
        """Every single grant to a group, or to any."""
        query = select(group_grants).order_by(group_grants.c.group_id, group_grants.c.role)
        if group_id is not None:
            query = query.where(group_grants.c.group_id == group_id)
        return [
            GroupGrant(
                group_id=row["group_id"],
                project_id=None if row["project_id"] is None else ProjectId(row["project_id"]),
                cloud_scope=None if row["cloud_scope"] is None else CloudScope(row["cloud_scope"]),
                role=Role(row["role"]),
            )
            for row in self._db.execute(query).mappings()
        ]

    def grant(self, given: GroupGrant) -> None:
        """Give a role to a group; it may be there already."""
        if given not in self.grants(given.group_id):
            self._db.execute(insert(group_grants).values(vars(given)))

    def revoke(self, given: GroupGrant) -> None:
        """Take a role from a group."""
        table = group_grants.c
        condition = (table.group_id == given.group_id) & (table.role == given.role)
        condition &= table.project_id.is_not_distinct_from(given.project_id)
        condition &= table.cloud_scope.is_not_distinct_from(given.cloud_scope)
        self._db.execute(delete(group_grants).where(condition))
