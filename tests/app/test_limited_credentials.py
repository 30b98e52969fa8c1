"""What a stolen job credential or a narrow token opens, over the whole platform as it is wired: VOSpace, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary.accounts.certificates import Authority
from armillary.accounts.model import Allocation, Role, TokenKind
from armillary.app.addresses import Addresses
from armillary.app.settings import CloudTable, Settings
from armillary.app.wiring import build_platform
from armillary.app.wiring_batch import JOB_SCOPES
from armillary.base.clock import SystemClock
from armillary.base.ids import CloudName
from armillary.base.units import GiB, MiB

HOUR = timedelta(hours=1)
JOB = {"proc": 0, "executable": "/bin/true", "transfer_executable": False}
SUBMIT = {"project": "rotation", "image": "my-snapshot", "flavor": "c2-2gb-10", "jobs": [JOB]}
NODE = (
    '<vos:node xmlns:vos="http://www.ivoa.net/xml/VOSpace/v2.0" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="vos:ContainerNode" '
    'uri="vos://armillary.example~vault{path}"><vos:properties/></vos:node>'
)


class _WithCertificate:
    """Stands for TLS: tells the application which client certificate the connection came with."""

    def __init__(self, app: ASGIApp, der: bytes) -> None:
        self._app = app
        self._der = der

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["peer_certificate"] = self._der
        await self._app(scope, receive, send)


@dataclass(frozen=True, kw_only=True)
class Doors:
    """The platform as somebody with this or that credential meets it."""

    clients: dict[str, TestClient]
    secrets: dict[str, str]

    def ask(self, who: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return the status and, of our own refusals, the code."""
        more: dict[str, Any] = {"content": body} if isinstance(body, str) else {"json": body}
        reply = self.clients[who].request(method, path, follow_redirects=False, **more)
        json = reply.headers.get("content-type", "").startswith("application/json")
        answer: Any = reply.json() if json and reply.status_code >= 400 else {}
        return reply.status_code, answer.get("error", {}).get("code", "")


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    home: Path = tmp_path_factory.mktemp("home")
    east = CloudTable(name="east", port=1, floating_cidr="127.16.0.0/24", engine="fake")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ARMILLARY_HOME", str(home))
        yield from _doors(home, Settings(clouds=[east]))


def _doors(home: Path, settings: Settings) -> Iterator[Doors]:
    clock = SystemClock()
    here = Addresses(https_port=8443, http_port=8080, cloud_ports={CloudName("east"): 1})
    platform = build_platform(settings=settings, clock=clock, addresses=here)
    accounts = platform.accounts
    allocation = Allocation(cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=8)
    project = accounts.create_project("rotation", "", allocation)
    people = {}
    for name in ("vera", "kent"):
        people[name] = accounts.create_person(user_name=name, email=f"{name}@example.org", is_admin=True)
        accounts.set_role(project.id, people[name].id, Role.ADMIN)
        platform.vospace.ensure_home(people[name])
    vera = people["vera"]

    def token(kind: TokenKind, *scopes: str) -> str:
        return accounts.issue_token(vera.id, kind=kind, lifetime=HOUR, scopes=frozenset(scopes)).secret

    secrets = {
        "a whole token": token(TokenKind.API),
        "a job's token": token(TokenKind.JOB, *JOB_SCOPES),
        "a job's token without scopes": token(TokenKind.JOB),
        "a token to read VOSpace": token(TokenKind.API, "vospace:read"),
        "a session": token(TokenKind.SESSION),
    }
    clients = {
        who: TestClient(platform.app, headers={"authorization": f"Bearer {secret}"})
        for who, secret in secrets.items()
    }
    authority = Authority(settings.home / "authority", clock)
    pem = authority.issue_client("vera", HOUR, scopes=JOB_SCOPES, job=True)
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    clients["a job's certificate"] = TestClient(_WithCertificate(platform.app, der))
    yield Doors(clients=clients, secrets=secrets)
    platform.close()


