"""Accounts on a file of their own, with cheap hashes and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from armillary.accounts.api import Authenticator, install_error_handlers, router
from armillary.accounts.certificates import ClientIdentity
from armillary.accounts.model import Allocation, Person, Project
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import Unauthorized
from armillary.base.units import GiB, MiB

PASSWORD = "correct horse battery"


def _allocation(**changes: Any) -> Allocation:
    figures: dict[str, Any] = {
        "cores": 4,
        "ram": MiB(8192),
        "disk": GiB(40),
        "storage": GiB(10),
        "batch_cores": 8,
    }
    return Allocation(**figures | changes)


def _form(**changes: Any) -> dict[str, Any]:
    """A registration form that is right, but for `changes`."""
    form: dict[str, Any] = {
        "user_name": "ada",
        "full_name": "Ada Lovelace",
        "email": "ada@example.org",
        "institute": "Observatoire de Paris",
        "password": PASSWORD,
        "project_name": "m51",
        "requested": _allocation(),
        "reason": "Catalogues of M51.",
    }
    return form | changes


Builder = Callable[..., Any]


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def an_allocation() -> Builder:
    """Builds an allocation that is right, but for what is given."""
    return _allocation


@pytest.fixture
def a_form() -> Builder:
    """Builds a registration form that is right, but for what is given."""
    return _form


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def cheap() -> Passwords:
    return Passwords(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def accounts(records_url: str, clock: VirtualClock, cheap: Passwords) -> AccountsService:
    store = AccountsStore(engine=make_engine(records_url, durable=False))
    store.create_all()
    return AccountsService(store=store, clock=clock, passwords=cheap)


@pytest.fixture
def admin(accounts: AccountsService) -> Person:
    accounts.bootstrap_admin()
    return accounts.person_named("admin")


@pytest.fixture
def a_member(accounts: AccountsService, admin: Person) -> Callable[..., tuple[Person, Project]]:
    """Registers somebody with an approved project of their own."""

    def make(user_name: str = "ada", project_name: str = "m51") -> tuple[Person, Project]:
        form = _form(user_name=user_name, email=f"{user_name}@example.org", project_name=project_name)
        project = accounts.approve(accounts.register(**form).id, by=admin.id)
        return accounts.person_named(user_name), project

    return make


@pytest.fixture
def app(accounts: AccountsService) -> FastAPI:
    authenticator = Authenticator(service=accounts, certificates=PaperCertificates())
    app = FastAPI()
    app.state.authenticator = authenticator
    app.include_router(router(service=accounts, authenticate=authenticator.principal_of))
    install_error_handlers(app)
    return app


@pytest.fixture
def http(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://portal") as client:
        yield client


class PaperCertificates:
    """Takes `name` or `name job` for a certificate."""

    def identity_of(self, der: bytes) -> ClientIdentity:
        name, _, job = der.decode().partition(" ")
        if name == "forged":
            raise Unauthorized("Not ours.", code="foreign_certificate")
        scopes = frozenset({"vospace:read"}) if job else frozenset[str]()
        expires_at = datetime(2027, 1, 1, tzinfo=UTC)
        return ClientIdentity(user_name=name, scopes=scopes, is_job=bool(job), expires_at=expires_at)
