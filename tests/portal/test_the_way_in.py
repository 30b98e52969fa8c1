from __future__ import annotations

import pytest
from portal_visitor import APPLICATION, PASSWORD, REGISTRATION, Browser

from armillary.accounts.model import ApplicationState, Project
from armillary.accounts.service import AccountsService


def test_registering_shows_the_dated_state_of_the_request(stranger: Browser) -> None:
    page = stranger.post("/register", REGISTRATION)
    assert "waiting for approval" in page
    assert "To count galaxies." in page
    assert '<time datetime="20' in page


def test_a_wrong_registration_keeps_what_was_typed_and_marks_the_field(stranger: Browser) -> None:
    page = stranger.post("/register", {**REGISTRATION, "user_name": "Ada L", "cores": "four"}, status=400)
    assert 'value="Ada L"' in page
    assert PASSWORD not in page
    page = stranger.post("/register", {**REGISTRATION, "user_name": "Ada L"}, status=400)
    assert "starts with a letter" in page


def test_two_different_passwords_are_refused(stranger: Browser) -> None:
    page = stranger.post("/register", {**REGISTRATION, "password_again": "another password"}, status=400)
    assert "The passwords are not the same." in page


def test_a_wrong_password_is_refused_in_the_visitors_language(stranger: Browser, project: Project) -> None:
    stranger.language = "fr-CA,fr;q=0.9"
    page = stranger.post("/sign-in", {"user_name": "ada", "password": "wrong password"}, status=401)
    assert "mot de passe" in page
    assert "wrong" not in page.split("<main")[1].split("<form")[0]


def test_pages_send_strangers_to_the_form_and_back(stranger: Browser, project: Project) -> None:
    reply = stranger.client.get("/machines", follow_redirects=False)
    assert reply.headers["location"] == "/sign-in?to=%2Fmachines"
    page = stranger.post("/sign-in", {"user_name": "ada", "password": PASSWORD, "to": "/machines"})
    assert "<h1>Machines</h1>" in page


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_signing_in_never_leads_to_another_site(stranger: Browser, project: Project, target: str) -> None:
    data = {"csrf": stranger.token(), "user_name": "ada", "password": PASSWORD, "to": target}
    reply = stranger.client.post("/sign-in", data=data, follow_redirects=False)
    assert reply.headers["location"] == "/"


def test_signing_out_ends_the_session(ada: Browser) -> None:
    secret = ada.client.cookies["armillary_session"]
    ada.post("/sign-out")
    ada.client.cookies.set("armillary_session", secret)
    reply = ada.client.get("/machines", follow_redirects=False)
    assert reply.status_code == 303


def test_an_administrator_approves_with_changed_figures(
    ada: Browser, admin: Browser, accounts: AccountsService
) -> None:
    admin.post("/sign-out")
    admin.sign_in("ada").post("/applications", {**APPLICATION, "project_name": "stars"})
    admin.post("/sign-out")
    admin.sign_in("admin")
    [waiting] = accounts.applications(ApplicationState.WAITING)
    assert "stars" in admin.get("/admin")

    admin.post(f"/admin/applications/{waiting.id}/approve", {**APPLICATION, "cores": "2"})

    assert accounts.project_named("stars").allocation.cores == 2
    assert "approved" in admin.get("/admin")


def test_an_administrator_declines_with_a_reason_that_the_applicant_reads(
    admin: Browser, accounts: AccountsService
) -> None:
    ada = accounts.person_named("ada")
    requested = accounts.project_named("galaxies").allocation
    application = accounts.request_project(ada.id, project_name="stars", requested=requested, reason="Stars.")

    admin.post(f"/admin/applications/{application.id}/decline", {"reason": "Full until May."})
    admin.post("/sign-out")

    assert "Full until May." in admin.sign_in("ada").get("/applications")


def test_the_administration_does_not_exist_for_others(ada: Browser) -> None:
    ada.get("/admin", status=404)


def test_a_token_is_shown_once(ada: Browser, accounts: AccountsService) -> None:
    page = ada.post("/tokens", {"label": "scripts", "days": "7"})
    secret = page.split('id="secret">')[1].split("<")[0]
    assert accounts.check_token(secret).person.user_name == "ada"
    assert secret not in ada.get("/tokens")
    token = next(t for t in accounts.tokens_of(accounts.person_named("ada").id) if t.label == "scripts")
    ada.post("/tokens/revoke", {"token": token.id})
    assert "scripts" not in ada.get("/tokens")