LIMITED = ["a job's token", "a job's token without scopes", "a job's certificate", "a token to read VOSpace"]
CLOSED: list[tuple[str, str, Any, tuple[int, str]]] = [
    ("GET", "/api/v1/accounts/me", None, (403, "limited_credential")),
    ("POST", "/api/v1/accounts/tokens", {"label": "wider"}, (403, "limited_credential")),
    ("GET", "/api/v1/accounts/people", None, (403, "limited_credential")),
    ("GET", "/api/v1/batch/clusters", None, (403, "scope_missing")),
    ("GET", "/api/v1/batch/jobs", None, (403, "scope_missing")),
    ("GET", "/api/v1/batch/jobs/1.0", None, (403, "scope_missing")),
    ("GET", "/api/v1/batch/jobs/1.0/logs", None, (403, "scope_missing")),
    ("GET", "/api/v1/batch/clusters/1/events", None, (403, "scope_missing")),
    ("GET", "/api/v1/batch/workers", None, (403, "scope_missing")),
    ("POST", "/api/v1/batch/blobs/check", {"sha256": []}, (403, "scope_missing")),
    ("PUT", f"/api/v1/batch/blobs/{'0' * 64}", "bytes", (403, "scope_missing")),
    ("POST", "/api/v1/batch/clusters", SUBMIT, (403, "scope_missing")),
    ("POST", "/api/v1/batch/jobs/1.0/hold", None, (403, "scope_missing")),
    ("POST", "/api/v1/batch/clusters/1/remove", None, (403, "scope_missing")),
    ("GET", "/api/v1/clouds", None, (403, "scope_missing")),
    ("GET", "/api/v1/clouds/east/images", None, (403, "scope_missing")),
    ("GET", "/cred/generate", None, (403, "")),  # in plain words, for cadc-get-cert
    ("POST", "/agent/v1/bye", None, (401, "")),
]


@pytest.mark.parametrize("who", LIMITED)
@pytest.mark.parametrize(("method", "path", "body", "refusal"), CLOSED)
def test_it_opens_nothing_but_vospace(
    doors: Doors, who: str, method: str, path: str, body: Any, refusal: tuple[int, str]
) -> None:
    status, code = doors.ask(who, method, path, body)
    assert status == refusal[0]
    assert code == refusal[1] or not refusal[1]


@pytest.mark.parametrize("path", ["/api/v1/accounts/me", "/api/v1/batch/jobs", "/api/v1/clouds"])
def test_the_same_persons_whole_token_opens_these(doors: Doors, path: str) -> None:
    assert doors.ask("a whole token", "GET", path) == (200, "")


@pytest.mark.parametrize("who", LIMITED)
def test_it_reads_its_owners_vospace(doors: Doors, who: str) -> None:
    assert doors.ask(who, "GET", "/vault/nodes/home/vera")[0] == 200


@pytest.mark.parametrize("who", LIMITED[:3])
def test_a_job_reads_no_other_vospace_even_for_an_administrator(doors: Doors, who: str) -> None:
    assert doors.ask(who, "GET", "/vault/nodes/home/kent")[0] == 403


def test_a_job_writes_into_its_owners_vospace_and_a_reading_token_does_not(doors: Doors) -> None:
    def make(who: str, path: str) -> int:
        return doors.ask(who, "PUT", f"/vault/nodes{path}", NODE.format(path=path))[0]

    assert make("a token to read VOSpace", "/home/vera/a") == 403
    assert make("a job's token", "/home/kent/a") == 403
    assert make("a job's token", "/home/vera/a") == 201
    assert make("a job's certificate", "/home/vera/b") == 201


@pytest.mark.parametrize("who", ["a whole token", *LIMITED])
def test_pages_are_for_sessions_alone(doors: Doors, who: str) -> None:
    def page(secret: str) -> int:
        client = doors.clients["a job's certificate"]
        headers = {"cookie": f"armillary_session={secret}"} if secret else {}
        return client.get("/jobs", headers=headers, follow_redirects=False).status_code

    assert page(doors.secrets["a session"]) == 200
    assert page(doors.secrets.get(who, "")) in (303, 401)
