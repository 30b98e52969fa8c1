from __future__ import annotations

import re

import pyotp
import pytest
from fastapi.testclient import TestClient
from portal_visitor import PASSWORD, Browser

from armillary.accounts.model import Project
from armillary.accounts.service import AccountsService
from armillary.base.clock import SystemClock


@pytest.fixture
def codes(ada: Browser, clock: SystemClock) -> list[str]:
    """Ada's recovery codes: she has turned her second factor on and signed out."""
    page = ada.get("/security/second-factor")
    assert 'src="data:image/svg+xml' in page
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert secret
    assert "not good" in ada.post("/security/second-factor", {"code": "000000"}, status=401)
    page = ada.post("/security/second-factor", {"code": pyotp.TOTP(secret.group(1)).at(clock.now())})
    codes = re.findall(r"^(?:.*>)?([a-z2-7]{16})$", page, re.MULTILINE)
    assert len(codes) == 10
    assert codes[0] not in ada.get("/security")
    ada.post("/sign-out")
    return codes


def password(ada: Browser, to: str = "/") -> str:
    return ada.post("/sign-in", {"user_name": "ada", "password": PASSWORD, "to": to})


def test_the_code_is_asked_for_after_the_password_and_leads_to_where_one_wanted(
    ada: Browser, codes: list[str]
) -> None:
    assert "<h1>Second factor</h1>" in password(ada, "/keys")
    assert ada.client.get("/keys", follow_redirects=False).status_code == 303  # not signed in yet
    ada.post("/sign-in/code", {"code": "123456"}, status=401)
    assert "<h1>SSH keys</h1>" in ada.post("/sign-in/code", {"code": codes[0]})
    assert "9 recovery codes are left" in ada.get("/security")


def test_a_code_without_the_password_before_it_opens_nothing(ada: Browser, codes: list[str]) -> None:
    assert "<h1>Sign in</h1>" in ada.get("/sign-in/code")
    assert "<h1>Sign in</h1>" in ada.post("/sign-in/code", {"code": codes[0]})


def test_the_half_of_a_sign_in_ends_with_it(ada: Browser, codes: list[str]) -> None:
    password(ada)
    half = ada.client.cookies["armillary_half"]
    ada.post("/sign-in/code", {"code": codes[0]})
    ada.post("/sign-out")
    ada.client.cookies.set("armillary_half", half)
    assert "<h1>Sign in</h1>" in ada.post("/sign-in/code", {"code": codes[1]})


def test_over_tls_no_page_of_another_host_name_can_plant_half_a_sign_in(
    ada: Browser, codes: list[str]
) -> None:
    visitor = Browser(TestClient(ada.client.app, base_url="https://localhost:8443"))
    password(visitor, "/keys")
    [half] = [one for one in visitor.client.cookies.jar if "half" in one.name]
    assert (half.name, half.secure, half.path, half.domain_specified) == (
        "__Host-armillary_half",
        True,
        "/",
        False,
    )
    planted = Browser(TestClient(ada.client.app, base_url="https://localhost:8443"))
    planted.client.cookies.set("armillary_half", str(half.value))
    assert "<h1>Sign in</h1>" in planted.post("/sign-in/code", {"code": codes[0]})
    assert "<h1>SSH keys</h1>" in visitor.post("/sign-in/code", {"code": codes[0]})
    assert not [one for one in visitor.client.cookies.jar if one.name == half.name]


def test_codes_are_renewed_and_the_second_factor_is_turned_off_with_one(
    ada: Browser, codes: list[str]
) -> None:
    password(ada)
    ada.post("/sign-in/code", {"code": codes[0]})
    page = ada.post("/security/recovery-codes", {"code": codes[1]})
    renewed = re.findall(r"^(?:.*>)?([a-z2-7]{16})$", page, re.MULTILINE)
    ada.post("/security/second-factor/off", {"code": codes[2]}, status=401)
    assert "The second factor is off." in ada.post("/security/second-factor/off", {"code": renewed[0]})
    ada.post("/sign-out")
    assert "Overview" in password(ada)


def test_an_administrator_turns_it_off_for_somebody_who_has_lost_everything(
    ada: Browser, codes: list[str], project: Project, accounts: AccountsService
) -> None:
    ada.sign_in("admin")
    ada.post("/admin/second-factor", {"user_name": "ada"})
    assert not accounts.has_second_factor(accounts.person_named("ada").id)
