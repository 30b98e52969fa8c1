"""The way in over the whole platform as it is wired: a provider, bounds by address behind a proxy, and the trail of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from identity_provider import CLIENT, SECRET, running_provider
from portal_visitor import REGISTRATION, Browser

from armillary.app.addresses import Addresses
from armillary.app.settings import Settings
from armillary.app.settings_tables import CloudTable, LimitsTable, OidcTable
from armillary.app.wiring import Platform, build_platform
from armillary.base.clock import SystemClock
from armillary.base.ids import CloudName

MOST = 3


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home: Path = tmp_path_factory.mktemp("home")
    (home / "secret").write_text(f"{SECRET}\n")
    with pytest.MonkeyPatch.context() as environment, running_provider() as identities:
        environment.setenv("ARMILLARY_HOME", str(home))
        oidc = OidcTable(
            issuer=identities.issuer,
            client_id=CLIENT,
            client_secret_file=home / "secret",
            label="Example ID",
        )
        settings = Settings(
            clouds=[CloudTable(name="east", port=1, floating_cidr="127.16.0.0/24", engine="fake")],
            oidc=oidc,
            limits=LimitsTable(wrong_sign_ins_per_hour=MOST),
            proxies=["127.0.0.1"],
        )
        here = Addresses(https_port=8443, http_port=8080, cloud_ports={CloudName("east"): 1})
        made = build_platform(settings=settings, clock=SystemClock(), addresses=here)
        yield made
        made.close()


def client_of(platform: Platform) -> TestClient:
    """What a browser behind the proxy is to the platform."""
    return TestClient(platform.app, base_url="http://localhost:8080", client=("127.0.0.1", 50000))


def test_somebody_signs_in_with_the_provider_that_the_settings_name(platform: Platform) -> None:
    visitor = Browser(client_of(platform))
    assert "Sign in with Example ID" in visitor.get("/sign-in")
    for path, expected in (("/sign-in/oidc", "<h1>Register</h1>"), ("/sign-in/oidc?to=/keys", "SSH keys")):
        reply = visitor.client.get(path, follow_redirects=False)
        there = httpx2.get(reply.headers["location"], follow_redirects=False, trust_env=False, timeout=60)
        back = urlsplit(there.headers["location"])
        page = visitor.get(f"{back.path}?{back.query}")
        assert expected in page
        if path == "/sign-in/oidc":
            visitor.post("/register", {k: v for k, v in REGISTRATION.items() if "password" not in k})
            visitor.post("/sign-out")


def test_an_address_behind_the_proxy_has_its_bound_and_is_in_the_trail(platform: Platform) -> None:
    client = client_of(platform)

    def sign_in(address: str, name: str) -> httpx2.Response:
        body = {"user_name": name, "password": "Summer2026!"}
        headers = {"X-Forwarded-For": address}
        return client.post("/api/v1/accounts/login", json=body, headers=headers)

    answers = [sign_in("198.51.100.1", f"name{number}").status_code for number in range(MOST + 1)]
    assert answers == [401] * MOST + [429]
    assert int(sign_in("198.51.100.1", "ada").headers["retry-after"]) > 0
    assert sign_in("198.51.100.2", "ada").status_code == 401
    password = "correct horse battery"
    root = platform.accounts.create_person(user_name="root", password=password, is_admin=True)
    asked = client.get(
        "/api/v1/accounts/trail", params={"origin": "198.51.100.1"}, auth=(root.user_name, password)
    )
    assert [entry["status"] for entry in asked.json()["entries"]] == [429, 429, *[401] * MOST]
