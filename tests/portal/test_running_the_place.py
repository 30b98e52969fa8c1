"""Administrators run the place from the portal: requests with advice, people, projects, clouds, words to all, the trail."""

from __future__ import annotations

import csv
import io
import re

import pytest
from portal_visitor import APPLICATION, Browser

from armillary.accounts.model import ApplicationState, Project
from armillary.accounts.service import AccountsService
from armillary.base.ids import CloudName
from armillary.fleet.fake import FakeCloud
from armillary.notices.model import NoticeKind
from armillary.portal.office import Office


def change(browser: Browser, user_name: str) -> Browser:
    browser.post("/sign-out")
    return browser.sign_in(user_name)


def test_more_is_asked_for_on_the_bar_and_granted_with_a_click(
    ada: Browser, project: Project, accounts: AccountsService, office: Office
) -> None:
    page = ada.get("/")
    assert 'href="/applications/more?figure=cores&amp;project=galaxies"' in page
    form = ada.get("/applications/more?figure=cores&project=galaxies")
    fields = dict(re.findall(r'<input id="\w+" name="(\w+)" type="number" value="(\d+)"', form))
    assert (fields["cores"], fields["ram"], fields["disk"]) == ("8", "16", "50")
    ada.post("/applications/more?project=galaxies", {**fields, "reason": "A larger survey."})
    assert "waiting for approval" in ada.get("/applications")
    [waiting] = accounts.applications(ApplicationState.WAITING)

    admin = change(ada, "admin")
    page = admin.get("/admin")
    assert "A larger survey." in page
    assert "not half of what it has is used" in page
    given = dict(re.findall(r'name="(\w+)" type="number" min="0" required value="(\d+)"', page))
    assert given["cores"] == "4"
    admin.post(f"/admin/applications/{waiting.id}/approve", {**given, "cores": "8"})

    assert accounts.project(project.id).allocation.cores == 8
    [note] = office.notices.notes(accounts.person_named("ada").id)
    assert (note.kind, note.facts["project"]) == (NoticeKind.APPROVED, "galaxies")


def test_a_wrong_request_for_more_keeps_what_was_typed(ada: Browser) -> None:
    page = ada.post("/applications/more", {**APPLICATION, "cores": "many"}, status=400)
    assert 'value="many"' in page
    assert "This must be a whole number." in page


def test_people_come_in_pages_and_are_found_whatever_the_case(
    admin: Browser, accounts: AccountsService
) -> None:
    for number in range(98):
        accounts.create_person(user_name=f"p{number:03}", full_name=f"Élodie 100% {number}")
    everybody = len(accounts.people())
    first = admin.get("/admin/people")
    assert f"{everybody} in all" in first
    assert first.count("<tr><td>") == 50
    assert "page=2" in first
    assert "page=2" not in admin.get(f"/admin/people?page={10**30}")
    assert "98 in all" in admin.get("/admin/people?q=%C3%A9lodie")
    assert "98 in all" in admin.get("/admin/people?q=100%25")
    assert "p001" not in admin.get("/admin/people?q=1_0")


def test_people_are_found_switched_off_and_made_administrators(
    admin: Browser, accounts: AccountsService
) -> None:
    assert "ada@example.org" in admin.get("/admin/people?q=LOVE")
    assert "ada@example.org" not in admin.get("/admin/people?q=nobody")
    admin.post("/admin/people/ada/promote")
    assert accounts.person_named("ada").is_admin
    admin.post("/admin/people/ada/demote")
    admin.post("/admin/people/ada/disable")
    assert not accounts.person_named("ada").enabled
    admin.post("/admin/people/ada/enable")
    page = admin.post("/admin/people/admin/demote", status=409)
    assert "This is the only administrator of the platform." in page
    admin.post("/admin/people/nobody/disable", status=404)
    admin.post("/admin/people/ada/behead", status=404)


def test_a_link_for_a_new_password_is_shown_once_and_works(admin: Browser, accounts: AccountsService) -> None:
    page = admin.post("/admin/reset-link", {"user_name": "ada"})
    link = re.search(r"http://localhost:8080(/reset/[\w-]+)", page)
    assert link
    assert link[0] not in admin.get("/admin/people")
    admin.post("/sign-out")
    assert "password" in admin.get(link[1])


