from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from portal_visitor import APPLICATION, PASSWORD, REGISTRATION, TRIES, Browser

from armillary.accounts.model import ApplicationState, Project
from armillary.accounts.service import AccountsService


def test_registering_shows_the_dated_state_of_the_request(stranger: Browser) -> None:
    page = stranger.post("/register", REGISTRATION)
    assert "waiting for approval" in page
    assert "To count galaxies." in page
    assert '<time datetime="20' in page
    assert 'class="button quiet" href="/keys"' in stranger.get("/"), "something to do until then"


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


def test_an_address_that_tries_too_often_is_told_when_to_come_back(
    stranger: Browser, client: TestClient, project: Project
) -> None:
    here = Browser(TestClient(client.app, base_url="http://localhost:8080", client=("203.0.113.7", 1)))
    here.language = "fr"
    for number in range(TRIES):
        here.post("/sign-in", {"user_name": f"n{number}", "password": "wrong password"}, status=401)
        here.post("/reset", {"name": f"n{number}"})
    fields = {"csrf": here.token(), "user_name": "ada", "password": PASSWORD}
    refused = here.client.post("/sign-in", data=fields, headers={"accept-language": "fr"})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "adresse" in refused.text
    here.post("/reset", {"name": "ada"}, status=429)
    stranger.post("/sign-in", {"user_name": "ada", "password": PASSWORD})


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


def test_no_provider_is_offered_where_none_is_named(stranger: Browser) -> None:
    stranger.get("/sign-in/oidc", status=404)
    assert "oidc" not in stranger.get("/sign-in")


def test_a_link_fills_in_the_registration(stranger: Browser) -> None:
    page = stranger.get("/register?project_name=galaxies&cores=2&password=secret")
    assert 'value="galaxies"' in page
    assert "secret" not in page.split("<main")[1].split("</main")[0]


def test_an_administrators_link_sets_a_new_password(
    admin: Browser, accounts: AccountsService, project: Project
) -> None:
    page = admin.post("/admin/reset-link", {"user_name": "ada"})
    link = page.split("http://localhost:8080")[1].split("<")[0]
    admin.post("/sign-out")
    admin.post(link, {"password": "short", "password_again": "short"}, status=400)
    admin.post(link, {"password": "new battery staple", "password_again": "another"}, status=400)
    new = {"password": "new battery staple", "password_again": "new battery staple"}
    assert "Your new password is set." in admin.post(link, new)
    admin.get(link, status=404)
    assert accounts.authenticate("ada", "new battery staple").user_name == "ada"


def test_strangers_make_no_links(ada: Browser) -> None:
    ada.post("/admin/reset-link", {"user_name": "admin"}, status=404)
    ada.post("/admin/second-factor", {"user_name": "admin"}, status=404)


def test_a_password_is_changed_with_the_old_one_and_this_browser_stays_signed_in(ada: Browser) -> None:
    new = {"password": "new battery staple", "password_again": "new battery staple"}
    ada.post("/security/password", {"old_password": "wrong password", **new}, status=401)
    assert "Your password is changed." in ada.post("/security/password", {"old_password": PASSWORD, **new})
    ada.get("/keys")


def test_colours_stay_as_chosen_and_one_comes_back_to_the_page_as_it_was(ada: Browser) -> None:
    page = ada.post("/theme", {"theme": "dark", "to": "/keys?from=here"})
    assert 'data-theme="dark"' in page
    assert 'href="/keys?from=here" data-copy-address' in page
    ada.post("/theme", {"theme": "", "to": "/"})
    assert "data-theme" not in ada.get("/")


def test_a_token_is_limited_to_what_is_ticked_and_to_a_project(
    ada: Browser, accounts: AccountsService
) -> None:
    fields = {"label": "reader", "days": "7", "vospace:read": "on", "project": "galaxies"}
    page = ada.post("/tokens", fields)
    secret = page.split('id="secret">')[1].split("<")[0]
    who = accounts.check_token(secret)
    assert who.scopes == {"vospace:read"}
    assert who.project
    assert who.project.name == "galaxies"
    assert "vospace:read · galaxies" in page
    assert "never" in page
