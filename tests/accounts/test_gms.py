"""The Group Membership Service 1.0, and the requests of `cadc-groups`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from armillary.accounts.api import Authenticator, people_services
from armillary.accounts.certificates import Authority
from armillary.accounts.core.group_rules import Place
from armillary.accounts.model import Person, Project, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock

Client = Callable[..., TestClient]


@pytest.fixture
def client(accounts: AccountsService, clock: VirtualClock, tmp_path: Path) -> Iterator[Client]:
    """Makes the client of a person, whose credential may be limited to scopes; None is a stranger's."""
    authority = Authority(tmp_path / "ca", clock)
    app = FastAPI()
    authenticator = Authenticator(service=accounts, certificates=authority)
    app.include_router(
        people_services(
            service=accounts, authenticator=authenticator, issuer=authority, authority="observatory.example"
        )
    )
    made: list[TestClient] = []

    def make(person: Person | None = None, *scopes: str) -> TestClient:
        from datetime import timedelta

        headers = {}
        if person is not None:
            issued = accounts.issue_token(
                person.id, kind=TokenKind.API, lifetime=timedelta(hours=1), scopes=frozenset(scopes)
            )
            headers["Authorization"] = f"Bearer {issued.secret}"
        made.append(TestClient(app, base_url="https://platform", headers=headers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ada(a_member: Callable[..., tuple[Person, Project]]) -> Person:
    return a_member("ada", "m51")[0]


@pytest.fixture
def bob(accounts: AccountsService) -> Person:
    return accounts.create_person(user_name="bob")


def document(name: str, inside: str = "", prefix: str = "ivo://cadc.nrc.ca/gms?") -> bytes:
    return f'<group uri="{prefix}{name}">{inside}</group>'.encode()


def user(name: str, kind: str = "HTTP") -> str:
    return f'<user><identities><identity type="{kind}">{name}</identity></identities></user>'


def test_search_names_the_groups_of_who_asks_a_line_each(
    client: Client, accounts: AccountsService, ada: Person
) -> None:
    accounts.open_group("spirals", by=ada)
    accounts.put_into_group("spirals", Place.MEMBER, by=ada, person=ada.id)
    reply = client(ada).get("/gms/search")
    assert (reply.status_code, reply.text) == (200, "m51\r\nspirals\r\n")
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("group=m51", "m51\r\n"),
        ("group=m51&group=nowhere&group=ivo://cadc.nrc.ca/gms?m51", "m51\r\n"),
        ("group=ivo://observatory.example/gms?m51", "m51\r\n"),
        ("group=ivo://elsewhere.example/gms?m51", ""),
        ("group=nowhere", ""),
        ("group=", ""),
    ],
)
def test_search_looks_only_among_the_groups_asked_for(
    client: Client, ada: Person, asked: str, answer: str
) -> None:
    reply = client(ada).get(f"/gms/search?{asked}")
    assert (reply.status_code, reply.text) == (200, answer)


def test_strangers_are_asked_who_they_are(client: Client) -> None:
    for method, path in [("GET", "search"), ("GET", "groups/m51"), ("PUT", "groups"), ("GET", "whoami")]:
        reply = client().request(method, f"/gms/{path}")
        assert reply.status_code == 401
        assert "Basic" in reply.headers["www-authenticate"]


def test_a_credential_for_vospace_searches_but_changes_nothing(client: Client, ada: Person) -> None:
    limited = client(ada, "vospace:read")
    assert limited.get("/gms/search").text == "m51\r\n"
    assert limited.put("/gms/groups", content=document("x")).status_code == 403
    assert limited.get("/ac/groups/m51").status_code == 403


def test_a_group_is_made_shown_and_deleted(client: Client, ada: Person) -> None:
    http = client(ada)
    made = http.put("/ac/groups", content=document("spirals", "<description>Spirals</description>"))
    assert made.status_code == 201
    shown = http.get("/ac/groups/spirals")
    root = ET.fromstring(shown.content)
    assert root.get("uri") == "ivo://cadc.nrc.ca/gms?spirals"
    assert root.findtext("description") == "Spirals"
    owner = {i.get("type"): i.text for i in root.iterfind("owner/user/identities/identity")}
    assert owner == {"X500": "CN=ada", "HTTP": "ada"}
    assert http.delete("/ac/groups/spirals").status_code == 200
    assert http.get("/ac/groups/spirals").status_code == 404
    assert http.put("/ac/groups", content=document("spirals")).status_code == 409


def test_roles_are_searched_as_documents(client: Client, accounts: AccountsService, ada: Person) -> None:
    accounts.open_group("spirals", by=ada)

    def uris(query: str) -> list[str | None]:
        root = ET.fromstring(client(ada).get(f"/ac/search?{query}").content)
        return [group.get("uri") for group in root.iterfind("group")]

    assert uris("role=owner") == ["ivo://cadc.nrc.ca/gms?spirals"]
    assert uris("ROLE=member") == ["ivo://cadc.nrc.ca/gms?m51"]
    assert uris("role=admin&groupID=spirals") == ["ivo://cadc.nrc.ca/gms?spirals"]
    assert uris("role=member&groupID=nowhere") == []
    assert client(ada).get("/ac/search?role=king").status_code == 400


