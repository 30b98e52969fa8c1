"""Nodes that are shared with groups: who leaves a group, or the group a group, loses access with the next request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from armillary.accounts.api import Authenticator
from armillary.accounts.core.group_rules import Place
from armillary.accounts.model import Person, Principal, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import Forbidden, Invalid
from armillary.base.units import GiB
from armillary.vospace.api import Settings, router
from armillary.vospace.build import build_jobs
from armillary.vospace.bytes import MemoryBytes
from armillary.vospace.model import Change
from armillary.vospace.service import VOSpaceService
from armillary.vospace.store import SqlJobRecords, SqlRecords, create_all

VOS = "http://www.ivoa.net/xml/VOSpace/v2.0"
CORE = "ivo://ivoa.net/vospace/core#"


class World:
    """Accounts and a space on one database: ada owns a file and a group, bob is in the group's inner group."""

    def __init__(self, root: Path) -> None:
        self.engine = make_engine(f"sqlite:///{root}/platform.db", durable=False)
        clock = VirtualClock()
        store = AccountsStore(engine=self.engine)
        store.create_all()
        create_all(self.engine)
        cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
        self.accounts = AccountsService(store=store, clock=clock, passwords=cheap)
        settings = Settings(authority="observatory.example")
        self.space = VOSpaceService(
            records=SqlRecords(self.engine),
            bytes_=MemoryBytes(),
            clock=clock,
            authorities=settings.authorities,
            groups=self.accounts.groups_of,
            quota=lambda person_id: GiB(1),
            known_groups=self.accounts.known_groups,
        )
        self.jobs = build_jobs(records=SqlJobRecords(self.engine), space=self.space)
        self.app = FastAPI()
        self.app.include_router(
            router(
                service=self.space,
                jobs=self.jobs,
                authenticator=Authenticator(service=self.accounts),
                settings=settings,
            )
        )
        self.ada, self.bob = (self.accounts.create_person(user_name=name) for name in ("ada", "bob"))
        for person in (self.ada, self.bob):
            self.space.ensure_home(person)
        for name in ("outer", "inner"):
            self.accounts.open_group(name, by=self.ada)
        self.accounts.put_into_group("outer", Place.MEMBER, by=self.ada, group="inner")
        self.accounts.put_into_group("inner", Place.MEMBER, by=self.ada, person=self.bob.id)
        who = self.accounts.principal(self.ada.id)
        self.space.put_bytes(who, "/home/ada/x.fits", [b"0123456789"])
        self.share("outer")

    def share(self, *names: str, writing: bool = False) -> None:
        """Share ada's file."""
        groups = frozenset(names)
        change = Change(group_write=groups) if writing else Change(group_read=groups)
        self.space.set_properties(self.accounts.principal(self.ada.id), "/home/ada/x.fits", change)

    def client(self, person: Person) -> TestClient:
        """A client with a token of somebody."""
        issued = self.accounts.issue_token(person.id, kind=TokenKind.API, lifetime=timedelta(hours=1))
        headers = {"Authorization": f"Bearer {issued.secret}"}
        return TestClient(self.app, base_url="https://space", headers=headers, follow_redirects=False)

    def close(self) -> None:
        """Give back threads and connections."""
        self.jobs.close()
        self.space.adding_up.shutdown()
        self.engine.dispose()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def leave_the_inner_group(world: World) -> None:
    world.accounts.take_out_of_group("inner", Place.MEMBER, by=world.bob, person=world.bob.id)


def take_the_inner_group_out(world: World) -> None:
    world.accounts.take_out_of_group("outer", Place.MEMBER, by=world.ada, group="inner")


def delete_the_inner_group(world: World) -> None:
    world.accounts.close_group("inner", by=world.ada)


def delete_the_outer_group(world: World) -> None:
    world.accounts.close_group("outer", by=world.ada)


WAYS_OUT = [leave_the_inner_group, take_the_inner_group_out, delete_the_inner_group, delete_the_outer_group]


