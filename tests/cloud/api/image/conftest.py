"""Image v2 alone over HTTP, with two projects."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from armillary.accounts.model import Allocation, Role, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.units import GiB, MiB
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.image import image_app
from armillary.cloud.images.service import ImageService

CONTENT = b"a picture of a machine" * 1000
PATCH = "application/openstack-images-v2.1-json-patch"
PASSWORD = "correct horse battery"


class Client:
    """One person's calls of the image service."""

    def __init__(self, http: TestClient, token: str | None, project_id: str = "") -> None:
        self.http, self.project_id = http, project_id
        self.headers = {"X-Auth-Token": token} if token else {}

    def __call__(self, method: str, path: str, **request: Any) -> Any:
        headers = self.headers | request.pop("headers", {})
        return self.http.request(method, f"/image{path}", headers=headers, **request)

    def create(self, name: str = "base", **attributes: Any) -> str:
        body = {"name": name, "disk_format": "raw", "container_format": "bare", **attributes}
        answer = self("POST", "/v2/images", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def upload(self, image_id: str, content: bytes = CONTENT, **headers: str) -> Any:
        headers = {"Content-Type": "application/octet-stream", **headers}
        return self("PUT", f"/v2/images/{image_id}/file", content=content, headers=headers)

    def active(self, **attributes: Any) -> str:
        image_id = self.create(**attributes)
        assert self.upload(image_id).status_code == 204
        return image_id

    def patch(self, image_id: str, *steps: dict[str, Any], media_type: str = PATCH) -> Any:
        headers = {"Content-Type": media_type}
        return self("PATCH", f"/v2/images/{image_id}", json=list(steps), headers=headers)

    def listed(self, query: str = "") -> list[str]:
        answer = self("GET", f"/v2/images{query}")
        assert answer.status_code == 200, answer.text
        return [image["name"] for image in answer.json()["images"]]


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
def http(tmp_path: Path, clock: VirtualClock, accounts: AccountsService) -> TestClient:
    engine = make_engine(f"sqlite:///{tmp_path}/images.db", durable=False)
    images = ImageService(engine=engine, directory=tmp_path / "images", clock=clock)
    auth = KeystoneAuth(accounts=accounts, identity_url="http://cloud.test:9101/identity/v3")
    app = image_app(images=images, auth=auth, base_url="http://cloud.test:9101/image", prefix="/image")
    return TestClient(app, base_url="http://cloud.test:9101")


def _client(http: TestClient, accounts: AccountsService, user_name: str, project_name: str) -> Client:
    figures = Allocation(cores=1, ram=MiB(1), disk=GiB(1), storage=GiB(1), batch_cores=0)
    person = accounts.create_person(user_name=user_name, password=PASSWORD)
    project = accounts.create_project(project_name, "", figures)
    accounts.set_role(project.id, person.id, Role.MEMBER)
    issued = accounts.issue_token(
        person.id, kind=TokenKind.KEYSTONE, lifetime=timedelta(days=1), project_id=project.id
    )
    return Client(http, issued.secret, project.id)


@pytest.fixture
def mine(http: TestClient, accounts: AccountsService) -> Client:
    """A member of project m51."""
    return _client(http, accounts, "ada", "m51")


@pytest.fixture
def theirs(http: TestClient, accounts: AccountsService) -> Client:
    """A member of another project."""
    return _client(http, accounts, "bob", "ngc253")


@pytest.fixture
def nobody(http: TestClient) -> Client:
    """Somebody without a token."""
    return Client(http, None)
