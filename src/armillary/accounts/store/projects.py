"""Projects, who has which role in them, and the applications for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Connection,
    RowMapping,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)

from armillary.accounts.model import (
    OWN_ROLES,
    Application,
    ApplicationState,
    CloudScope,
    Membership,
    Project,
    Role,
)
from armillary.accounts.store.finding import found
from armillary.accounts.store.tables import (
    PERSON_COLUMNS,
    application_of,
    applications,
    cloud_grants,
    grants,
    group_grants,
    group_members,
    people,
    person_of,
    project_of,
    projects,
)
from armillary.base.ids import ApplicationId, PersonId, ProjectId


def strongest(roles: Iterable[Role]) -> Role:
    """The one of our own roles that implies the others; Keystone's administrators administer the project too."""
    held = frozenset[Role]().union(*(role.implied for role in roles))
    return max(held.intersection(OWN_ROLES), key=OWN_ROLES.index)


class ProjectsTable:
    """Projects and roles in them."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, project: Project) -> None:
        """Insert a project whose name is free."""
        self._db.execute(insert(projects).values(vars(project)))

    def _one(self, condition: Any) -> Project | None:
        row = self._db.execute(select(projects).where(condition)).mappings().first()
        return None if row is None else project_of(row)

    def by_id(self, project_id: ProjectId) -> Project | None:
        """The project, or None."""
        return self._one(projects.c.id == project_id)

    def by_name(self, name: str) -> Project | None:
        """The project of that exact name, or None."""
        return self._one(projects.c.name == name)

    def all(self) -> list[Project]:
        """Every project, by name."""
        rows = self._db.execute(select(projects).order_by(projects.c.name)).mappings()
        return [project_of(row) for row in rows]

    def found(self, words: str, *, skip: int, limit: int) -> tuple[list[Project], int]:
        """Some of those with the words in their name or description, by name; and how many they are."""
        within = (projects.c.name, projects.c.description)
        rows, count = found(self._db, list(projects.c), words=words, within=within, skip=skip, limit=limit)
        return [project_of(row) for row in rows], count

    def change(self, project_id: ProjectId, **values: Any) -> None:
        """Set columns of a project."""
        self._db.execute(update(projects).where(projects.c.id == project_id).values(values))

    def remove(self, project_id: ProjectId) -> None:
        """Delete a project with the roles in it, and tokens and credentials bound to it."""
        self._db.execute(delete(projects).where(projects.c.id == project_id))

    def roles(self, project_id: ProjectId, person_id: PersonId) -> frozenset[Role]:
        """The roles granted to a person in a project, without the implied ones."""
        mine = (grants.c.project_id == project_id) & (grants.c.person_id == person_id)
        return frozenset(Role(word) for word in self._db.scalars(select(grants.c.role).where(mine)))

    def effective_roles(self, project_id: ProjectId, person_id: PersonId) -> frozenset[Role]:
        """The same and those of the person's groups."""
        names = {"project_id": project_id, "person_id": person_id}
        return frozenset(Role(word) for word in self._db.scalars(_ROLES, names))

    def grant(self, project_id: ProjectId, person_id: PersonId, role: Role) -> None:
        """Give a role; it may be there already."""
        if role not in self.roles(project_id, person_id):
            self._db.execute(insert(grants).values(project_id=project_id, person_id=person_id, role=role))

    def revoke(self, project_id: ProjectId, person_id: PersonId, role: Role | None = None) -> None:
        """Take one role, or all of them."""
        condition = (grants.c.project_id == project_id) & (grants.c.person_id == person_id)
        if role is not None:
            condition &= grants.c.role == role
        self._db.execute(delete(grants).where(condition))

    def grants(
        self, *, project_id: ProjectId | None = None, person_id: PersonId | None = None
    ) -> list[tuple[PersonId, ProjectId, Role]]:
        """Every single grant of a project, of a person, of both or at all."""
        query = select(grants.c.person_id, grants.c.project_id, grants.c.role)
        if project_id is not None:
            query = query.where(grants.c.project_id == project_id)
        if person_id is not None:
            query = query.where(grants.c.person_id == person_id)
        query = query.order_by(grants.c.project_id, grants.c.person_id, grants.c.role)
        return [(PersonId(p), ProjectId(q), Role(r)) for p, q, r in self._db.execute(query)]

    def cloud_roles(self, scope: CloudScope, person_id: PersonId) -> frozenset[Role]:
        """The roles granted to a person in a cloud scope, without the implied ones."""
        return frozenset(role for _, _, role in self.cloud_grants(scope=scope, person_id=person_id))

    def effective_cloud_roles(self, scope: CloudScope, person_id: PersonId) -> frozenset[Role]:
        """The same and those of the person's groups."""
        mine = select(group_members.c.group_id).where(group_members.c.person_id == person_id)
        query = select(group_grants.c.role).where(
            (group_grants.c.cloud_scope == scope) & group_grants.c.group_id.in_(mine)
        )
        by_groups = frozenset(Role(word) for word in self._db.scalars(query))
        return by_groups | self.cloud_roles(scope, person_id)

    def cloud_grants(
        self, *, scope: CloudScope | None = None, person_id: PersonId | None = None
    ) -> list[tuple[PersonId, CloudScope, Role]]:
        """Every single grant in a cloud scope, of a person, of both or at all."""
        table = cloud_grants.c
        query = select(table.person_id, table.cloud_scope, table.role)
        if scope is not None:
            query = query.where(table.cloud_scope == scope)
        if person_id is not None:
            query = query.where(table.person_id == person_id)
        query = query.order_by(table.cloud_scope, table.person_id, table.role)
        return [(PersonId(p), CloudScope(s), Role(r)) for p, s, r in self._db.execute(query)]

    def grant_cloud_role(self, scope: CloudScope, person_id: PersonId, role: Role) -> None:
        """Give a role in a cloud scope; it may be there already."""
        if role not in self.cloud_roles(scope, person_id):
            self._db.execute(insert(cloud_grants).values(cloud_scope=scope, person_id=person_id, role=role))

    def revoke_cloud_role(self, scope: CloudScope, person_id: PersonId, role: Role) -> None:
        """Take a role in a cloud scope."""
        table = cloud_grants.c
        condition = (table.cloud_scope == scope) & (table.person_id == person_id) & (table.role == role)
        self._db.execute(delete(cloud_grants).where(condition))

    def of_person(self, person_id: PersonId) -> list[Membership]:
        """The projects of a person with the strongest role in each, by name."""
        return self._memberships(_OF_PERSON, {"person_id": person_id})

    def members(self, project_id: ProjectId) -> list[Membership]:
        """The people of a project with the strongest role of each, by user name."""
        found = _effective(grants.c.project_id == project_id, group_grants.c.project_id == project_id)
        return self._memberships(_members(found).order_by(people.c.user_name))

    def open_to(self, person_id: PersonId) -> list[Project]:
        """The projects in which a person has any role at all, by name."""
        found = _effective(grants.c.person_id == person_id, group_members.c.person_id == person_id).subquery()
        query = (
            select(projects).where(projects.c.id.in_(select(found.c.project_id))).order_by(projects.c.name)
        )
        return [project_of(row) for row in self._db.execute(query).mappings()]

    def _memberships(self, query: Select[Any], names: dict[str, str] | None = None) -> list[Membership]:
        found: dict[tuple[str, str], tuple[RowMapping, set[Role]]] = {}
        for row in self._db.execute(query, names).mappings():
            key = (row[people.c.id], row[projects.c.id])
            found.setdefault(key, (row, set()))[1].add(Role(row["role"]))
        return [
            Membership(person=person_of(row), project=project_of(row), role=strongest(roles))
            for row, roles in found.values()
        ]


