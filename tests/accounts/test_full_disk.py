"""A full disk locks nobody out: people come to delete things."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from armillary.accounts.api import Authenticator, people_services
from armillary.accounts.certificates import Authority
from armillary.accounts.model import Person
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import OutOfSpace


@pytest.fixture
def ada(accounts: AccountsService, password: str) -> Person:
    return accounts.create_person(user_name="ada", password=password)


@pytest.fixture
def full(records_url: str, ada: Person) -> Iterator[Engine]:
    """The same records, on a disk without a free page."""
    engine = make_engine(records_url, durable=False)

    @event.listens_for(engine, "connect")
    def _full(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA max_page_count = 1")  # as many as there are, that is

    yield engine
    engine.dispose()


def test_a_password_still_gets_a_certificate(
    full: Engine, clock: VirtualClock, cheap: Passwords, tmp_path: Path, password: str
) -> None:
    accounts = AccountsService(store=AccountsStore(engine=full), clock=clock, passwords=cheap)
    with pytest.raises(OutOfSpace):
        for number in range(100):
            accounts.create_person(user_name=f"p{number}", full_name="x" * 200)
    authority = Authority(tmp_path / "ca", clock)
    app = FastAPI()
    app.include_router(
        people_services(
            service=accounts,
            authenticator=Authenticator(service=accounts, certificates=authority),
            issuer=authority,
            authority="observatory.example",
        )
    )
    basic = base64.b64encode(f"ada:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    with TestClient(app, base_url="https://platform", headers=headers) as client:
        for _ in range(100):  # until there is no room in the last page either
            reply = client.get("/cred/generate")
            assert (reply.status_code, b"PRIVATE KEY" in reply.content) == (200, True)
    noted = accounts.certificates_of(accounts.person_named("ada").id)
    assert len(noted) < 100
