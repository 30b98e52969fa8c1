from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from a_server import a_server
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi.testclient import TestClient
from machine_in_process import MachineInProcess
from portal_visitor import ALLOCATION, REGISTRATION

from armillary.accounts.certificates import Authority
from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.clock import SystemClock
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer, SshAddress
from armillary.fleet.service import FleetService
from armillary.portal.inside.authority import ShellAuthority
from armillary.portal.inside.service import Inside


@pytest.fixture(scope="module")
def loop() -> Iterator[BlockingPortal]:
    """Where the machine's servers run."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def server(clouds: list[FakeCloud], fleet: FleetService, project: Project) -> FleetServer:
    """A machine of galaxies that runs, as far as the cloud says."""
    return a_server(fleet, clouds, project)


@pytest.fixture
def home() -> Iterator[Path]:
    """The person's home in the machine: a short path like a real one's, for the sockets in it (108 bytes at most)."""
    with TemporaryDirectory(prefix="home-") as folder:
        yield Path(folder)


@pytest.fixture
def machine(
    clouds: list[FakeCloud],
    server: FleetServer,
    loop: BlockingPortal,
    clock: SystemClock,
    tmp_path: Path,
    home: Path,
) -> Iterator[MachineInProcess]:
    """What answers under that machine's address: it lets in what the portal's line allows."""
    made = MachineInProcess(home)
    authority = ShellAuthority(key=Authority(tmp_path / "authority", clock).ssh_key(), clock=clock)
    line = f'cert-authority,principals="{server.id}" {authority.public_line}'
    clouds[0].ssh_at = SshAddress(host="127.0.0.1", port=loop.call(made.start, line))
    clouds[0].consoles_at["serial"] = loop.call(made.start_consoles)
    yield made
    loop.call(made.stop)


@pytest.fixture(autouse=True)
def one_loop(client: TestClient) -> Iterator[None]:
    """All WebSockets of a test on one event loop, as a server has them."""
    with client:
        yield


@pytest.fixture
def inside(client: TestClient) -> Inside:
    app: Any = client.app
    return app.state.portal.inside


@pytest.fixture
def other_project(accounts: AccountsService, project: Project) -> Project:
    fields = {k: REGISTRATION[k] for k in ("full_name", "institute", "password")}
    return a_person(accounts, "eve", "dwarfs", **fields)


@pytest.fixture
def ben(accounts: AccountsService, project: Project) -> Callable[[Role], None]:
    """Makes ben what the test says in galaxies."""
    fields = {k: REGISTRATION[k] for k in ("full_name", "institute", "password")}
    a_person(accounts, "ben", "stars", **fields)
    person = accounts.person_named("ben")

    def become(role: Role) -> None:
        accounts.set_role(project.id, person.id, role)

    return become


def a_person(accounts: AccountsService, user_name: str, project_name: str, **fields: str) -> Project:
    application = accounts.register(
        user_name=user_name, email=f"{user_name}@example.org", **fields,
        project_name=project_name, requested=ALLOCATION, reason="To count.",
    )  # fmt: skip
    return accounts.approve(application.id, by=accounts.person_named("admin").id)
