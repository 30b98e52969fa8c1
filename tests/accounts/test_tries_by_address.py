"""How much one network address may try, whichever names it tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from armillary.accounts.api import Authenticator, install_error_handlers, people_services, router
from armillary.accounts.core.addresses import AddressPolicy, counted_as
from armillary.accounts.core.lockout import Failures, LockoutPolicy
from armillary.accounts.model import Person
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.accounts.turnstile import Attempt
from armillary.app.behind import behind
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock

Builder = Callable[..., Any]
MOST = 4


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("testclient", None),
        ("", None),
    ],
)
def test_an_address_is_counted_and_loopback_is_not(origin: str, key: str | None) -> None:
    assert counted_as(origin) == key


def test_tries_are_forgotten_evenly_and_never_all_at_once() -> None:
    policy, clock = AddressPolicy(most=60), VirtualClock()
    record: Failures | None = None
    for _ in range(59):
        record = policy.after(record, clock.now())
    assert record
    assert LockoutPolicy().wait(record, clock.now()) == timedelta(0)
    record = policy.after(record, clock.now())
    assert LockoutPolicy().wait(record, clock.now()) == timedelta(minutes=1)
    clock.advance(timedelta(minutes=1, seconds=30))
    record = policy.after(record, clock.now())
    assert record.count == 60
    assert LockoutPolicy().wait(record, clock.now()) == timedelta(seconds=30)
    clock.advance(timedelta(hours=2))
    assert policy.after(record, clock.now()).count == 1


@pytest.fixture
def accounts(records_url: str, clock: VirtualClock, cheap: Passwords) -> AccountsService:
    store = AccountsStore(engine=make_engine(records_url, durable=False))
    store.create_all()
    policy = AddressPolicy(most=MOST)
    return AccountsService(
        store=store,
        clock=clock,
        passwords=cheap,
        addresses={Attempt.PROOF: policy, Attempt.REQUEST: policy},
    )


@pytest.fixture
def ada(accounts: AccountsService, a_form: Builder) -> Person:
    accounts.register(**a_form())
    return accounts.person_named("ada")


class NoCertificates:
    def issue_client(self, *_: object, **__: object) -> bytes:
        raise AssertionError("nobody asks for one here")


@pytest.fixture
def at(accounts: AccountsService) -> Callable[[str], TestClient]:
    """Makes clients at an address."""
    authenticator = Authenticator(service=accounts)
    app = FastAPI()
    app.include_router(router(service=accounts, authenticate=authenticator.principal_of))
    app.include_router(
        people_services(
            service=accounts, authenticator=authenticator, issuer=NoCertificates(), authority="armillary.test"
        )
    )
    install_error_handlers(app)
    return lambda address: TestClient(
        behind(["10.0.0.0/8"], app), base_url="http://portal", client=(address, 50000)
    )


@contextmanager
def _spent(client: TestClient) -> Iterator[None]:
    """Tries one password with as many names as may be."""
    for number in range(MOST):
        body = {"user_name": f"name{number}", "password": "Summer2026!"}
        assert client.post("/api/v1/accounts/login", json=body).status_code == 401
    yield


def test_one_password_with_many_names_ends_in_a_pause_at_every_door(
    at: Callable[[str], TestClient], ada: Person, password: str, clock: VirtualClock
) -> None:
    here = at("203.0.113.7")
    login = {"user_name": "ada", "password": password}
    with _spent(here):
        refused = here.post("/api/v1/accounts/login", json=login)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "too_many_from_here"
        assert int(refused.headers["retry-after"]) == 900
        assert refused.json()["error"]["remedy"]
        assert here.get("/api/v1/accounts/me", auth=("ada", password)).status_code == 429
        form = {"username": "ada", "password": password}
        by_client = here.post("/ac/login", data=form)
        assert (by_client.status_code, by_client.headers["retry-after"]) == (429, "900")
    assert at("203.0.113.8").post("/api/v1/accounts/login", json=login).status_code == 201
    clock.advance(timedelta(minutes=15))
    assert here.post("/api/v1/accounts/login", json=login).status_code == 201


def test_right_passwords_are_not_counted(at: Callable[[str], TestClient], ada: Person, password: str) -> None:
    here = at("203.0.113.7")
    for _ in range(3 * MOST):
        assert here.get("/api/v1/accounts/me", auth=("ada", password)).status_code == 200


def test_names_that_nobody_can_have_count_too(at: Callable[[str], TestClient], ada: Person) -> None:
    here = at("203.0.113.7")
    answers = [here.get("/api/v1/accounts/me", auth=("a\0", "wrong")).status_code for _ in range(MOST + 1)]
    assert answers == [401] * MOST + [429]


def test_wrong_codes_of_many_people_count(accounts: AccountsService, ada: Person, a_form: Builder) -> None:
    people = [ada]
    for name in ("bea", "cleo", "dora"):
        accounts.register(**a_form(user_name=name, email=f"{name}@example.org", project_name=f"{name}-1"))
        people.append(accounts.person_named(name))
    codes = [_refusal(accounts, person) for person in (*people, ada)]
    assert codes == ["wrong_code"] * MOST + ["too_many_from_here"]


def _refusal(accounts: AccountsService, person: Person) -> str:
    with pytest.raises(Exception) as refusal:
        accounts.check_code(person.id, "000000", origin="203.0.113.7")
    return str(getattr(refusal.value, "code", refusal.value))


def test_registrations_and_letters_have_a_bound_of_their_own(
    at: Callable[[str], TestClient], accounts: AccountsService, ada: Person, password: str
) -> None:
    here = at("203.0.113.7")
    answers = [here.post("/api/v1/accounts/register", json=_registration(n)) for n in range(MOST + 1)]
    assert [one.status_code for one in answers] == [201] * MOST + [429]
    login = {"user_name": "ada", "password": password}
    assert here.post("/api/v1/accounts/login", json=login).status_code == 201
    for _ in range(MOST):
        accounts.ask_for_reset("nobody", origin="203.0.113.9")
    with pytest.raises(Exception, match="too many tries"):
        accounts.ask_for_reset("ada", origin="203.0.113.9")


def _registration(number: int) -> dict[str, Any]:
    return {
        "user_name": f"person{number}",
        "full_name": "Somebody",
        "email": f"person{number}@example.org",
        "institute": "Somewhere",
        "password": "correct horse battery",
        "project_name": f"project-{number}",
        "requested": {"cores": 1, "ram": 1024, "disk": 10, "storage": 1, "batch_cores": 1},
        "reason": "To look.",
    }


def test_a_proxy_that_the_settings_name_is_believed_and_nobody_else(
    at: Callable[[str], TestClient], ada: Person, password: str
) -> None:
    proxy, liar = at("10.1.2.3"), at("203.0.113.7")
    wrong, right = {"user_name": "x", "password": "wrong"}, {"user_name": "ada", "password": password}

    def login(client: TestClient, body: dict[str, str], said: str) -> int:
        return client.post("/api/v1/accounts/login", json=body, headers={"X-Forwarded-For": said}).status_code

    for number in range(MOST):
        login(proxy, {**wrong, "user_name": f"n{number}"}, "198.51.100.1")
        login(liar, {**wrong, "user_name": f"m{number}"}, f"198.51.100.{number + 2}")
    assert login(proxy, right, "198.51.100.1") == 429
    assert login(proxy, right, "198.51.100.2") == 201
    assert login(liar, right, "192.0.2.1") == 429
