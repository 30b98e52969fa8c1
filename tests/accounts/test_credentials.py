"""Certificates, tokens and passwords at the doors of the stock clients, and how each of them ends."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary.accounts.api import Authenticator, install_error_handlers, people_services, router
from armillary.accounts.certificates import Authority
from armillary.accounts.model import Person, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

Client = Callable[..., TestClient]


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Handshake:
    """Shows the application a client certificate, as the server does after a handshake."""

    def __init__(self, app: ASGIApp, pem: bytes) -> None:
        self._app = app
        self._der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": {"peer_certificate": self._der}}, receive, send)


@pytest.fixture
def authority(tmp_path: Path, clock: VirtualClock) -> Authority:
    return Authority(tmp_path / "ca", clock)


@pytest.fixture
def client(accounts: AccountsService, authority: Authority) -> Iterator[Client]:
    """Makes a client that shows a certificate, or sends headers, or both."""
    authenticator = Authenticator(service=accounts, certificates=authority)
    app = FastAPI()
    app.include_router(
        people_services(
            service=accounts,
            authenticator=authenticator,
            issuer=authority,
            authority="observatory.example",
            certificate_days=30,
        )
    )
    app.include_router(router(service=accounts, authenticate=authenticator.principal_of))
    install_error_handlers(app)
    made: list[TestClient] = []

    def make(pem: bytes | None = None, **headers: str) -> TestClient:
        shown = Handshake(app, pem) if pem else app
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        made.append(TestClient(shown, base_url="https://platform", headers=named))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ada(accounts: AccountsService, password: str) -> Person:
    return accounts.create_person(user_name="ada", password=password)


@pytest.fixture
def by_password(client: Client, ada: Person, password: str) -> TestClient:
    return client(authorization=basic("ada", password))


@pytest.fixture
def pem(by_password: TestClient) -> bytes:
    return by_password.get("/cred/generate?daysValid=10").content


def test_a_password_gets_a_certificate_that_signs_in(client: Client, pem: bytes) -> None:
    assert b"PRIVATE KEY" in pem
    whoami = ET.fromstring(client(pem).get("/ac/whoami").content)
    assert [i.text for i in whoami.iterfind("identities/identity")] == ["CN=ada", "ada"]


@pytest.mark.parametrize(("asked", "days"), [("", 30), ("?daysValid=7", 7), ("?daysValid=3000", 30)])
def test_a_certificate_lives_as_long_as_asked_within_the_limit(
    by_password: TestClient, clock: VirtualClock, asked: str, days: int
) -> None:
    certificate = x509.load_pem_x509_certificate(by_password.get(f"/cred/generate{asked}").content)
    left = certificate.not_valid_after_utc - clock.now()
    assert abs(left - timedelta(days=days)) < timedelta(minutes=1)


@pytest.mark.parametrize("days", ["0", "-1", "x", "nan", "1e3", ""])
def test_a_number_of_days_that_is_none_is_refused(by_password: TestClient, days: str) -> None:
    assert by_password.get("/cred/generate", params={"daysValid": days}).status_code == 400


def test_only_administrators_get_somebody_elses_certificate(
    client: Client, by_password: TestClient, accounts: AccountsService, admin: Person, password: str
) -> None:
    accounts.create_person(user_name="bob")
    for path in ("userid/bob", "dn/CN=bob"):
        assert by_password.get(f"/cred/generate/{path}").status_code == 403
    assert by_password.get("/cred/generate/userid/ada").status_code == 200
    accounts.set_password(admin.id, password)
    as_admin = client(authorization=basic("admin", password))
    for path in ("userid/bob", "dn/CN=bob"):
        certificate = x509.load_pem_x509_certificate(as_admin.get(f"/cred/generate/{path}").content)
        assert certificate.subject.rfc4514_string() == "CN=bob"
    assert as_admin.get("/cred/generate/userid/nobody").status_code == 404


def test_a_certificate_does_not_get_another_one(client: Client, pem: bytes) -> None:
    assert client(pem).get("/cred/generate").status_code == 403


def test_a_limited_token_gets_no_certificate_and_an_unlimited_one_none_that_outlives_it(
    client: Client, accounts: AccountsService, ada: Person, clock: VirtualClock
) -> None:
    for scopes, status in ((frozenset({"vospace:read"}), 403), (frozenset[str](), 200)):
        issued = accounts.issue_token(ada.id, kind=TokenKind.API, lifetime=timedelta(hours=1), scopes=scopes)
        reply = client(authorization=f"Bearer {issued.secret}").get("/cred/generate")
        assert reply.status_code == status
    certificate = x509.load_pem_x509_certificate(reply.content)
    assert certificate.not_valid_after_utc <= clock.now() + timedelta(hours=1)


def test_a_revoked_certificate_is_refused_from_the_next_request(
    client: Client, by_password: TestClient, pem: bytes
) -> None:
    with_certificate = client(pem)
    assert with_certificate.get("/gms/search").status_code == 200
    (noted,) = by_password.get("/api/v1/accounts/certificates").json()
    assert noted["issued_by"] == "ada"
    assert by_password.delete(f"/api/v1/accounts/certificates/{noted['serial']}").status_code == 204
    refused = with_certificate.get("/gms/search")
    assert (refused.status_code, refused.headers["x-armillary-code"]) == (401, "certificate_revoked")
    assert by_password.get("/api/v1/accounts/certificates").json()[0]["revoked_at"]
    assert by_password.delete("/api/v1/accounts/certificates/abc").status_code == 404


def test_all_certificates_are_revoked_at_once_those_too_that_nobody_noted(
    client: Client, by_password: TestClient, pem: bytes, authority: Authority, clock: VirtualClock
) -> None:
    unnoted = authority.issue_client("ada", timedelta(days=1))
    job = authority.issue_client("ada", timedelta(hours=1), job=True)
    clock.advance(timedelta(seconds=1))
    assert by_password.delete("/api/v1/accounts/certificates").status_code == 204
    assert client(pem).get("/gms/search").status_code == 401
    assert client(unnoted).get("/gms/search").status_code == 401
    assert client(job).get("/gms/search").status_code == 200
    fresh = by_password.get("/cred/generate").content
    assert client(fresh).get("/gms/search").status_code == 200


def test_a_new_password_ends_certificates_and_logins(
    client: Client, accounts: AccountsService, ada: Person, pem: bytes, password: str
) -> None:
    login = client().post("/ac/login", data={"username": "ada", "password": password}).text
    with_login = client(authorization=f"Bearer {login}")
    assert with_login.get("/gms/search").status_code == 200
    accounts.change_password(ada.id, password, "another long password")
    assert client(pem).get("/gms/search").status_code == 401
    assert with_login.get("/gms/search").status_code == 401


def test_a_login_is_good_as_bearer_delegation_token_and_cookie(
    client: Client, ada: Person, password: str
) -> None:
    reply = client().post("/ac/login", data={"username": "ada", "password": password})
    assert reply.headers["content-type"].startswith("text/plain")
    secret = reply.text
    for headers in (
        {"authorization": f"Bearer {secret}"},
        {"x_cadc_delegationtoken": secret},
        {"cookie": f'CADC_SSO="{secret}"'},
    ):
        assert client(**headers).get("/ac/whoami").status_code == 200
    other_site = client(cookie=f"CADC_SSO={secret}", sec_fetch_site="cross-site")
    assert other_site.put("/ac/groups").status_code == 403


@pytest.mark.parametrize(
    "body", [b"", b"username=ada", b"username=ada&username=eve&password=x", b"\xff=\xff", b"a=1&" * 100]
)
def test_a_login_without_name_and_password_is_refused(client: Client, body: bytes) -> None:
    assert client().post("/ac/login", content=body).status_code == 400


def test_a_password_in_the_address_is_not_taken(client: Client, ada: Person, password: str) -> None:
    assert client().post(f"/ac/login?username=ada&password={password}").status_code == 400


def test_wrong_passwords_slow_down_login_and_basic_alike(
    client: Client, ada: Person, password: str, clock: VirtualClock
) -> None:
    for _ in range(2):
        assert client(authorization=basic("ada", "wrong")).get("/cred/generate").status_code == 401
    reply = client().post("/ac/login", data={"username": "ada", "password": password})
    assert (reply.status_code, reply.headers["x-armillary-code"]) == (401, "too_many_attempts")
    assert int(reply.headers["retry-after"]) > 0
    clock.advance(timedelta(minutes=1))
    assert client().post("/ac/login", data={"username": "ada", "password": password}).status_code == 200


def test_a_person_who_is_switched_off_is_refused_with_every_credential(
    client: Client, accounts: AccountsService, ada: Person, pem: bytes, password: str
) -> None:
    token = client().post("/ac/login", data={"username": "ada", "password": password}).text
    accounts.update_person(ada.id, enabled=False)
    for shown in (
        client(pem),
        client(authorization=f"Bearer {token}"),
        client(authorization=basic("ada", password)),
    ):
        assert shown.get("/gms/search").status_code == 401


def test_people_look_up_themselves_and_administrators_everybody(
    client: Client, by_password: TestClient, accounts: AccountsService, admin: Person, password: str
) -> None:
    assert by_password.get("/ac/users/ada?idType=HTTP").status_code == 200
    assert by_password.get("/ac/users/CN=ada?idType=X500").status_code == 200
    assert by_password.get("/ac/users/admin?idType=HTTP").status_code == 403
    accounts.set_password(admin.id, password)
    assert client(authorization=basic("admin", password)).get("/ac/users/ada").status_code == 200


def test_an_old_certificate_does_not_speak_for_who_has_the_name_later(
    client: Client,
    accounts: AccountsService,
    ada: Person,
    pem: bytes,
    authority: Authority,
    clock: VirtualClock,
) -> None:
    unnoted = authority.issue_client("ada", timedelta(days=1))
    clock.advance(timedelta(minutes=1))
    accounts.update_person(ada.id, user_name="countess")
    bob = accounts.create_person(user_name="ada")
    assert client(pem).get("/gms/search").status_code == 401
    assert client(unnoted).get("/gms/search").status_code == 401
    accounts.delete_person(bob.id)
    accounts.delete_person(ada.id)
    accounts.create_person(user_name="ada")
    assert client(pem).get("/gms/search").status_code == 401
    fresh = authority.issue_client("ada", timedelta(days=1))
    assert client(fresh).get("/gms/search").status_code == 200
