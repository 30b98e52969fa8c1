"""Every route of the portal, found from the application itself, says no to whom it is not for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from portal_visitor import Browser

from armillary.accounts.model import Project

OPEN = frozenset(
    {
        "/",
        "/register",
        "/sign-in",
        "/sign-in/code",
        "/sign-out",
        "/language",
        "/theme",
        "/reset",
        "/reset/{secret}",
        "/submit",  # leads on to the form, which asks
        "/viewer/frame",  # an empty frame
    }
)
"""What strangers may ask for by themselves; what is under these prefixes has a key in its address."""
WITH_A_KEY = ("/shared/", "/s/", "/oidc", "/sign-in/")


def routes(client: TestClient) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of every route; `{names}` in paths are filled with something that is not there."""
    app = client.app
    assert isinstance(app, FastAPI)
    found = [route for route in every(app.routes) if isinstance(route, APIRoute)]
    assert len(found) > 80
    for route in found:
        for method in sorted(route.methods):
            yield method, route.path


def every(found: list[object]) -> Iterator[object]:
    for route in found:
        yield route
        inside = getattr(route, "original_router", route)
        yield from every(list(getattr(inside, "routes", None) or []))


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path.replace("{kind}", "shell").replace("{where:path}", "home/ada"))


def test_a_member_reaches_nothing_of_the_administration(ada: Browser) -> None:
    """To a member these pages do not exist, whatever is sent to them."""
    asked = [(method, path) for method, path in routes(ada.client) if path.startswith("/admin")]
    assert len(asked) > 15
    token = ada.token()
    reached = [
        (method, path, reply.status_code)
        for method, path in asked
        if (reply := ada.client.request(method, filled(path), data={"csrf": token})).status_code != 404
        or "page_not_found" not in reply.text
    ]
    assert reached == []


def test_strangers_are_sent_to_the_form_by_everything_that_is_not_for_them(
    stranger: Browser, project: Project
) -> None:
    token = stranger.token()
    reached: list[tuple[str, str, int]] = []
    for method, path in routes(stranger.client):
        if path in OPEN or path.startswith(WITH_A_KEY) or path == "/project":
            continue
        data = {"csrf": token, "action": "mkdir", "name": "x"} if method == "POST" else None
        reply = stranger.client.request(method, filled(path), data=data, follow_redirects=False)
        turned_away = reply.status_code in (401, 403, 404)
        sent = reply.headers.get("location", "").startswith("/sign-in")
        if not (turned_away or sent):
            reached.append((method, path, reply.status_code))
    assert reached == []


def test_a_form_of_the_administration_needs_its_token_too(admin: Browser) -> None:
    posts = [path for method, path in routes(admin.client) if method == "POST" and path.startswith("/admin")]
    refused = {path: admin.client.post(filled(path), data={"csrf": "0" * 64}).status_code for path in posts}
    assert set(refused.values()) == {403}, refused
