"""A whole embedded cloud on the fake engine, with people and projects, reached over its HTTP face."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from armillary.accounts.model import Allocation, Person, Project, Role, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.ids import CloudName
from armillary.base.units import GiB, MiB
from armillary.cloud.build import Cloud, CloudSettings, build_cloud
from armillary.cloud.engines.fake import FakeFabric, FakeMachines, FakeVolumeDisks
from armillary.cloud.images.model import Declared
from armillary.cloud.model import Capacity

BASE_URL = "http://cloud.test:9101"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 ada@desk"
ALLOCATION = Allocation(cores=4, ram=MiB(8192), disk=GiB(100), storage=GiB(10), batch_cores=0)


@dataclass
class Stage:
    """Everything a test touches. `restart` is what a kill -9 and a new start do."""

    directory: Path
    accounts: AccountsService
    clock: VirtualClock
    machines: FakeMachines
    settings: CloudSettings
    admin: Person
    fabric: FakeFabric = field(default_factory=FakeFabric)
    disks: FakeVolumeDisks = field(init=False)
    cloud: Cloud = field(init=False)
    http: TestClient = field(init=False)
    exit: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.disks = FakeVolumeDisks(directory=self.directory / "volumes")
        self.cloud = build_cloud(
            settings=self.settings,
            accounts=self.accounts,
            machines=self.machines,
            fabric=self.fabric,
            volume_disks=self.disks,
            engine=make_engine(f"sqlite:///{self.directory}/cloud.db", durable=False),
            clock=self.clock,
        )
        self.exit.callback(self.cloud.close)
        # entered, so that one event loop serves all requests
        client = TestClient(self.cloud.app, base_url=BASE_URL, raise_server_exceptions=False)
        self.http = self.exit.enter_context(client)

    def restart(self) -> None:
        """Forget everything in memory, and begin again from what is on disk."""
        self.start()

    def settle(self) -> None:
        assert self.cloud.settle(seconds=60), "the background work does not end"


@dataclass
class User:
    """Somebody with a token, who speaks to the cloud."""

    stage: Stage
    person: Person
    project: Project
    token: str
    version: str = "2.93"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": f"compute {self.version}", **headers}
        return self.stage.http.request(method, path, json=body, headers=headers)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.call(method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def at(self, version: str) -> User:
        return replace(self, version=version)

    # compute

    def boot(self, name: str = "vm1", **server: Any) -> str:
        """Ask for a server and return its id, without waiting."""
        wish = {"name": name, "imageRef": server.pop("image", None) or self.image(), "flavorRef": "c1-1gb-5"}
        body = {"server": wish | {"networks": "auto"} | server}
        return self.ok("POST", "/compute/v2.1/servers", body)["server"]["id"]

    def up(self, name: str = "vm1", **server: Any) -> str:
        """Ask for a server, wait for what comes of it, and return its id."""
        server_id = self.boot(name, **server)
        self.stage.settle()
        return server_id

    def server(self, server_id: str) -> Any:
        return self.ok("GET", f"/compute/v2.1/servers/{server_id}")["server"]

    def status(self, server_id: str) -> str:
        return self.server(server_id)["status"]

    def act(self, server_id: str, action: str, argument: Any = None) -> Any:
        return self.call("POST", f"/compute/v2.1/servers/{server_id}/action", {action: argument})

    def used(self) -> tuple[int, int, int]:
        """Instances, cores and RAM that count against the quota."""
        absolute = self.ok("GET", "/compute/v2.1/limits")["limits"]["absolute"]
        return tuple(absolute[f"total{name}Used"] for name in ("Instances", "Cores", "RAM"))  # type: ignore[return-value]

    # images, past HTTP

    def image(self, name: str = "base", content: bytes = b"\0" * 1024, **attributes: Any) -> str:
        """An active raw image."""
        who = self.stage.accounts.principal(self.person.id, self.project.id)
        images = self.stage.cloud.images
        image = images.create(
            who, {"name": name, "disk_format": "raw", "container_format": "bare", **attributes}
        )
        with images.receiving(who, image.id, Declared()) as arrival:
            arrival.write(content)
            images.complete(image.id, arrival)
        return image.id

    def image_status(self, image_id: str) -> str:
        who = self.stage.accounts.principal(self.person.id, self.project.id)
        return self.stage.cloud.images.show(who, image_id).status.value


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def _accounts(directory: Path, clock: VirtualClock) -> AccountsService:
    store = AccountsStore(engine=make_engine(f"sqlite:///{directory}/accounts.db", durable=False))
    store.create_all()
    return AccountsService(
        store=store, clock=clock, passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1)
    )


@pytest.fixture(scope="session")
def new_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of a cloud before its first request, to be copied: making the tables is what takes long."""
    directory = tmp_path_factory.mktemp("new")
    accounts, clock = _accounts(directory, VirtualClock()), VirtualClock()
    accounts.bootstrap_admin()
    engine = make_engine(f"sqlite:///{directory}/cloud.db", durable=False)
    build_cloud(
        settings=_settings(directory),
        accounts=accounts,
        machines=FakeMachines(directory=directory / "machines"),
        fabric=FakeFabric(),
        volume_disks=FakeVolumeDisks(directory=directory / "volumes"),
        engine=engine,
        clock=clock,
    ).close()
    engine.dispose()
    return directory


