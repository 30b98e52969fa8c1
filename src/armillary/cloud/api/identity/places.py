"""Where roles are given: in a project, in the one domain, or in the system; and to whom: people and groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from armillary.accounts.model import CloudScope, Group, GroupGrant, Person, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.errors import Forbidden, NotFound
from armillary.cloud.api.identity.roles import ADMIN, our_role, role_named, shown
from armillary.cloud.api.identity.room import DOMAIN

Party = Person | Group


@dataclass(frozen=True, kw_only=True)
class Place:
    """One thing in which people can have roles: a project, or a scope of the cloud."""

    project: Project | None = None
    scope: CloudScope | None = None

    @property
    def path(self) -> str:
        """The place as paths of Keystone name it."""
        if self.project is not None:
            return f"projects/{self.project.id}"
        return "system" if self.scope is CloudScope.SYSTEM else f"domains/{DOMAIN['id']}"

    @property
    def id(self) -> str:
        """What Keystone calls the place in its messages."""
        return self.path.rpartition("/")[2]

    def document(self, *, named: bool) -> dict[str, Any]:
        """Return the place as the `scope` of a role assignment."""
        if self.project is not None:
            project = {"id": self.project.id}
            return {"project": project | {"name": self.project.name, "domain": DOMAIN} if named else project}
        if self.scope is CloudScope.SYSTEM:
            return {"system": {"all": True}}
        return {"domain": DOMAIN if named else {"id": DOMAIN["id"]}}


def party_path(party: Party) -> str:
    """Return how paths of Keystone name somebody."""
    return f"{'groups' if isinstance(party, Group) else 'users'}/{party.id}"


class Grants:
    """Gives and takes roles in any place."""

    def __init__(self, *, accounts: AccountsService) -> None:
        self._accounts = accounts

    def held(self, place: Place, party: Party) -> list[Role]:
        """The roles that somebody was given in a place, as our records have them, without the implied ones."""
        if isinstance(party, Group):
            grants = self._accounts.group_grants(party.id)
            return [grant.role for grant in grants if grant == _to_group(place, party, grant.role)]
        if place.project is not None:
            found = self._accounts.grants(project_id=place.project.id, person_id=party.id)
            return [role for _, _, role in found]
        roles = {r for _, _, r in self._accounts.cloud_grants(scope=place.scope, person_id=party.id)}
        if party.is_admin:
            roles.add(Role.CLOUD_ADMIN)
        return list(roles)

    def names(self, place: Place, party: Party) -> list[str]:
        """The same by Keystone's names."""
        return shown(self.held(place, party), is_admin=_is_admin(party))

    def give(self, place: Place, party: Party, role_id: str) -> None:
        """Give a role; it may be there already."""
        role = our_role(role_named(role_id))
        if isinstance(party, Group):
            self._accounts.grant_to_group(_to_group(place, party, role))
        elif place.project is not None:
            self._accounts.grant(place.project.id, party.id, role)
        elif place.scope is not None:
            self._accounts.grant_cloud_role(place.scope, party.id, role)

    def take(self, place: Place, party: Party, role_id: str) -> None:
        """Take a role.

        Raises:
            NotFound: they do not have it there.
            Forbidden: it comes with administering the platform, which Keystone does not take away.
        """
        name = role_named(role_id)
        self.need(place, party, role_id)
        if place.project is None and _is_admin(party) and name == ADMIN:
            raise Forbidden("Administrators of the platform are made and unmade in its accounts.")
        for role in self.held(place, party):
            # what is shown as `manager` may be our `admin` of a project
            if shown([role], is_admin=_is_admin(party)) == [name]:
                self._take(place, party, role)

    def _take(self, place: Place, party: Party, role: Role) -> None:
        if isinstance(party, Group):
            self._accounts.revoke_from_group(_to_group(place, party, role))
        elif place.project is not None:
            self._accounts.revoke_grant(place.project.id, party.id, role)
        elif place.scope is not None:
            self._accounts.revoke_cloud_role(place.scope, party.id, role)

    def need(self, place: Place, party: Party, role_id: str) -> None:
        """Raise NotFound in Keystone's words unless they have the role there."""
        name = role_named(role_id)
        if name not in self.names(place, party):
            raise NotFound(
                f"Could not find role assignment with role: {role_id}, user or group: {party.id}, "
                f"project, domain, or system: {place.id}."
            )


def _is_admin(party: Party) -> bool:
    return isinstance(party, Person) and party.is_admin


def _to_group(place: Place, group: Group, role: Role) -> GroupGrant:
    project_id = place.project.id if place.project else None
    return GroupGrant(group_id=group.id, project_id=project_id, cloud_scope=place.scope, role=role)