@pytest.mark.parametrize(("kind", "name"), [("HTTP", "bob"), ("X500", "cn=bob"), ("X500", "CN=bob")])
def test_people_are_put_in_by_either_of_their_names(
    client: Client, accounts: AccountsService, ada: Person, bob: Person, kind: str, name: str
) -> None:
    accounts.open_group("spirals", by=ada)
    http = client(ada)
    path = f"/ac/groups/spirals/userMembers/{name}?idType={kind}&userID={name}&groupID=spirals"
    assert http.put(path).status_code == 200
    assert accounts.groups_of(bob.id) == {"spirals"}
    assert http.delete(path).status_code == 200
    assert accounts.groups_of(bob.id) == frozenset()
    assert http.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("kind", "name", "status"),
    [("HTTP", "nobody", 404), ("X500", "CN=ada,OU=elsewhere", 404), ("POSIX", "1000", 400)],
)
def test_people_who_are_not_here_are_not_put_in(
    client: Client, accounts: AccountsService, ada: Person, kind: str, name: str, status: int
) -> None:
    accounts.open_group("spirals", by=ada)
    reply = client(ada).put(f"/ac/groups/spirals/userMembers/{name}", params={"idType": kind})
    assert reply.status_code == status


def test_a_group_is_taken_out_though_the_client_swaps_the_path(
    client: Client, accounts: AccountsService, ada: Person
) -> None:
    for name in ("outer", "inner"):
        accounts.open_group(name, by=ada)
    http = client(ada)
    query = "groupID=outer&groupID2=inner"
    assert http.put(f"/ac/groups/outer/groupMembers/inner?{query}").status_code == 200
    assert http.put("/ac/groups/inner/groupMembers/outer").status_code == 409
    assert http.delete(f"/ac/groups/inner/groupMembers/outer?{query}").status_code == 200
    assert accounts.group_detail("outer", by=ada).member_groups == ()


def test_a_posted_group_replaces_everything(
    client: Client, accounts: AccountsService, ada: Person, bob: Person
) -> None:
    accounts.open_group("pilots", by=ada)
    accounts.open_group("spirals", by=ada, description="old")
    http = client(ada)
    inside = (
        "<description>new</description>"
        f"<userMembers>{user('bob')}</userMembers><userAdmins>{user('CN=bob', 'X500')}</userAdmins>"
        '<groupMembers><group uri="ivo://cadc.nrc.ca/gms?pilots"/></groupMembers>'
        '<groupAdmins><group uri="ivo://observatory.example/gms?m51"/></groupAdmins>'
    )
    assert http.post("/ac/groups/spirals", content=document("spirals", inside)).status_code == 200
    detail = accounts.group_detail("spirals", by=ada)
    assert (detail.description, detail.members, detail.admins) == ("new", (bob,), (bob,))
    assert (detail.member_groups, detail.admin_groups) == (("pilots",), ("m51",))
    assert http.post("/ac/groups/spirals", content=document("spirals")).status_code == 200
    detail = accounts.group_detail("spirals", by=ada)
    assert (detail.description, detail.members, detail.member_groups, detail.admins) == ("", (), (), ())
    assert http.post("/ac/groups/spirals", content=document("pilots")).status_code == 400


BOMB = b'<!DOCTYPE g [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><group uri="ivo://cadc.nrc.ca/gms?x">&b;</group>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<group",
        b"<groups/>",
        b"<group/>",
        document("a b"),
        document("x", prefix="ivo://elsewhere.example/gms?"),
        document("x", f"<userMembers>{user('1000', 'POSIX')}</userMembers>"),
        document("x", "<userMembers><user/></userMembers>"),
        document("x", "<description>" + "d" * 2001 + "</description>"),
        BOMB,
        b'<!DOCTYPE g SYSTEM "file:///etc/passwd"><group uri="ivo://cadc.nrc.ca/gms?x"/>',
    ],
)
def test_documents_that_are_no_groups_make_none(
    client: Client, accounts: AccountsService, ada: Person, body: bytes
) -> None:
    assert client(ada).put("/ac/groups", content=body).status_code == 400
    assert accounts.groups_in_role(ada, "owner") == []


def test_a_document_over_a_mebibyte_is_refused(client: Client, ada: Person) -> None:
    big = document("x", " " * (1 << 20))
    assert client(ada).put("/ac/groups", content=big).status_code == 413


def test_others_do_not_see_who_is_in_a_group(
    client: Client, accounts: AccountsService, ada: Person, bob: Person, admin: Person
) -> None:
    accounts.open_group("spirals", by=ada)
    assert client(bob).get("/ac/groups/spirals").status_code == 403
    assert client(admin).get("/ac/groups/spirals").status_code == 200
    assert client(bob).get("/ac/groups").text == ""
    assert client(admin).get("/ac/groups").text == "admin\r\nm51\r\nspirals\r\n"


def test_groups_of_keystone_belong_to_the_platform(
    client: Client, accounts: AccountsService, ada: Person, admin: Person
) -> None:
    group = accounts.create_group("astronomers")
    accounts.add_to_group(group.id, ada.id)
    accounts.create_group("a name with spaces")
    assert client(ada).get("/gms/search").text == "astronomers\r\nm51\r\n"
    root = ET.fromstring(client(ada).get("/ac/groups/astronomers").content)
    assert root.findtext("owner/user/identities/identity") == "CN=armillary"
    assert client(ada).delete("/ac/groups/astronomers").status_code == 403
