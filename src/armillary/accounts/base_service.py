"""What the parts of the accounts service share: the store, the clock, and how to find things."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.exc import OperationalError

from armillary.accounts.core.addresses import AddressPolicy
from armillary.accounts.core.lockout import LockoutPolicy
from armillary.accounts.group_names import is_name_of_a_group
from armillary.accounts.model import Application, Person, Project
from armillary.accounts.passwords import Passwords
from armillary.accounts.store import AccountsStore, Records
from armillary.accounts.turnstile import Attempt, Turnstile
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, NotFound, OutOfSpace, Unavailable
from armillary.base.ids import ApplicationId, PersonId, ProjectId

UNWRITABLE = (OutOfSpace, Unavailable, OperationalError)
"""What a write meets on a disk that is full, busy or read-only. Signing in goes on: people come to delete things."""


class ServiceBase:
    """Holds the store, the clock, the password hasher and the limits for the parts of the service.

    `groups_each` is how many groups one person may own; `addresses` bounds what is tried from one network address.
    """

    def __init__(
        self,
        *,
        store: AccountsStore,
        clock: Clock,
        passwords: Passwords | None = None,
        lockout: LockoutPolicy | None = None,
        groups_each: int = 100,
        addresses: Mapping[Attempt, AddressPolicy] | None = None,
    ) -> None:
        self._groups_each = groups_each
        self._store = store
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._lockout = lockout or LockoutPolicy()
        self._turnstile = Turnstile(clock=clock, policies=addresses or {}, forget_after=self._lockout.memory)


def storable(text: str) -> bool:
    """Whether a database can be asked for this text at all: no half surrogate, no NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def need_person(records: Records, person_id: PersonId) -> Person:
    """Return the person, or raise NotFound."""
    person = records.people.by_id(person_id) if storable(person_id) else None
    if person is None:
        raise NotFound("There is no such person.", code="person_not_found", facts={"person": person_id})
    return person


def need_project(records: Records, project_id: ProjectId) -> Project:
    """Return the project, or raise NotFound."""
    project = records.projects.by_id(project_id) if storable(project_id) else None
    if project is None:
        raise NotFound("There is no such project.", code="project_not_found", facts={"project": project_id})
    return project


def need_application(records: Records, application_id: ApplicationId) -> Application:
    """Return the application, or raise NotFound."""
    found = records.applications.by_id(application_id) if storable(application_id) else None
    if found is None:
        raise NotFound(
            "There is no such application.",
            code="application_not_found",
            facts={"application": application_id},
        )
    return found


def need_free_project_name(records: Records, name: str, *, waiting_too: bool = True) -> None:
    """Raise Conflict if a project or a group has the name, or an application for it waits."""
    taken = records.projects.by_name(name) is not None or is_name_of_a_group(records, name)
    if taken or (waiting_too and records.applications.name_is_waiting(name)):
        raise Conflict(
            f"The project name {name!r} is taken.",
            code="project_name_taken",
            facts={"field": "project_name", "project_name": name},
            remedy="Choose another name, or ask an administrator of that project to add you.",
        )


def need_free_user_name(records: Records, user_name: str) -> None:
    """Raise Conflict if somebody has the name."""
    if records.people.by_name(user_name) is not None:
        raise Conflict(
            f"The user name {user_name!r} is taken.",
            code="user_name_taken",
            facts={"field": "user_name", "user_name": user_name},
            remedy="Choose another user name, or sign in if it is yours.",
        )
