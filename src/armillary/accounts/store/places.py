"""Who is where in which group: owners, administrators, members, groups in groups."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    union,
    update,
)

from armillary.accounts.core.group_rules import GroupBrief, Place, Standing
from armillary.accounts.model import Person, Role
from armillary.accounts.store.group_tables import (
    group_admins,
    group_groups,
    group_names,
    group_owners,
    group_projects,
)
from armillary.accounts.store.tables import (
    PERSON_COLUMNS,
    grants,
    group_grants,
    group_members,
    groups,
    people,
    person_of,
    projects,
)
from armillary.base.ids import PersonId, ProjectId


def _projects_of(person: ColumnElement[str]) -> CTE:
    """The open projects that somebody is in, by their own roles or by those of a Keystone group."""
    own = select(grants.c.project_id).where((grants.c.person_id == person) & (grants.c.role != Role.SERVICE))
    joined = group_grants.join(group_members, group_members.c.group_id == group_grants.c.group_id)
    through = (group_members.c.person_id == person) & (group_grants.c.role != Role.SERVICE)
    by_groups = select(group_grants.c.project_id).select_from(joined).where(through)
    found = union(own, by_groups).subquery()
    open_ones = projects.c.enabled & projects.c.id.in_(select(found.c.project_id))
    return select(projects.c.id, projects.c.name, projects.c.description).where(open_ones).cte("my_projects")


def _groups_of(person: ColumnElement[str], mine: CTE) -> CTE:
    """The groups that somebody is in, directly or through groups and projects in them.

    UNION drops what was found before, so the walk ends even among records that go in a circle.
    """
    by_projects = (group_projects.c.place == Place.MEMBER) & group_projects.c.project_id.in_(
        select(mine.c.id)
    )
    first = union(
        select(group_members.c.group_id.label("id")).where(group_members.c.person_id == person),
        select(group_projects.c.group_id.label("id")).where(by_projects),
    ).cte("my_first_groups")
    walk = select(first.c.id).cte("my_groups", recursive=True)
    around = group_groups.join(walk, group_groups.c.inner_id == walk.c.id)
    further = select(group_groups.c.group_id).select_from(around).where(group_groups.c.place == Place.MEMBER)
    return walk.union(further)


_SHADOWED = exists().where(projects.c.name == groups.c.name)
"""Records of an older version may have a group and a project of one name: on nodes the name is the project's."""

_NAMES = groups.outerjoin(group_owners, group_owners.c.group_id == groups.c.id).outerjoin(
    people, people.c.id == group_owners.c.person_id
)
_PERSON: ColumnElement[str] = bindparam("person_id")
_MY_PROJECTS = _projects_of(_PERSON)
_MY_GROUPS = _groups_of(_PERSON, _MY_PROJECTS)
# Made once: each request of VOSpace asks the first of them.
_MEMBER_NAMES = union(
    select(groups.c.name).where(groups.c.id.in_(select(_MY_GROUPS.c.id)) & ~_SHADOWED),
    select(_MY_PROJECTS.c.name),
)
_OWNED = group_owners.c.person_id == _PERSON
_ADMINISTERED = (
    _OWNED
    | groups.c.id.in_(select(group_admins.c.group_id).where(group_admins.c.person_id == _PERSON))
    | groups.c.id.in_(
        select(group_groups.c.group_id).where(
            (group_groups.c.place == Place.ADMIN) & group_groups.c.inner_id.in_(select(_MY_GROUPS.c.id))
        )
    )
    | groups.c.id.in_(
        select(group_projects.c.group_id).where(
            (group_projects.c.place == Place.ADMIN)
            & group_projects.c.project_id.in_(select(_MY_PROJECTS.c.id))
        )
    )
)
_BRIEF = (groups.c.name, groups.c.description, people.c.user_name.label("owner_name"))
_BY_ROLE: dict[str, Select[*tuple[Any, ...]]] = {
    role: select(*_BRIEF).select_from(_NAMES).where(condition & ~_SHADOWED).order_by(groups.c.name)
    for role, condition in (
        ("member", groups.c.id.in_(select(_MY_GROUPS.c.id))),
        ("admin", _ADMINISTERED),
        ("owner", _OWNED),
    )
}
_STANDING = (
    select(
        groups.c.id.in_(select(_MY_GROUPS.c.id)).label("is_member"),
        _ADMINISTERED.label("is_admin"),
        func.coalesce(_OWNED, literal(value=False)).label("is_owner"),
    )
    .select_from(_NAMES)
    .where(groups.c.id == bindparam("group_id"))
)


