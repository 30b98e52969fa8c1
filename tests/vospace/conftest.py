"""A space in memory and SQLite, with two people and an administrator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from obstore.store import MemoryStore
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.testclient import TestClient
from yards import Yard

from armillary.accounts.model import Person, Principal, Token, TokenKind
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import Unauthorized
from armillary.base.ids import PersonId, TokenId
from armillary.base.units import GiB
from armillary.vospace.api import Settings, router
from armillary.vospace.build import build_jobs
from armillary.vospace.bytes import FolderBytes, MemoryBytes, PiecedBytes
from armillary.vospace.ports import ByteStore
from armillary.vospace.service import JobService, VOSpaceService
from armillary.vospace.service.views import Views
from armillary.vospace.store import SqlJobRecords, SqlRecords, create_all
from armillary.vospace.views.runners import InlineRunner, Limits

GROUPS = {"ada": {"m51"}, "bob": {"m51"}, "eve": set[str]()}


def person(name: str, *, is_admin: bool = False) -> Person:
    return Person(
        id=PersonId(f"id-{name}"),
        user_name=name,
        full_name=name,
        email=f"{name}@example.org",
        institute="Observatory",
        is_admin=is_admin,
        enabled=True,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def ada() -> Principal:
    return Principal(person=person("ada"))


@pytest.fixture
def bob() -> Principal:
    return Principal(person=person("bob"))


@pytest.fixture
def eve() -> Principal:
    return Principal(person=person("eve"))


@pytest.fixture
def root() -> Principal:
    return Principal(person=person("root", is_admin=True))


@pytest.fixture
def a_token() -> Callable[..., Principal]:
    """Builds a principal who signed in with a token."""

    def make(name: str, *scopes: str, kind: TokenKind = TokenKind.API) -> Principal:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        token = Token(
            id=TokenId("t"),
            kind=kind,
            person_id=PersonId(f"id-{name}"),
            project_id=None,
            label="",
            scopes=frozenset(scopes),
            roles=None,
            created_at=now,
            expires_at=now + timedelta(hours=1),
        )
        return Principal(person=person(name), method="token", token=token, scopes=frozenset(scopes))

    return make


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store() -> MemoryBytes:
    return MemoryBytes()


@pytest.fixture
def memberships() -> dict[str, set[str]]:
    """Who is in which groups, to be changed at will."""
    return {name: set(groups) for name, groups in GROUPS.items()}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(f"sqlite:///{tmp_path}/space.db", durable=False)
    create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def space(
    engine: Engine, clock: VirtualClock, store: MemoryBytes, memberships: dict[str, set[str]]
) -> VOSpaceService:
    service = VOSpaceService(
        records=SqlRecords(engine),
        bytes_=store,
        clock=clock,
        authorities=Settings().authorities,
        groups=lambda person_id: frozenset(memberships.get(person_id.removeprefix("id-"), set())),
        quota=lambda person_id: GiB(1),
    )
    for name in ("ada", "bob", "eve"):
        service.ensure_home(person(name))
    return service


class ByName:
    """Signs in whoever says `Bearer <name>`, unless it was revoked."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    def holder(self, person_id: PersonId, credential: str, /) -> Person:
        if person_id in self.revoked:
            raise Unauthorized("No longer.")
        return person(person_id.removeprefix("id-"), is_admin=person_id == "id-root")

    def find(self, connection: Request, /) -> Principal | None:
        header = connection.headers.get("authorization", "")
        if not header:
            return None
        name = header.removeprefix("Bearer ")
        if name not in {"ada", "bob", "eve", "root"}:
            raise Unauthorized("No such person.")
        return Principal(person=person(name, is_admin=name == "root"))


@pytest.fixture
def job_records(engine: Engine) -> SqlJobRecords:
    return SqlJobRecords(engine)


@pytest.fixture
def jobs(space: VOSpaceService, job_records: SqlJobRecords) -> Iterator[JobService]:
    jobs = build_jobs(records=job_records, space=space)
    yield jobs
    jobs.close()


@pytest.fixture
def views(space: VOSpaceService) -> Iterator[Views]:
    """Makes cutouts and pictures here, not in a process."""
    views = Views(files=space, runner=InlineRunner(Limits(max_bytes=1 << 20)))
    yield views
    views.close()


@pytest.fixture
def app(space: VOSpaceService, jobs: JobService, views: Views) -> FastAPI:
    app = FastAPI()
    app.include_router(
        router(
            views=views,
            service=space,
            jobs=jobs,
            authenticator=ByName(),
        )
    )
    return app


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="https://space:8443", follow_redirects=False) as client:
        yield client


@pytest.fixture
def http(app: FastAPI) -> Iterator[TestClient]:
    """Ada's client."""
    headers = {"Authorization": "Bearer ada"}
    with TestClient(app, base_url="https://space:8443", headers=headers, follow_redirects=False) as client:
        yield client


@pytest.fixture
def a_yard(records_url: str, ada: Principal) -> Iterator[Callable[[ByteStore], Yard]]:
    """Builds a yard with its bytes in a store."""
    made: list[Yard] = []

    def make(store: ByteStore) -> Yard:
        engine = make_engine(records_url, durable=False)
        create_all(engine)
        space = VOSpaceService(
            records=SqlRecords(engine),
            bytes_=store,
            clock=VirtualClock(),
            authorities=Settings().authorities,
            groups=lambda person: frozenset(),
            quota=lambda person: GiB(1),
        )
        space.ensure_home(ada.person)
        made.append(Yard(engine, store, space, ada, SqlJobRecords(engine), {ada.person.id}))
        return made[-1]

    yield make
    for yard in made:
        yard.space.adding_up.shutdown()
        yard.engine.dispose()


@pytest.fixture(params=["folder", "pieces"])
def yard(request: pytest.FixtureRequest, tmp_path: Path, a_yard: Callable[[ByteStore], Yard]) -> Yard:
    return a_yard(
        FolderBytes(tmp_path / "bytes") if request.param == "folder" else PiecedBytes(MemoryStore(), piece=8)
    )
