"""What all routes of Identity share, and the reading of their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, cast

from fastapi import Body

from armillary.accounts.model import Allocation, Group, Person, Principal, Project
from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.base.errors import NotFound
from armillary.base.ids import PersonId, ProjectId
from armillary.cloud.api.identity.catalog import Catalog
from armillary.cloud.api.identity.faults import Missing, denied

JSONObject = Annotated[dict[str, Any], Body()]
DOMAIN = {"id": "default", "name": "Default"}


@dataclass(frozen=True, kw_only=True)
class Room:
    """The things that the routes work with; `signed_in` is FastAPI's mark of the dependency on a token."""

    accounts: AccountsService
    catalog: Catalog
    clock: Clock
    lifetime: timedelta
    allocation: Allocation
    signed_in: Any

    @property
    def url(self) -> str:
        """The base of all links, ending in `/v3`."""
        return self.catalog.identity_url

    def listing(self, name: str, items: list[dict[str, Any]], path: str | None = None) -> dict[str, Any]:
        """Return a collection as Keystone shows it: unpaged, with a link to itself."""
        links = {"self": f"{self.url}/{path or name}", "previous": None, "next": None}
        return {name: items, "links": links}

    def person(self, person_id: str) -> Person:
        """Return a user, or raise NotFound in Keystone's words."""
        try:
            return self.accounts.person(PersonId(person_id))
        except NotFound as error:
            raise NotFound(f"Could not find user: {person_id}.") from error

    def project(self, project_id: str) -> Project:
        """Return a project, or raise NotFound in Keystone's words."""
        try:
            return self.accounts.project(ProjectId(project_id))
        except NotFound as error:
            raise NotFound(f"Could not find project: {project_id}.") from error

    def group(self, group_id: str) -> Group:
        """Return a group, or raise NotFound in Keystone's words."""
        try:
            return self.accounts.group(group_id)
        except NotFound as error:
            raise NotFound(f"Could not find group: {group_id}.") from error

    def need_domain(self, domain_id: str | None) -> None:
        """Refuse every domain but ours; None means ours."""
        if domain_id not in (None, DOMAIN["id"]):
            raise NotFound(f"Could not find domain: {domain_id}.")

    def need_self(self, who: Principal, user_id: str, action: str) -> Person:
        """Return the user if it is the caller; administrators may name anybody."""
        if who.person.id == user_id:
            return who.person
        if not who.is_cloud_admin:
            raise denied(action)
        return self.person(user_id)


def need_object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the object under `name`, or refuse as Keystone's schema does."""
    if name not in body:
        raise Missing(name)
    value = body[name]
    if not isinstance(value, dict):
        raise Missing(name, "is not of type 'object'")
    return cast("dict[str, Any]", value)


def need_text(body: Mapping[str, Any], name: str) -> str:
    """Return the text under `name`, or refuse."""
    if name not in body:
        raise Missing(name)
    value = body[name]
    if not isinstance(value, str):
        raise Missing(name, "is not of type 'string'")
    return value


def some_text(body: Mapping[str, Any], name: str) -> str | None:
    """Return the text under `name`, or None if it is absent or null."""
    return None if body.get(name) is None else need_text(body, name)


def some_flag(body: Mapping[str, Any], name: str) -> bool | None:
    """Return the boolean under `name`, or None if it is absent or null."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Missing(name, "is not of type 'boolean'")
    return value


def extras_of(wish: Mapping[str, Any], known: frozenset[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Keystone keeps beside the attributes that it knows: what was there, as a body changes it."""
    merged = {**before, **{name: value for name, value in wish.items() if name not in known}}
    return {name: value for name, value in merged.items() if value is not None}


def in_default_domain(body: Mapping[str, Any]) -> bool:
    """Whether an object names our only domain, by id or name, or in a reference to it."""
    if body.get("id") is not None:
        return body["id"] == DOMAIN["id"]
    name = body.get("name")
    return isinstance(name, str) and name.casefold() == DOMAIN["name"].casefold()


def wanted_flag(text: str | None) -> bool | None:
    """Read a boolean of a query the way Keystone does: everything but 0 and false is true."""
    return None if text is None else text.casefold() not in {"0", "false", "no", "off"}