class PlacesTable:
    """Owners, administrators, members, groups in groups, and names that nobody gets again."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def names_of(self, person_id: PersonId) -> frozenset[str]:
        """The names of all groups and projects that a person is in: one statement."""
        return frozenset(self._db.scalars(_MEMBER_NAMES, {"person_id": person_id}))

    def by_role(self, role: str, person_id: PersonId) -> list[GroupBrief]:
        """The groups in which a person is `member`, `admin` or `owner`, by name; projects are not among them."""
        rows = self._db.execute(_BY_ROLE[role], {"person_id": person_id}).mappings()
        return [GroupBrief(**row) for row in rows]

    def every(self) -> list[GroupBrief]:
        """All groups, by name."""
        query = select(*_BRIEF).select_from(_NAMES).where(~_SHADOWED).order_by(groups.c.name)
        return [GroupBrief(**row) for row in self._db.execute(query).mappings()]

    def known(self, names: Iterable[str]) -> frozenset[str]:
        """Those of the names that a group or a project has now."""
        wanted = sorted(names)
        found = union(
            select(groups.c.name).where(groups.c.name.in_(wanted)),
            select(projects.c.name).where(projects.c.name.in_(wanted)),
        )
        return frozenset(self._db.scalars(found))

    def standing(self, group_id: str, person: Person) -> Standing:
        """What a person is to a group."""
        names = {"group_id": group_id, "person_id": person.id}
        row = self._db.execute(_STANDING, names).mappings().one()
        return Standing(is_operator=person.is_admin, **{name: bool(value) for name, value in row.items()})

    # -- owners --------------------------------------------------------------------------------------------

    def own(self, group_id: str, person_id: PersonId, at: datetime) -> None:
        """Make a person the owner of a new group."""
        values = {"group_id": group_id, "person_id": person_id, "created_at": at, "changed_at": at}
        self._db.execute(insert(group_owners).values(values))

    def owner(self, group_id: str) -> tuple[Person | None, datetime, datetime] | None:
        """The owner and when the group was made and changed; None for the platform's own."""
        made, changed = group_owners.c.created_at.label("made"), group_owners.c.changed_at.label("changed")
        joined = group_owners.outerjoin(people, people.c.id == group_owners.c.person_id)
        query = select(made, changed, *PERSON_COLUMNS).select_from(joined)
        row = self._db.execute(query.where(group_owners.c.group_id == group_id)).mappings().first()
        if row is None:
            return None
        return (None if row[people.c.id] is None else person_of(row), row["made"], row["changed"])

    def owned_by(self, person_id: PersonId) -> int:
        """How many groups a person owns."""
        query = select(func.count()).where(group_owners.c.person_id == person_id)
        return self._db.scalar(query) or 0

    def touch(self, group_id: str, at: datetime) -> None:
        """Note that a group was changed."""
        self._db.execute(
            update(group_owners).where(group_owners.c.group_id == group_id).values(changed_at=at)
        )

    # -- people in places ----------------------------------------------------------------------------------

    def people(self, group_id: str, place: Place) -> list[Person]:
        """The people of a place, by user name."""
        table = _people_table(place)
        inside = select(table.c.person_id).where(table.c.group_id == group_id)
        query = select(*PERSON_COLUMNS).where(people.c.id.in_(inside)).order_by(people.c.user_name)
        return [person_of(row) for row in self._db.execute(query).mappings()]

    def put_person(self, group_id: str, place: Place, person_id: PersonId) -> None:
        """Put a person into a place, who may be there already."""
        table = _people_table(place)
        if not self.has_person(group_id, place, person_id):
            self._db.execute(insert(table).values(group_id=group_id, person_id=person_id))

    def has_person(self, group_id: str, place: Place, person_id: PersonId) -> bool:
        """Whether a person is in a place by name."""
        table = _people_table(place)
        query = select(table.c.person_id).where(
            (table.c.group_id == group_id) & (table.c.person_id == person_id)
        )
        return self._db.scalar(query) is not None

    def drop_person(self, group_id: str, place: Place, person_id: PersonId) -> None:
        """Take a person out of a place."""
        table = _people_table(place)
        self._db.execute(
            delete(table).where((table.c.group_id == group_id) & (table.c.person_id == person_id))
        )

    def put_people(self, group_id: str, place: Place, newcomers: Iterable[PersonId]) -> None:
        """Put people into a place, none of whom is there."""
        rows = [{"group_id": group_id, "person_id": person_id} for person_id in sorted(newcomers)]
        if rows:
            self._db.execute(insert(_people_table(place)), rows)

    def drop_people(self, group_id: str, place: Place, leaving: Iterable[PersonId]) -> None:
        """Take people out of a place."""
        table = _people_table(place)
        condition = (table.c.group_id == group_id) & (table.c.person_id == bindparam("leaving"))
        rows = [{"leaving": person_id} for person_id in sorted(leaving)]
        if rows:
            self._db.execute(delete(table).where(condition), rows)

    def counts(self, group_id: str, place: Place) -> dict[str, int]:
        """How many `people` and `groups` are in a place."""
        inside = _people_table(place).c
        found = {"people": self._count(inside.group_id == group_id), "groups": 0}
        for table in (group_groups.c, group_projects.c):
            found["groups"] += self._count((table.group_id == group_id) & (table.place == place))
        return found

    def _count(self, condition: ColumnElement[bool]) -> int:
        return self._db.scalar(select(func.count()).where(condition)) or 0

    # -- groups in places ----------------------------------------------------------------------------------

    def groups(self, group_id: str, place: Place) -> list[str]:
        """The names of groups and projects in a place, in order."""
        table, other = group_groups.c, group_projects.c
        inner = select(table.inner_id).where((table.group_id == group_id) & (table.place == place))
        in_it = select(other.project_id).where((other.group_id == group_id) & (other.place == place))
        found = union(
            select(groups.c.name).where(groups.c.id.in_(inner)),
            select(projects.c.name).where(projects.c.id.in_(in_it)),
        )
        return sorted(self._db.scalars(found))

    def put_group(self, group_id: str, place: Place, inner: str | ProjectId, *, is_project: bool) -> None:
        """Put a group or a project into a place, which may be there already."""
        self.drop_group(group_id, place, inner, is_project=is_project)
        table, column = _group_table(is_project=is_project)
        self._db.execute(insert(table).values({"group_id": group_id, "place": place, column: inner}))

    def drop_group(self, group_id: str, place: Place, inner: str | ProjectId, *, is_project: bool) -> None:
        """Take a group or a project out of a place."""
        table, column = _group_table(is_project=is_project)
        condition = (table.c.group_id == group_id) & (table.c.place == place) & (table.c[column] == inner)
        self._db.execute(delete(table).where(condition))

    def is_within(self, inner_id: str, outer_id: str) -> bool:
        """Whether the members of one group are members of another, through any number of groups."""
        walk = select(literal(inner_id).label("id")).cte("around", recursive=True)
        further = group_groups.join(walk, group_groups.c.inner_id == walk.c.id)
        next_ones = (
            select(group_groups.c.group_id).select_from(further).where(group_groups.c.place == Place.MEMBER)
        )
        walk = walk.union(next_ones)
        return self._db.scalar(select(walk.c.id).where(walk.c.id == outer_id)) is not None

    # -- names ---------------------------------------------------------------------------------------------

    def retire(self, name: str, holder_id: str, *, is_project: bool, at: datetime) -> None:
        """Remember a name that its group or project gives up."""
        self._db.execute(delete(group_names).where(group_names.c.name == name))
        self._db.execute(
            insert(group_names).values(name=name, holder_id=holder_id, is_project=is_project, ended_at=at)
        )

    def retired(self, name: str) -> tuple[str, bool] | None:
        """Who had a name last, and whether that was a project."""
        query = select(group_names.c.holder_id, group_names.c.is_project).where(group_names.c.name == name)
        row = self._db.execute(query).first()
        return (row[0], row[1]) if row else None


def _people_table(place: Place) -> Table:
    return group_members if place is Place.MEMBER else group_admins


def _group_table(*, is_project: bool) -> tuple[Table, str]:
    return (group_projects, "project_id") if is_project else (group_groups, "inner_id")
