"""`/api/v1/accounts/groups`: what each kind of caller is answered, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from armillary.accounts.api import Authenticator, install_error_handlers, router
from armillary.accounts.core.group_rules import Place
from armillary.accounts.model import Allocation, Role, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.units import GiB, MiB

BASE = "/api/v1/accounts/groups"
PEOPLE = ("stranger", "member", "helper", "owner", "operator")


class World:
    """One of each kind of person, for all tests of this file; each test has groups of its own."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url, durable=False)
        store = AccountsStore(engine=self.engine)
        store.create_all()
        cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
        self.accounts = AccountsService(
            store=store, clock=VirtualClock(), passwords=cheap, groups_each=10_000
        )
        self.people = {
            name: self.accounts.create_person(user_name=name, is_admin=name == "operator")
            for name in (*PEOPLE, "other")
        }
        figures = Allocation(cores=1, ram=MiB(1), disk=GiB(1), storage=GiB(1), batch_cores=0)
        project = self.accounts.create_project("m51", "", figures)
        self.accounts.set_role(project.id, self.people["owner"].id, Role.ADMIN)
        app = FastAPI()
        authenticator = Authenticator(service=self.accounts)
        app.include_router(router(service=self.accounts, authenticate=authenticator.principal_of))
        install_error_handlers(app)
        self.http = TestClient(app, base_url="http://platform")
        self._numbers = count()

    def groups(self) -> dict[str, str]:
        """Make a group `team`, and around it what the table speaks of; return their names."""
        number = next(self._numbers)
        names = {name: f"{name}-{number}" for name in ("team", "pilots", "spare", "new")}
        owner = self.people["owner"]
        for name in ("team", "pilots", "spare"):
            self.accounts.open_group(names[name], by=owner)
        for name, person in (("team", "member"), ("pilots", "helper")):
            self.accounts.put_into_group(names[name], Place.MEMBER, by=owner, person=self.people[person].id)
        self.accounts.put_into_group(names["team"], Place.ADMIN, by=owner, group=names["pilots"])
        return names

    def ask(
        self, who: str, method: str, path: str, body: Any = None, scopes: frozenset[str] = frozenset()
    ) -> Any:
        """Send a request as one of the people, perhaps with a limited token."""
        issued = self.accounts.issue_token(
            self.people[who].id, kind=TokenKind.API, lifetime=timedelta(hours=1), scopes=scopes
        )
        headers = {"Authorization": f"Bearer {issued.secret}"}
        return self.http.request(method, BASE + path, json=body, headers=headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(f"sqlite:///{tmp_path_factory.mktemp('world')}/accounts.db")
    yield world
    world.http.close()
    world.engine.dispose()


MANAGERS = {"stranger": 403, "member": 403, "helper": 204, "owner": 204, "operator": 204}
TABLE: list[tuple[str, str, Any, dict[str, int]]] = [
    ("GET", "/{team}", None, {"stranger": 403, "member": 200, "helper": 200, "owner": 200, "operator": 200}),
    ("GET", "/m51", None, {"stranger": 403, "member": 403, "helper": 403, "owner": 200, "operator": 200}),
    ("GET", "/nowhere", None, dict.fromkeys(PEOPLE, 404)),
    ("GET", "?all=true", None, {**dict.fromkeys(PEOPLE, 403), "operator": 200}),
    ("POST", "", {"name": "{new}"}, dict.fromkeys(PEOPLE, 201)),
    ("POST", "", {"name": "{team}"}, dict.fromkeys(PEOPLE, 409)),
    ("POST", "", {"name": "m51"}, dict.fromkeys(PEOPLE, 409)),
    ("POST", "", {"name": "a b"}, dict.fromkeys(PEOPLE, 400)),
    ("PATCH", "/{team}", {"description": "x"}, {n: 200 if s == 204 else s for n, s in MANAGERS.items()}),
    ("PUT", "/{team}/members/people/other", None, MANAGERS),
    ("PUT", "/{team}/members/groups/{spare}", None, MANAGERS),
    ("PUT", "/{team}/admins/people/other", None, MANAGERS),
    ("PUT", "/{team}/admins/groups/{spare}", None, MANAGERS),
    ("PUT", "/{team}/members/people/nobody", None, dict.fromkeys(PEOPLE, 404)),
    ("PUT", "/m51/members/people/other", None, dict.fromkeys(PEOPLE, 403)),
    ("PUT", "/{team}/kings/people/other", None, dict.fromkeys(PEOPLE, 400)),
    ("DELETE", "/{team}/members/people/member", None, {**MANAGERS, "member": 204}),
    ("DELETE", "/{team}/admins/groups/{pilots}", None, MANAGERS),
    ("DELETE", "/{team}", None, {**MANAGERS, "helper": 403}),
    ("DELETE", "/m51", None, dict.fromkeys(PEOPLE, 403)),
]


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(("method", "path", "body", "statuses"), TABLE)
def test_each_caller_gets_the_answer_of_the_table(
    world: World, who: str, method: str, path: str, body: Any, statuses: dict[str, int]
) -> None:
    names = world.groups()
    if body:
        body = {field: value.format(**names) for field, value in body.items()}
    reply = world.ask(who, method, path.format(**names), body)
    assert reply.status_code == statuses[who], reply.text


def test_a_limited_token_does_nothing_here(world: World) -> None:
    team = world.groups()["team"]
    limited = frozenset({"vospace:read"})
    for method, path in (("GET", ""), ("DELETE", f"/{team}"), ("POST", "")):
        assert world.ask("owner", method, path, {"name": "n"}, limited).status_code == 403
    assert world.ask("owner", "GET", "", None, frozenset({"accounts"})).status_code == 200


def test_a_group_is_listed_for_each_role_in_it(world: World) -> None:
    names = world.groups()

    def listed(who: str, role: str) -> set[str]:
        found = {group["name"] for group in world.ask(who, "GET", f"?role={role}").json()}
        return found & {*names.values(), "m51"}

    assert listed("member", "member") == {names["team"]}
    assert listed("helper", "admin") == {names["team"]}
    assert listed("owner", "owner") == {names["team"], names["pilots"], names["spare"]}
    assert listed("owner", "member") == {"m51"}
    assert world.ask("owner", "GET", "?role=king").status_code == 400


@pytest.mark.parametrize(("join", "members"), [(True, ["stranger"]), (False, [])])
def test_who_makes_a_group_is_in_it_unless_they_say_no(world: World, join: bool, members: list[str]) -> None:
    body = {"name": world.groups()["new"], "join": join}
    made = world.ask("stranger", "POST", "", body).json()
    assert [one["user_name"] for one in made["members"]] == members
