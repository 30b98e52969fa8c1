"""Projects and who has which role in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from armillary.accounts.base_service import (
    ServiceBase,
    need_free_project_name,
    need_person,
    need_project,
    storable,
)
from armillary.accounts.core.rules import Findings
from armillary.accounts.group_names import retire_group_name
from armillary.accounts.model import OWN_ROLES, Allocation, CloudScope, Membership, Project, Role
from armillary.accounts.store import Records
from armillary.accounts.trail import changed
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import PersonId, ProjectId, new_hex

DESCRIPTION_MAX = 5000
TAGS_MAX = 80


class Projects(ServiceBase):
    """Knows projects and their members."""

    def project(self, project_id: ProjectId) -> Project:
        """Return a project; raises NotFound."""
        with self._store.read() as records:
            return need_project(records, project_id)

    def project_named(self, name: str) -> Project:
        """Return the project of that name; raises NotFound."""
        with self._store.read() as records:
            project = records.projects.by_name(name) if storable(name) else None
        if project is None:
            raise NotFound("There is no such project.", code="project_not_found", facts={"project": name})
        return project

    def projects(self) -> list[Project]:
        """Return every project, by name."""
        with self._store.read() as records:
            return records.projects.all()

    def find_projects(self, words: str, *, skip: int = 0, limit: int = 50) -> tuple[Sequence[Project], int]:
        """Return some of the projects with the words in their name or description, and how many they are."""
        with self._store.read() as records:
            return records.projects.found(words.strip(), skip=skip, limit=limit)

    def create_project(
        self,
        name: str,
        description: str,
        allocation: Allocation,
        *,
        enabled: bool = True,
        tags: tuple[str, ...] = (),
        extras: Mapping[str, Any] | None = None,
        furnished: bool = True,
    ) -> Project:
        """Make a project without members on an administrator's behalf.

        Raises:
            Invalid: a field is wrong.
            Conflict: the name is taken.
        """
        findings = Findings()
        findings.admin_name("name", name)
        findings.text("description", description, longest=DESCRIPTION_MAX, required=False, lines=True)
        findings.allocation("allocation", allocation)
        _check_tags(findings, tags)
        findings.settle()
        project = Project(
            id=ProjectId(new_hex()),
            name=name,
            description=description,
            allocation=allocation,
            enabled=enabled,
            created_at=self._clock.now(),
            tags=tags,
            extras=dict(extras or {}),
            furnished=furnished,
        )
        with self._store.write() as records:
            need_free_project_name(records, name, waiting_too=False)
            records.projects.add(project)
        return project

    def update_project(
        self,
        project_id: ProjectId,
        *,
        name: str | None = None,
        description: str | None = None,
        allocation: Allocation | None = None,
        enabled: bool | None = None,
        tags: tuple[str, ...] | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> Project:
        """Change what is given. Credentials for a project that is switched off are refused at once."""
        findings = Findings()
        if name is not None:
            findings.admin_name("name", name)
        if description is not None:
            findings.text("description", description, longest=DESCRIPTION_MAX, required=False, lines=True)
        if allocation is not None:
            findings.allocation("allocation", allocation)
        _check_tags(findings, tags or ())
        findings.settle()
        given: dict[str, Any] = {
            "name": name,
            "description": description,
            "allocation": allocation,
            "enabled": enabled,
            "tags": tags,
            "extras": None if extras is None else dict(extras),
        }
        changes = {field: value for field, value in given.items() if value is not None}
        with self._store.write() as records:
            project = need_project(records, project_id)
            if name is not None and name != project.name:
                need_free_project_name(records, name, waiting_too=False)
                self._retire_name(records, project)
            if changes:
                records.projects.change(project_id, **changes)
            return need_project(records, project_id)

    def delete_project(self, project_id: ProjectId) -> None:
        """Delete a project, the roles in it and the credentials bound to it; not its machines."""
        with self._store.write() as records:
            project = need_project(records, project_id)
            self._retire_name(records, project)
            records.projects.remove(project_id)

    def _retire_name(self, records: Records, project: Project) -> None:
        retire_group_name(records, project.name, project.id, at=self._clock.now(), is_project=True)

    def projects_of(self, person_id: PersonId) -> list[Membership]:
        """Return the memberships of a person, by project name."""
        with self._store.read() as records:
            return records.projects.of_person(person_id)

    def projects_open_to(self, person_id: PersonId) -> list[Project]:
        """Return the projects in which a person has any role, Keystone's own and those of groups too, by name."""
        with self._store.read() as records:
            return records.projects.open_to(person_id)

    def members(self, project_id: ProjectId) -> list[Membership]:
        """Return the members of a project, by user name; raises NotFound."""
        with self._store.read() as records:
            need_project(records, project_id)
            return records.projects.members(project_id)

    def set_role(self, project_id: ProjectId, person_id: PersonId, role: Role) -> Membership:
        """Give a person exactly this role in a project, as a new member or instead of the present role.

        Raises:
            Invalid: it is none of the roles that projects give.
            Conflict: this would leave the project without an administrator.
        """
        if role not in OWN_ROLES:
            raise Invalid(
                f"Projects do not give the role {role}.",
                code="role_not_ours",
                facts={"field": "role", "role": role.value},
                remedy=f"Choose one of {', '.join(OWN_ROLES)}.",
            )
        with self._store.write() as records:
            project, person = need_project(records, project_id), need_person(records, person_id)
            if role is not Role.ADMIN:
                _need_other_admin(records, project_id, person_id)
            before = records.projects.roles(project_id, person_id)
            records.projects.revoke(project_id, person_id)
            records.projects.grant(project_id, person_id, role)
            changed(f"{project.name}: role of {person.user_name}", _named(before), role.value)
            return Membership(person=person, project=project, role=role)

    def remove_member(self, project_id: ProjectId, person_id: PersonId) -> None:
        """Take every role of a person in a project; tokens bound to it stop working at once.

        Raises:
            NotFound: the person is no member.
            Conflict: this would leave the project without an administrator.
        """
        with self._store.write() as records:
            project = need_project(records, project_id)
            before = (
                records.projects.roles(project_id, person_id) if storable(person_id) else frozenset[Role]()
            )
            if not before:
                raise NotFound(
                    "This person is not a member of the project.",
                    code="member_not_found",
                    facts={"project": project_id, "person": person_id},
                )
            _need_other_admin(records, project_id, person_id)
            records.projects.revoke(project_id, person_id)
            name = need_person(records, person_id).user_name
            changed(f"{project.name}: role of {name}", _named(before), None)

    def grants(
        self, *, project_id: ProjectId | None = None, person_id: PersonId | None = None
    ) -> list[tuple[PersonId, ProjectId, Role]]:
        """Return single grants as Keystone sees them: a person may hold several roles in one project."""
        with self._store.read() as records:
            return records.projects.grants(project_id=project_id, person_id=person_id)

    def grant(self, project_id: ProjectId, person_id: PersonId, role: Role) -> None:
        """Add one role to those that a person has in a project (Identity v3); it may be there already."""
        with self._store.write() as records:
            project, person = need_project(records, project_id), need_person(records, person_id)
            before = records.projects.roles(project_id, person_id)
            records.projects.grant(project_id, person_id, role)
            changed(f"{project.name}: role of {person.user_name}", _named(before), _named(before | {role}))

    def revoke_grant(self, project_id: ProjectId, person_id: PersonId, role: Role) -> None:
        """Take one role from those that a person has in a project (Identity v3).

        Raises:
            NotFound: the person does not have it.
        """
        with self._store.write() as records:
            before = records.projects.roles(project_id, person_id)
            if role not in before:
                raise NotFound(
                    "This person does not have that role in the project.",
                    code="grant_not_found",
                    facts={"project": project_id, "person": person_id, "role": role.value},
                )
            records.projects.revoke(project_id, person_id, role)
            project, person = need_project(records, project_id), need_person(records, person_id)
            changed(f"{project.name}: role of {person.user_name}", _named(before), _named(before - {role}))

    def cloud_grants(
        self, *, scope: CloudScope | None = None, person_id: PersonId | None = None
    ) -> list[tuple[PersonId, CloudScope, Role]]:
        """Return single grants outside of projects (Identity v3's system and domain), without the implied roles."""
        with self._store.read() as records:
            return records.projects.cloud_grants(scope=scope, person_id=person_id)

    def grant_cloud_role(self, scope: CloudScope, person_id: PersonId, role: Role) -> None:
        """Add one role to those that a person has in a cloud scope; it may be there already."""
        with self._store.write() as records:
            person, before = need_person(records, person_id), records.projects.cloud_roles(scope, person_id)
            records.projects.grant_cloud_role(scope, person_id, role)
            changed(f"{scope.value}: role of {person.user_name}", _named(before), _named(before | {role}))

    def revoke_cloud_role(self, scope: CloudScope, person_id: PersonId, role: Role) -> None:
        """Take one role from those that a person has in a cloud scope.

        Raises:
            NotFound: the person does not have it.
        """
        with self._store.write() as records:
            before = records.projects.cloud_roles(scope, person_id)
            if role not in before:
                raise NotFound(
                    "This person does not have that role there.",
                    code="grant_not_found",
                    facts={"scope": scope.value, "person": person_id, "role": role.value},
                )
            records.projects.revoke_cloud_role(scope, person_id, role)
            who = need_person(records, person_id).user_name
            changed(f"{scope.value}: role of {who}", _named(before), _named(before - {role}))


def _check_tags(findings: Findings, tags: tuple[str, ...]) -> None:
    findings.check("tags", len(tags) <= TAGS_MAX, f"A project has at most {TAGS_MAX} tags.")
    findings.check("tags", len(set(tags)) == len(tags), "Each tag is there once.")
    for tag in tags:
        findings.text("tags", tag, longest=255)
        findings.check("tags", not {"/", ","} & set(tag), "A tag has no slash and no comma.")


def _need_other_admin(records: Records, project_id: ProjectId, person_id: PersonId) -> None:
    admins = {p for p, _, role in records.projects.grants(project_id=project_id) if role is Role.ADMIN}
    if admins == {person_id}:
        raise Conflict(
            "This is the only administrator of the project.",
            code="last_project_admin",
            facts={"project": project_id, "person": person_id},
            remedy="Make somebody else an administrator of the project first.",
        )


def _named(roles: frozenset[Role]) -> str | None:
    return ", ".join(sorted(role.value for role in roles)) or None
