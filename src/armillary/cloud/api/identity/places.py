"""Where roles are given: in a project, in the one domain, or in the system; and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from armillary.accounts.model import CloudScope, Person, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.errors import Forbidden, NotFound
from armillary.cloud.api.identity.roles import ADMIN, our_role, role_named, shown
from armillary.cloud.api.identity.room import DOMAIN


@dataclass(frozen=True, kw_only=True)
class Place:
    """One thing in which people can have roles: a project, or a scope of the cloud."""

    project: Project | None = None
    scope: CloudScope = CloudScope.SYSTEM

    @property
    def path(self) -> str:
        """The place as paths of Keystone name it."""
        if self.project is not None:
            return f"projects/{self.project.id}"
        return "system" if self.scope is CloudScope.SYSTEM else f"domains/{DOMAIN['id']}"

    def document(self, *, named: bool) -> dict[str, Any]:
        """Return the place as the `scope` of a role assignment."""
        if self.project is not None:
            project = {"id": self.project.id}
            return {"project": project | {"name": self.project.name, "domain": DOMAIN} if named else project}
        if self.scope is CloudScope.SYSTEM:
            return {"system": {"all": True}}
        return {"domain": DOMAIN if named else {"id": DOMAIN["id"]}}


class Grants:
    """Gives and takes roles in any place."""

    def __init__(self, *, accounts: AccountsService) -> None:
        self._accounts = accounts

    def held(self, place: Place, person: Person) -> list[Role]:
        """The roles that a person was given in a place, as our records have them, without the implied ones."""
        if place.project is not None:
            found = self._accounts.grants(project_id=place.project.id, person_id=person.id)
            return [role for _, _, role in found]
        roles = {r for _, _, r in self._accounts.cloud_grants(scope=place.scope, person_id=person.id)}
        if person.is_admin:
            roles.add(Role.CLOUD_ADMIN)
        return list(roles)

    def names(self, place: Place, person: Person) -> list[str]:
        """The same by Keystone's names."""
        return shown(self.held(place, person), is_admin=person.is_admin)

    def give(self, place: Place, person: Person, role_id: str) -> None:
        """Give a role; it may be there already."""
        role = our_role(role_named(role_id))
        if place.project is not None:
            self._accounts.grant(place.project.id, person.id, role)
        else:
            self._accounts.grant_cloud_role(place.scope, person.id, role)

    def take(self, place: Place, person: Person, role_id: str) -> None:
        """Take a role.

        Raises:
            NotFound: the person does not have it there.
            Forbidden: it comes with administering the platform, which Keystone does not take away.
        """
        name = role_named(role_id)
        self.need(place, person, role_id)
        if place.project is None and person.is_admin and name == ADMIN:
            raise Forbidden("Administrators of the platform are made and unmade in its accounts.")
        for role in self.held(place, person):
            # what is shown as `manager` may be our `admin` of a project
            if shown([role], is_admin=person.is_admin) != [name]:
                continue
            if place.project is not None:
                self._accounts.revoke_grant(place.project.id, person.id, role)
            else:
                self._accounts.revoke_cloud_role(place.scope, person.id, role)

    def need(self, place: Place, person: Person, role_id: str) -> None:
        """Raise NotFound in Keystone's words unless the person has the role there."""
        name = role_named(role_id)
        if name not in self.names(place, person):
            where = place.path.replace("/", ": ").replace("projects", "project").replace("domains", "domain")
            raise NotFound(
                f"Could not find role assignment with role: {role_id}, user or group: {person.id}, "
                f"project, domain, or system: {where.rpartition(': ')[2]}."
            )
