"""People and projects of the batch tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fastapi import Request

from armillary.accounts.model import Allocation, Membership, Person, Principal, Project, Role
from armillary.base.clock import VirtualClock
from armillary.base.errors import NotFound, Unauthorized
from armillary.base.ids import PersonId, ProjectId
from armillary.base.units import GiB, MiB


class TestPeople:
    """Fixed people and projects, with roles."""

    __test__ = False

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._people: dict[str, Person] = {}
        self._projects: dict[str, Project] = {}
        self._roles: list[tuple[str, str, Role]] = []
        self.tokens: dict[str, str] = {}

    def add_project(self, name: str, *, batch_cores: int = 16) -> Project:
        made = Project(
            id=ProjectId(name.encode().hex().ljust(32, "0")),
            name=name,
            description="",
            allocation=Allocation(
                cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=batch_cores
            ),
            enabled=True,
            created_at=self._clock.now(),
        )
        self._projects[made.id] = made
        return made

    def change_project(self, project: Project, **changes: Any) -> None:
        self._projects[project.id] = replace(project, **changes)

    def add(
        self, name: str, project: Project | None = None, role: Role = Role.MEMBER, admin: bool = False
    ) -> Principal:
        person = Person(
            id=PersonId(name.encode().hex().ljust(32, "0")),
            user_name=name,
            full_name=name.title(),
            email=f"{name}@example.org",
            institute="",
            is_admin=admin,
            enabled=True,
            created_at=self._clock.now(),
        )
        self._people[person.id] = person
        if project:
            self._roles.append((person.id, project.id, role))
        return Principal(person=person)

    def person(self, person_id: PersonId) -> Person:
        if person_id not in self._people:
            raise NotFound("no such person")
        return self._people[person_id]

    def person_named(self, name: str) -> Person:
        for person in self._people.values():
            if person.user_name == name:
                return person
        raise Unauthorized("who are you?")

    def project(self, project_id: ProjectId) -> Project:
        if project_id not in self._projects:
            raise NotFound("no such project", code="project_not_found")
        return self._projects[project_id]

    def projects(self) -> Sequence[Project]:
        return list(self._projects.values())

    def projects_of(self, person_id: PersonId) -> Sequence[Membership]:
        return [
            Membership(person=self._people[person], project=self._projects[project], role=role)
            for person, project, role in self._roles
            if person == person_id
        ]

    def issue_token(self, owner: PersonId, _lifetime: timedelta, label: str) -> tuple[str, str]:
        reference = f"token-{len(self.tokens)}"
        self.tokens[reference] = f"{owner} {label}"
        return f"secret of {reference}", reference

    def revoke_token(self, _owner: PersonId, reference: str) -> None:
        self.tokens.pop(reference, None)  # as the accounts: revoking again is fine

    def principal_of(self, request: Request) -> Principal:
        """Sign in by `Bearer <user name>`."""
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        return Principal(person=self.person_named(name))
