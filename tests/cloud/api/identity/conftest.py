"""A cloud's Identity over accounts of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from identity_bodies import BASE, PASSWORD, V3, an_auth
from starlette.testclient import TestClient

from armillary.accounts.model import Allocation, Person, Project, Role
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.units import GiB, MiB
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.identity import Catalog, CatalogService
from armillary.cloud.api.identity.app import identity_app

Sign = Callable[..., dict[str, str]]
ALLOCATION = Allocation(cores=4, ram=MiB(8192), disk=GiB(40), storage=GiB(10), batch_cores=8)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def accounts(tmp_path: Path, clock: VirtualClock) -> AccountsService:
    store = AccountsStore(engine=make_engine(f"sqlite:///{tmp_path}/accounts.db", durable=False))
    store.create_all()
    cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    return AccountsService(store=store, clock=clock, passwords=cheap)


@pytest.fixture
def http(accounts: AccountsService, clock: VirtualClock) -> Iterator[TestClient]:
    catalog = Catalog(
        region="RegionOne",
        services=(
            CatalogService(type="identity", name="keystone", url=f"{BASE}{V3}"),
            CatalogService(type="compute", name="nova", url=f"{BASE}/compute/v2.1"),
            CatalogService(type="volumev3", name="cinder", url=f"{BASE}/volume/v3/{{project_id}}"),
        ),
    )
    auth = KeystoneAuth(accounts=accounts, identity_url=catalog.identity_url)
    app = identity_app(accounts=accounts, catalog=catalog, clock=clock, auth=auth)
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        yield client


@pytest.fixture
def admin(accounts: AccountsService) -> Person:
    accounts.bootstrap_admin()
    person = accounts.person_named("admin")
    accounts.set_password(person.id, PASSWORD)
    return person


@pytest.fixture
def m51(accounts: AccountsService) -> Project:
    return accounts.create_project("m51", "", ALLOCATION)


@pytest.fixture
def ada(accounts: AccountsService, m51: Project) -> Person:
    """A member of m51."""
    person = accounts.create_person(user_name="ada", password=PASSWORD)
    accounts.set_role(m51.id, person.id, Role.MEMBER)
    return person


@pytest.fixture
def spies(accounts: AccountsService) -> Project:
    """A project that ada is not in; its administrator is eve."""
    project = accounts.create_project("spies", "", ALLOCATION)
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    accounts.set_role(project.id, eve.id, Role.ADMIN)
    return project


@pytest.fixture
def sign(http: TestClient) -> Sign:
    """Signs somebody in and returns the header with their token."""

    def make(user: str = "ada", scope: Any = None) -> dict[str, str]:
        answer = http.post(f"{V3}/auth/tokens", json=an_auth(user, scope=scope))
        assert answer.status_code == 201, answer.text
        return {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    return make