def _settings(directory: Path) -> CloudSettings:
    return CloudSettings(
        name=CloudName("east"),
        region="east",
        base_url=BASE_URL,
        directory=directory,
        floating_cidr="127.16.0.0/24",
        vendor_data="#cloud-config\n{}\n",
        host_ports=frozenset({8443}),
    )


def _stage(directory: Path, clock: VirtualClock, new_records: Path) -> Iterator[Stage]:
    for file in new_records.glob("*.db*"):
        shutil.copy(file, directory)
    accounts = _accounts(directory, clock)
    capacity = Capacity(vcpus=8, ram=MiB(16384), disk=GiB(200))
    made = Stage(
        directory=directory,
        accounts=accounts,
        clock=clock,
        machines=FakeMachines(directory=directory / "machines", capacity=capacity),
        settings=_settings(directory),
        admin=accounts.person_named("admin"),
    )
    with made.exit:
        yield made


@pytest.fixture
def stage(tmp_path: Path, clock: VirtualClock, new_records: Path) -> Iterator[Stage]:
    yield from _stage(tmp_path, clock, new_records)


@pytest.fixture(scope="module")
def common_stage(tmp_path_factory: pytest.TempPathFactory, new_records: Path) -> Iterator[Stage]:
    """One cloud for all tests of a module, which must not mind what the others leave there."""
    yield from _stage(tmp_path_factory.mktemp("common"), VirtualClock(), new_records)


def _join(
    stage: Stage, project_name: str, user_name: str, *, role: Role = Role.MEMBER, **figures: Any
) -> User:
    known = [p for p in stage.accounts.projects() if p.name == project_name]
    project = (
        known[0]
        if known
        else stage.accounts.create_project(
            name=project_name, description="", allocation=replace(ALLOCATION, **figures)
        )
    )
    person = stage.accounts.create_person(
        user_name=user_name,
        full_name=user_name,
        email=f"{user_name}@example.org",
        institute="Here",
        password="correct horse battery",
    )
    stage.accounts.set_role(project.id, person.id, role)
    return _user(stage, person, project)


@pytest.fixture
def member_of(stage: Stage) -> Callable[..., User]:
    """Makes a user with a project; the same project for the same name."""

    def make(project_name: str = "m51", user_name: str = "ada", **more: Any) -> User:
        return _join(stage, project_name, user_name, **more)

    return make


@pytest.fixture(scope="module")
def common_member_of(common_stage: Stage) -> Callable[..., User]:
    """As `member_of`, on the stage of the module."""

    def make(project_name: str, user_name: str, **more: Any) -> User:
        return _join(common_stage, project_name, user_name, **more)

    return make


def _user(stage: Stage, person: Person, project: Project) -> User:
    issued = stage.accounts.issue_token(
        person.id, kind=TokenKind.KEYSTONE, lifetime=timedelta(days=30), project_id=project.id
    )
    return User(stage, person, project, issued.secret)


@pytest.fixture
def ada(member_of: Callable[..., User]) -> User:
    """A member of project m51."""
    return member_of()


@pytest.fixture
def bob(member_of: Callable[..., User]) -> User:
    """A member of another project."""
    return member_of("ngc253", "bob")


@pytest.fixture
def root(stage: Stage) -> User:
    """An administrator of the platform."""
    (membership,) = stage.accounts.projects_of(stage.admin.id)
    return _user(stage, stage.admin, membership.project)


@pytest.fixture(scope="module")
def common_root(common_stage: Stage) -> User:
    """As `root`, on the stage of the module."""
    (membership,) = common_stage.accounts.projects_of(common_stage.admin.id)
    return _user(common_stage, common_stage.admin, membership.project)