def test_an_allocation_is_changed_after_its_approval(
    admin: Browser, accounts: AccountsService, project: Project
) -> None:
    admin.post("/admin/projects/galaxies/allocation", {**APPLICATION, "cores": "12"})
    assert accounts.project(project.id).allocation.cores == 12
    admin.post("/admin/projects/galaxies/allocation", {**APPLICATION, "cores": "0"}, status=400)
    admin.post("/admin/projects/galaxies/disable")
    assert not accounts.project(project.id).enabled
    assert "disabled" in admin.get("/admin/projects?q=gal")
    admin.post("/admin/projects/galaxies/enable")


def test_a_cloud_is_drained_and_used_again(admin: Browser, office: Office, clouds: list[FakeCloud]) -> None:
    clouds[1].silent = True
    page = admin.get("/admin/clouds")
    assert "0 machines" in page
    assert "does not answer" in page
    admin.post("/admin/clouds/east/drain", {"reason": "new <disks>"})
    assert office.draining.drained()[CloudName("east")].by == "admin"
    assert "new &lt;disks&gt;" in admin.get("/admin/clouds")
    admin.post("/admin/clouds/east/resume")
    assert office.draining.drained() == {}
    admin.post("/admin/clouds/north/drain", status=404)


def test_an_announcement_is_made_told_and_ended(
    admin: Browser, office: Office, accounts: AccountsService
) -> None:
    said = {"en": "Off at six.", "fr": "Fermé à six heures.", "level": "outage", "notify": "1"}
    when = {"since": "2026-01-01T00:00", "until": "2126-01-01T00:00"}
    assert "There is no such" not in admin.post("/admin/announcements", {**said, **when})
    assert "Off at six." in admin.get("/machines")
    [note] = office.notices.notes(accounts.person_named("ada").id)
    assert note.kind is NoticeKind.ANNOUNCEMENT
    page = admin.post("/admin/announcements", {**said, **when, "until": "soon"}, status=400)
    assert "This is no moment." in page
    [made] = office.announcements.all()
    admin.post(f"/admin/announcements/{made.id}/end")
    assert "Off at six." not in admin.get("/machines")


def test_the_trail_is_searched_paged_and_downloaded(admin: Browser, office: Office) -> None:
    for number in range(130):
        office.trail.note(who="ada", act="POST", target=f"/x/{number}", origin="192.0.2.1", status=303)
    office.trail.note(who="=cmd()", act="POST", target="/admin", origin="192.0.2.2", status=403)
    page = admin.get("/admin/trail")
    assert "/x/129" in page
    assert "/x/5<" not in page
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older
    assert "/x/5<" in admin.get(older[1].replace("&amp;", "&"))
    found = admin.get("/admin/trail?result=refused&who=%3Dcmd()")
    assert "192.0.2.2" in found
    assert "/x/" not in found
    for nonsense in ("since=yesterday", "until=9999-12-31", f"before={10**30}"):
        admin.get(f"/admin/trail?{nonsense}", status=400)
    rows = list(csv.reader(io.StringIO(admin.get("/admin/trail.csv"))))
    assert rows[0] == ["at", "who", "act", "target", "origin", "status", "said"]
    assert rows[1][1:] == ["'=cmd()", "POST", "/admin", "192.0.2.2", "403", ""]
    assert len(rows) == 132


def test_use_is_summed_by_what_is_asked_for(admin: Browser) -> None:
    assert "Nothing was used." in admin.get("/admin/usage?by=project&by=cloud&since=2026-01-01")
    rows = list(csv.reader(io.StringIO(admin.get("/admin/usage.csv?by=owner&by=day"))))
    assert rows == [
        [
            "day",
            "owner",
            "jobs",
            "failed",
            "attempts",
            "core_hours",
            "cpu_hours",
            "memory_gib_hours",
            "wait_seconds",
        ]
    ]


@pytest.mark.parametrize(
    "path", ["/admin/clouds", "/admin/people", "/admin/announcements", "/admin/trail.csv"]
)
def test_strangers_are_asked_who_they_are(stranger: Browser, project: Project, path: str) -> None:
    reply = stranger.client.get(path, follow_redirects=False)
    assert reply.headers["location"].startswith("/sign-in")
