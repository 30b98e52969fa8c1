"""What the caller of the accounts API may see and change, and the shapes that need a look-up."""

from __future__ import annotations

from collections.abc import Sequence

from armillary.accounts.api.models import ApplicationShape, IssuedShape, PersonShape
from armillary.accounts.model import Application, IssuedToken, Person, Principal, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import ApplicationId, PersonId

SCOPE = "accounts"
"""What a limited credential must name to be used here."""


class Desk:
    """Decides who may do what in the accounts API."""

    def __init__(self, *, service: AccountsService) -> None:
        self._service = service

    def whole(self, principal: Principal) -> Principal:
        """Return the principal if its credential may be used here at all.

        A job's credential, or one limited to other scopes, must not mint tokens without its limits.
        """
        if not principal.allows(SCOPE):
            raise Forbidden(
                "This credential is limited to other things.",
                code="limited_credential",
                facts={"scopes": sorted(principal.scopes)},
                remedy="Sign in with your password or an unlimited token.",
            )
        return principal

    def need_administrator(self, principal: Principal) -> None:
        """Refuse everybody but administrators of the platform."""
        if not principal.person.is_admin:
            raise Forbidden(
                "Only an administrator of the platform may do this.",
                code="not_an_administrator",
                remedy="Ask an administrator.",
            )

    def grantable_scopes(self, principal: Principal, scopes: frozenset[str]) -> frozenset[str]:
        """Return the scopes of a new token: never wider than those of the credential that asks for it."""
        asked = scopes or principal.scopes
        if principal.scopes and not asked <= principal.scopes:
            raise Forbidden(
                "This credential cannot give what it does not have.",
                code="limited_credential",
                facts={"scopes": sorted(principal.scopes)},
                remedy="Sign in with your password or an unlimited token.",
            )
        return asked

    def visible_application(self, principal: Principal, application_id: ApplicationId) -> Application:
        """Return an application of the caller, or any for an administrator; others are not found."""
        application = self._service.application(application_id)
        if not principal.person.is_admin and application.person_id != principal.person.id:
            raise NotFound(
                "There is no such application.",
                code="application_not_found",
                facts={"application": application_id},
            )
        return application

    def visible_project(self, principal: Principal, name: str) -> tuple[Project, Role | None]:
        """Return a project of the caller and the role in it; projects of others are not found."""
        for membership in self._service.projects_of(principal.person.id):
            if membership.project.name == name and self._in_reach(principal, membership.project):
                return membership.project, membership.role
        if principal.person.is_admin:
            project = self._service.project_named(name)
            if self._in_reach(principal, project):
                return project, None
        raise NotFound("There is no such project.", code="project_not_found", facts={"project": name})

    def managed_project(
        self, principal: Principal, name: str, person_id: PersonId, new_role: Role
    ) -> Project:
        """Return a project in which the caller may give `new_role` to this person, or remove them.

        An administrator of the project may do all of it; a manager, readers and members; everybody may leave.
        """
        project, role = self.visible_project(principal, name)
        if principal.person.is_admin or role is Role.ADMIN:
            return project
        present = next((m.role for m in self._service.members(project.id) if m.person.id == person_id), None)
        weak = (None, Role.READER, Role.MEMBER)
        if role is Role.MANAGER and present in weak and new_role in weak:
            return project
        if person_id == principal.person.id and present is not None and new_role is Role.READER:
            return project
        raise Forbidden(
            "This needs a stronger role in the project.",
            code="role_too_weak",
            facts={"project": name, "role": role.value if role else None},
            remedy="Ask an administrator of the project.",
        )

    def application_shape(self, application: Application) -> ApplicationShape:
        """Return what the wire shows of an application."""
        return self.application_shapes([application])[0]

    def application_shapes(self, applications: Sequence[Application]) -> list[ApplicationShape]:
        """Return what the wire shows of applications."""
        people: dict[PersonId, Person] = {}
        for application in applications:
            for person_id in (application.person_id, application.decided_by):
                if person_id is not None and person_id not in people:
                    try:
                        people[person_id] = self._service.person(person_id)
                    except (
                        NotFound
                    ):  # the administrator who decided has gone; the application's person cannot
                        continue
        return [ApplicationShape.of(application, people) for application in applications]

    def issued_shape(self, issued: IssuedToken, person: Person) -> IssuedShape:
        """Return what the wire shows of a new token, secret and all."""
        return IssuedShape(
            token=issued.secret,
            id=issued.token.id,
            expires_at=issued.token.expires_at,
            person=PersonShape.model_validate(person),
        )

    def _in_reach(self, principal: Principal, project: Project) -> bool:
        return principal.project is None or principal.project.id == project.id
