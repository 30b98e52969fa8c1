"""Groups in the portal: made, invited into, left, looked after, deleted; and nobody changes those of others."""

from __future__ import annotations

import re

import pytest
from portal_visitor import PASSWORD, Browser

from armillary.accounts.model import Person, Principal, Project
from armillary.accounts.service import AccountsService
from armillary.notices.model import NoticeKind
from armillary.portal.office import Office
from armillary.vospace.model import Change
from armillary.vospace.service import VOSpaceService


@pytest.fixture
def eve(accounts: AccountsService, project: Project) -> Person:
    return accounts.create_person(user_name="eve", password=PASSWORD, full_name="Eve")


def become(browser: Browser, user_name: str) -> Browser:
    browser.post("/sign-out")
    return browser.sign_in(user_name)


def link_in(page: str) -> str:
    found = re.search(r"http://localhost:8080(/join/[\w-]+)", page)
    assert found
    return found[1]


def test_a_group_is_made_and_somebody_comes_in_by_a_link(
    ada: Browser, accounts: AccountsService, eve: Person
) -> None:
    assert "You are in no group." not in ada.get("/groups"), "a project is a group of its people"
    ada.post("/groups", {"name": "radio", "description": "Dishes"})
    link = link_in(ada.post("/groups/radio/invite", {"place": "member", "days": "7", "uses": "1"}))
    assert link not in ada.get("/groups/radio")

    become(ada, "eve").get("/groups/radio", status=403)
    assert "ada invites you into the group radio." in ada.get(link)
    ada.post(link)
    assert "Dishes" in ada.get("/groups/radio")
    assert "radio" in accounts.groups_of(eve.id)
    assert "used up" in ada.get(link, status=404)

    ada.post("/groups/radio/drop", {"user_name": "eve", "place": "member"})
    assert "radio" not in accounts.groups_of(eve.id)


def test_a_stranger_with_a_link_signs_in_first_and_comes_back(
    ada: Browser, accounts: AccountsService
) -> None:
    accounts.open_group("radio", by=accounts.person_named("ada"))
    link = link_in(ada.post("/groups/radio/invite", {"uses": ""}))
    ada.post("/sign-out")
    reply = ada.client.get(link, follow_redirects=False)
    assert reply.headers["location"].startswith("/sign-in?to=%2Fjoin%2F")


def test_people_and_groups_are_put_in_and_told(
    ada: Browser, accounts: AccountsService, office: Office, eve: Person
) -> None:
    ada.post("/groups", {"name": "radio"})
    ada.post("/groups", {"name": "all"})
    ada.post("/groups/radio/put", {"place": "admin", "user_name": "eve"})
    assert [note.kind for note in office.notices.notes(eve.id)] == [NoticeKind.GROUP]
    ada.post("/groups/all/put", {"place": "member", "group": "radio"})
    page = ada.post("/groups/radio/put", {"place": "member", "group": "all"}, status=409)
    assert "radio would be in itself" in page
    assert "There is no such person." in ada.post("/groups/radio/put", {"user_name": "x"}, status=404)
    assert "a group, with all in it" in ada.get("/groups/all")
    become(ada, "eve").post("/groups/radio/describe", {"description": "By an administrator"})
    assert accounts.group_detail("radio", by=eve).description == "By an administrator"


def test_nobody_changes_the_groups_of_others(ada: Browser, accounts: AccountsService, eve: Person) -> None:
    owner = accounts.person_named("ada")
    accounts.open_group("radio", by=owner)
    made, _ = accounts.invite("radio", by=owner)
    browser = become(ada, "eve")
    for act, fields in (
        ("invite", {"uses": "1"}),
        ("put", {"user_name": "eve"}),
        ("put", {"user_name": "who-is-there"}),
        ("put", {"group": "galaxies"}),
        ("drop", {"user_name": "ada", "place": "admin"}),
        ("describe", {"description": "Mine"}),
        ("delete", {"name": "radio"}),
        ("take-back", {"invitation": made.id}),
    ):
        browser.post(f"/groups/radio/{act}", fields, status=403)
    browser.post("/groups/galaxies/delete", {"name": "galaxies"}, status=403)
    assert len(accounts.invitations("radio", by=owner)) == 1


def test_a_group_is_deleted_by_who_types_its_name(ada: Browser, accounts: AccountsService) -> None:
    ada.post("/groups", {"name": "radio"})
    ada.post("/groups/radio/delete", {"name": "rodeo"}, status=400)
    ada.post("/groups/radio/delete", {"name": "radio"})
    page = ada.post("/groups", {"name": "radio"}, status=409)
    assert "names are not given again" in page
    page = ada.post("/groups", {"name": "two words"}, status=400)
    assert "128 letters" in page


def test_what_one_shares_with_a_group_is_on_its_page(
    ada: Browser, accounts: AccountsService, vospace: VOSpaceService
) -> None:
    person = accounts.person_named("ada")
    ada.post("/groups", {"name": "radio"})
    assert "Nothing yet." in ada.get("/groups/radio")
    vospace.ensure_home(person)
    for name, groups in (("dishes", {"radio"}), ("mine", {"radios"})):
        shared = Change(group_read=frozenset(groups))
        vospace.make_container(Principal(person=person), f"/home/ada/{name}", shared)
    page = ada.get("/groups/radio")
    assert "/home/ada/dishes" in page
    assert "/home/ada/mine" not in page