def _effective(
    own: ColumnElement[bool], through_group: ColumnElement[bool]
) -> CompoundSelect[*tuple[Any, ...]]:
    """Grants to people and to their groups, each filtered where an index can help."""
    direct = select(grants.c.project_id, grants.c.person_id, grants.c.role).where(own)
    joined = group_grants.join(group_members, group_members.c.group_id == group_grants.c.group_id)
    by_groups = select(group_grants.c.project_id, group_members.c.person_id, group_grants.c.role)
    in_projects = group_grants.c.project_id.is_not(None)
    return union_all(direct, by_groups.select_from(joined).where(through_group & in_projects))


def _roles_of_one() -> Select[Any]:
    who: BindParameter[str] = bindparam("person_id")
    where: BindParameter[str] = bindparam("project_id")
    found = _effective(grants.c.person_id == who, group_members.c.person_id == who).subquery()
    return select(found.c.role).where(found.c.project_id == where)


_ROLES = _roles_of_one()
"""Made once: every token that is issued asks it."""


def _members(effective: CompoundSelect[*tuple[Any, ...]]) -> Select[Any]:
    found = effective.subquery()
    joined = found.join(people, found.c.person_id == people.c.id)
    joined = joined.join(projects, found.c.project_id == projects.c.id)
    query = select(*PERSON_COLUMNS, *projects.c, found.c.role.label("role")).select_from(joined)
    return query.where(found.c.role != Role.SERVICE)  # who has that alone is no member


def _of_one() -> Select[Any]:
    who: BindParameter[str] = bindparam("person_id")
    found = _effective(grants.c.person_id == who, group_members.c.person_id == who)
    return _members(found).order_by(projects.c.name)


_OF_PERSON = _of_one()
"""Made once: every upload asks what its home's owner may store."""


class ApplicationsTable:
    """Requests for projects and what became of them."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, application: Application) -> None:
        """Insert an application."""
        self._db.execute(insert(applications).values(vars(application)))

    def by_id(self, application_id: ApplicationId) -> Application | None:
        """The application, or None."""
        query = select(applications).where(applications.c.id == application_id)
        row = self._db.execute(query).mappings().first()
        return None if row is None else application_of(row)

    def find(
        self,
        *,
        state: ApplicationState | None = None,
        person_id: PersonId | None = None,
        decided_since: datetime | None = None,
    ) -> list[Application]:
        """Applications in a state, of a person, or decided from a moment on; oldest first."""
        query = select(applications).order_by(applications.c.submitted_at, applications.c.id)
        if state is not None:
            query = query.where(applications.c.state == state)
        if person_id is not None:
            query = query.where(applications.c.person_id == person_id)
        if decided_since is not None:
            query = query.where(applications.c.decided_at >= decided_since)
        return [application_of(row) for row in self._db.execute(query).mappings()]

    def last_decided(self, most: int) -> list[Application]:
        """Applications that were decided, the latest first."""
        query = select(applications).where(applications.c.decided_at.is_not(None))
        query = query.order_by(applications.c.decided_at.desc(), applications.c.id).limit(most)
        return [application_of(row) for row in self._db.execute(query).mappings()]

    def name_is_waiting(self, project_name: str) -> bool:
        """Whether somebody's application for a project of that name waits."""
        waiting = applications.c.state == ApplicationState.WAITING
        query = select(func.count()).where(waiting & (applications.c.project_name == project_name))
        return bool(self._db.scalar(query))

    def replace(self, application: Application) -> None:
        """Write the new state of an application."""
        condition = applications.c.id == application.id
        self._db.execute(update(applications).where(condition).values(vars(application)))