@pytest.mark.parametrize("leave", WAYS_OUT)
def test_who_is_out_is_refused_at_the_next_request(world: World, leave: Callable[[World], None]) -> None:
    with world.client(world.bob) as bob:
        assert bob.get("/arc/files/home/ada/x.fits").content == b"0123456789"
        address = bob.get("/vault/files/home/ada/x.fits").headers["location"]
        first = bob.get(address, headers={"Range": "bytes=0-4", "Authorization": ""})
        assert (first.status_code, first.content) == (206, b"01234")
        leave(world)
        assert bob.get("/arc/files/home/ada/x.fits").status_code == 403
        assert bob.get("/vault/nodes/home/ada/x.fits").status_code == 403
        rest = bob.get(address, headers={"Range": "bytes=5-", "Authorization": ""})
        assert rest.status_code == 403


def test_group_write_ends_with_membership_too(world: World) -> None:
    world.share("outer", writing=True)
    with world.client(world.bob) as bob:
        assert bob.put("/arc/files/home/ada/x.fits", content=b"bob's").status_code in {200, 201}
        leave_the_inner_group(world)
        assert bob.put("/arc/files/home/ada/x.fits", content=b"again").status_code == 403


def posted(world: World, value: str) -> tuple[int, str]:
    document = (
        f'<node xmlns="{VOS}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:type="DataNode" uri="vos://observatory.example!vault/home/ada/x.fits"><properties>'
        f'<property uri="{CORE}groupread">{value}</property></properties></node>'
    )
    with world.client(world.ada) as ada:
        reply = ada.post("/vault/nodes/home/ada/x.fits", content=document)
    return reply.status_code, reply.text


@pytest.mark.parametrize(
    "service",
    [
        "ivo://cadc.nrc.ca/gms?",
        "ivo://opencadc.org/gms?",
        "ivo://observatory.example/gms?",
        "ivo://observatory.example/ac?",
        "",
    ],
)
def test_a_group_is_ours_under_each_of_our_names(world: World, service: str) -> None:
    assert posted(world, f"{service}inner")[0] == 200
    node = world.space.node(world.accounts.principal(world.ada.id), "/home/ada/x.fits")
    assert node.sharing.group_read == {"inner"}


@pytest.mark.parametrize(
    "value", ["ivo://elsewhere.example/gms?inner", "innner", "ivo://cadc.nrc.ca/gms?nowhere"]
)
def test_sharing_with_a_group_that_is_none_is_refused_and_changes_nothing(world: World, value: str) -> None:
    status, text = posted(world, value)
    assert status == 400
    assert "group" in text
    node = world.space.node(world.accounts.principal(world.ada.id), "/home/ada/x.fits")
    assert node.sharing.group_read == {"outer"}


def test_a_deleted_group_may_stay_on_a_node_that_is_shared_with_one_more(world: World) -> None:
    delete_the_outer_group(world)
    assert posted(world, "ivo://cadc.nrc.ca/gms?outer ivo://cadc.nrc.ca/gms?inner")[0] == 200


def test_new_nodes_and_whole_trees_are_shared_with_known_groups_alone(world: World) -> None:
    ada = world.accounts.principal(world.ada.id)
    unknown = Change(group_read=frozenset({"nowhere"}))
    with pytest.raises(Invalid):
        world.space.make_container(ada, "/home/ada/new", unknown)
    world.space.make_container(ada, "/home/ada/new", Change(group_read=frozenset({"inner"})))
    with pytest.raises(Forbidden):
        world.space.put_bytes(world.accounts.principal(world.bob.id), "/home/ada/new/y", [b"y"])


def test_a_group_finds_what_was_shared_with_it(
    space: VOSpaceService, ada: Principal, bob: Principal, eve: Principal
) -> None:
    for who in (ada, bob):
        space.ensure_home(who.person)
    space.make_container(ada, "/home/ada/team", Change(group_write=frozenset({"m51"})))
    space.make_container(ada, "/home/ada/team/below")
    space.put_bytes(ada, "/home/ada/a", [b"1"])
    space.set_properties(ada, "/home/ada/a", Change(group_read=frozenset({"m51"})))
    assert [str(node.path) for node in space.offered(bob).nodes] == ["/home/ada/a", "/home/ada/team"]
    assert list(space.offered(eve).nodes) == []
    assert list(space.offered(ada).nodes) == []
    assert list(space.offered(None).nodes) == []
    space.move(ada, "/home/ada/a", "/home/ada/b")
    space.set_properties(ada, "/home/ada/team", Change(group_write=frozenset()))
    assert [str(node.path) for node in space.offered(bob).nodes] == ["/home/ada/b"]
    space.delete(ada, "/home/ada/b")
    assert list(space.offered(bob).nodes) == []
