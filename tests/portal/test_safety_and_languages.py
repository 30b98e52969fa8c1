from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from babel.messages.mofile import write_mo
from fastapi.testclient import TestClient
from portal_visitor import APPLICATION, REGISTRATION, Browser

from armillary.portal import catalogues
from armillary.portal.i18n import DIRECTORY, LOCALES, choose_locale
from armillary.portal.letters import size

PAGES = (
    "/",
    "/applications",
    "/admin",
    "/machines",
    "/machines/launch",
    "/images",
    "/jobs",
    "/jobs/submit",
    "/workers",
    "/files",
    "/keys",
    "/tokens",
    "/no-such-page",
)


@pytest.mark.parametrize("language", LOCALES)
def test_every_page_renders_in_every_language(admin: Browser, language: str) -> None:
    admin.language = language
    for path in PAGES:
        reply = admin.client.get(path, headers={"accept-language": language})
        assert reply.status_code == (404 if path == "/no-such-page" else 200), path
        assert f'<html lang="{language}">' in reply.text
    admin.post("/sign-out")
    for path in ("/", "/register", "/sign-in"):
        assert f'<html lang="{language}">' in admin.get(path)


@pytest.mark.parametrize("locale", LOCALES)
def test_no_string_is_untranslated_and_the_catalogues_are_in_step_with_the_source(locale: str) -> None:
    source = {message.id for message in catalogues.messages(catalogues.template())}
    known = {message.id: message for message in catalogues.messages(catalogues.load(locale))}
    assert source == set(known), "run python -m armillary.portal.catalogues"
    assert [message.id for message in known.values() if not catalogues.is_translated(message)] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_translations_have_the_same_places_to_fill_in(locale: str) -> None:
    for message in catalogues.messages(catalogues.load(locale)):
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = message.id if isinstance(message.id, str) else message.id[-1]
        for form in forms:
            assert set(re.findall(r"%\(\w+\)s", form)) <= set(re.findall(r"%\(\w+\)s", wanted)), wanted


def test_french_is_not_english() -> None:
    french = catalogues.load("fr")
    same = [m.id for m in catalogues.messages(french) if m.string == m.id and " " in str(m.id)]
    assert same == []


def test_units_and_colons_are_those_of_the_language(ada: Browser) -> None:
    for language, role, unit in (("en", "Your role: ", "GiB"), ("fr", "Votre rôle : ", "Gio")):
        ada.language = language
        page = ada.get("/")
        assert role in page
        assert re.search(rf"\d / \d+ {unit}<", page)
    assert [size("fr", octets) for octets in (12, 2048, 1536 * 2**20)] == ["12 o", "2 Kio", "1.5 Gio"]


@pytest.mark.parametrize("locale", LOCALES)
def test_compiled_catalogues_are_those_of_the_sources(locale: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogues.load(locale))
    assert (DIRECTORY / locale / "LC_MESSAGES" / "messages.mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize(
    ("header", "cookie", "expected"),
    [
        (None, None, "en"),
        ("fr-CA,fr;q=0.9,en;q=0.8", None, "fr"),
        ("de,en;q=0.5,fr;q=0.4", None, "en"),
        ("fr;q=0,en", None, "en"),
        ("fr;q=nonsense", None, "en"),
        ("fr", "en", "en"),
        ("en", "xx", "en"),
    ],
)
def test_the_language_is_chosen(header: str | None, cookie: str | None, expected: str) -> None:
    assert choose_locale(cookie=cookie, accept_language=header) == expected


def test_a_chosen_language_stays(stranger: Browser) -> None:
    stranger.post("/language", {"language": "fr", "to": "/register"})
    assert '<html lang="fr">' in stranger.get("/register")


def test_a_form_without_the_token_changes_nothing(ada: Browser) -> None:
    for data in ({}, {"csrf": "0" * 64}, {"csrf": "é" * 64}):
        reply = ada.client.post("/applications", data={**APPLICATION, "project_name": "stars", **data})
        assert reply.status_code == 403
    assert "stars" not in ada.get("/applications")


def test_a_form_from_another_site_is_refused_even_with_a_token(ada: Browser) -> None:
    reply = ada.client.post(
        "/applications",
        data={**APPLICATION, "csrf": ada.token()},
        headers={"origin": "https://evil.example"},
    )
    assert reply.status_code == 403


def test_a_token_of_another_session_is_worthless(stranger: Browser, project: object) -> None:
    before = stranger.token()
    stranger.sign_in("ada")
    assert stranger.client.post("/tokens", data={"csrf": before, "label": "x"}).status_code == 403


def test_a_stranger_cannot_fill_our_disk_with_a_form(stranger: Browser) -> None:
    large = [("files", ("large", b"x" * 2**21))]
    for path in ("/sign-in", "/files/home/ada"):
        assert stranger.client.post(path, data={"csrf": "0" * 64}, files=large).status_code == 413

    def unannounced() -> Iterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="files"; filename="f"\r\n\r\n'
        for _ in range(32):
            yield b"x" * 2**16

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert stranger.client.post("/sign-in", content=unannounced(), headers=headers).status_code == 413


@pytest.mark.parametrize("path", ["/jobs/{}", "/jobs/{}/table", "/jobs/1/{}", "/jobs/1/{}/log/stdout"])
def test_a_number_larger_than_any_is_refused_in_words(ada: Browser, path: str) -> None:
    assert ada.client.get(path.format(10**20)).status_code == 400


def test_what_people_type_is_escaped_everywhere(stranger: Browser) -> None:
    attack = "<script>alert(1)</script>"
    page = stranger.post("/register", {**REGISTRATION, "full_name": attack, "reason": attack})
    assert attack not in page
    assert "&lt;script&gt;" in page
    assert attack not in stranger.get("/")
    page = stranger.post("/register", {**REGISTRATION, "user_name": '"><script>'}, status=400)
    assert '"><script>' not in page
    assert attack not in stranger.get(f"/machines?notice={attack}", status=403)


def test_every_answer_carries_the_headers_that_keep_scripts_out(stranger: Browser) -> None:
    for path in ("/", "/static/htmx.min.js", "/no-such-page"):
        headers = stranger.client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        ours = None if path.startswith("/static/") else "same-origin"  # the viewer's frame is of no origin
        assert headers.get("cross-origin-resource-policy") == ours
    page = stranger.get("/register")
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=|https?://", page)


def test_cookies_are_not_for_scripts_nor_for_other_sites(stranger: Browser, project: object) -> None:
    token = stranger.token()
    reply = stranger.client.post(
        "/sign-in",
        data={"csrf": token, "user_name": "ada", "password": REGISTRATION["password"]},
        follow_redirects=False,
    )
    [cookie] = [c for c in reply.headers.get_list("set-cookie") if c.startswith("armillary_session=")]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


def test_over_tls_no_page_of_another_host_name_can_plant_a_session(
    stranger: Browser, project: object
) -> None:
    visitor = Browser(TestClient(stranger.client.app, base_url="https://localhost:8443"))
    visitor.sign_in("ada")
    [cookie] = [one for one in visitor.client.cookies.jar if "session" in one.name]
    assert (cookie.name, cookie.secure, cookie.path, cookie.domain_specified) == (
        "__Host-armillary_session",
        True,
        "/",
        False,
    )
    assert "Sign out" in visitor.get("/")
    visitor.client.cookies.delete(cookie.name)
    visitor.client.cookies.set("armillary_session", str(cookie.value))
    assert "Sign out" not in visitor.get("/")
    visitor.sign_in("ada").post("/sign-out")
    assert not [one for one in visitor.client.cookies.jar if one.name == cookie.name]
