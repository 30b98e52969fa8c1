"""The stock `openstack` command signs in to our Identity, and is refused where it must be."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server
from subprocess import CompletedProcess

import pytest
import uvicorn
from fastapi import FastAPI
from warm_client import WarmClient, run_executable

from armillary.accounts.model import Allocation, Role
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import SystemClock
from armillary.base.units import GiB, MiB
from armillary.cloud.api.identity import Catalog, CatalogService, router

pytestmark = pytest.mark.interop

PASSWORD = "correct horse battery"
OpenStack = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> AccountsService:
    """ada is a member of m51; eve administers spies; root administers the platform."""
    directory = tmp_path_factory.mktemp("accounts")
    store = AccountsStore(engine=make_engine(f"sqlite:///{directory}/accounts.db", durable=False))
    store.create_all()
    cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    service = AccountsService(store=store, clock=SystemClock(), passwords=cheap)
    figures = Allocation(cores=4, ram=MiB(8192), disk=GiB(40), storage=GiB(10), batch_cores=8)
    for user_name, project_name, role in (("ada", "m51", Role.MEMBER), ("eve", "spies", Role.ADMIN)):
        person = service.create_person(user_name=user_name, password=PASSWORD)
        service.set_role(service.create_project(project_name, "", figures).id, person.id, role)
    root = service.create_person(user_name="root", password=PASSWORD, is_admin=True)
    service.set_role(service.project_named("m51").id, root.id, Role.ADMIN)
    return service


@pytest.fixture(scope="module")
def identity_url(accounts: AccountsService) -> Iterator[str]:
    """Identity behind a real server on a free port of the loopback."""
    with closing(create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/identity"
        services = (CatalogService(type="identity", name="keystone", url=f"{url}/v3"),)
        catalog = Catalog(region="RegionOne", services=services)
        app = FastAPI()
        app.include_router(
            router(accounts=accounts, catalog=catalog, clock=SystemClock()), prefix="/identity"
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        # the socket listens already: a client that comes before the server waits in its queue
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield url
        server.should_exit = True
        thread.join()


@pytest.fixture
def openstack(openstack_client: WarmClient, identity_url: str, tmp_path: Path) -> OpenStack:
    """Runs the command as ada in m51, but for the settings that are given; `warm` shares its imports."""

    def run(*words: str, warm: bool = True, **settings: str) -> CompletedProcess[str]:
        asked = {
            "auth_url": f"{identity_url}/v3",
            "username": "ada",
            "password": PASSWORD,
            "project_name": "m51",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "identity_api_version": "3",
        } | settings
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        clean |= {"HOME": str(tmp_path)}  # no clouds.yaml of whoever runs the tests
        clean |= {f"OS_{name.upper()}": value for name, value in asked.items() if value}
        start = openstack_client.run if warm else run_executable
        return start("openstack", *words, env=clean, cwd=tmp_path)

    return run


@pytest.mark.parametrize("path", ["/v3", ""])
def test_token_issue(openstack: OpenStack, accounts: AccountsService, identity_url: str, path: str) -> None:
    done = openstack("token", "issue", "-f", "json", auth_url=identity_url + path)
    assert done.returncode == 0, done.stderr
    token = json.loads(done.stdout)
    assert token["project_id"] == accounts.project_named("m51").id
    assert accounts.check_token(token["id"]).person.user_name == "ada"


@pytest.mark.parametrize(
    "words",
    ["project list -f json", "project show spies", "token issue --no-such-option", "token issue --help"],
)
def test_the_executable_says_what_the_warm_client_says(openstack: OpenStack, words: str) -> None:
    warm, cold = (openstack(*words.split(), warm=warm) for warm in (True, False))
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)


def test_a_member_lists_only_their_own_projects(openstack: OpenStack) -> None:
    done = openstack("project", "list", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert [project["Name"] for project in json.loads(done.stdout)] == ["m51"]


def test_an_administrator_manages_people_projects_and_roles(
    openstack: OpenStack, accounts: AccountsService
) -> None:
    def run(*words: str) -> str:
        done = openstack(*words, username="root")
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("project", "create", "survey", "--description", "A survey")
    run("user", "create", "bob", "--password", PASSWORD, "--email", "bob@example.org")
    run("role", "add", "--project", "survey", "--user", "bob", "reader")
    listed = json.loads(run("role", "assignment", "list", "--project", "survey", "--names", "-f", "json"))
    assert [(one["Role"], one["User"]) for one in listed] == [("reader", "bob@Default")]
    survey, bob = accounts.project_named("survey"), accounts.person_named("bob")
    assert [(m.project, m.role) for m in accounts.projects_of(bob.id)] == [(survey, Role.READER)]


def test_an_application_credential_is_made_used_listed_and_deleted(openstack: OpenStack) -> None:
    words = ("application", "credential")
    done = openstack(*words, "create", "cron", "--role", "reader", "-f", "json")
    assert done.returncode == 0, done.stderr
    made = {key.lower(): value for key, value in json.loads(done.stdout).items()}
    by_credential = {
        "auth_type": "v3applicationcredential",
        "application_credential_id": made["id"],
        "application_credential_secret": made["secret"],
        **dict.fromkeys(
            ("username", "password", "project_name", "user_domain_name", "project_domain_name"), ""
        ),
    }
    assert openstack("token", "issue", **by_credential).returncode == 0
    listed = json.loads(openstack(*words, "list", "-f", "json").stdout)
    assert [credential["Name"] for credential in listed] == ["cron"]
    assert openstack(*words, "delete", "cron").returncode == 0
    assert json.loads(openstack(*words, "list", "-f", "json").stdout) == []
    refused = openstack("token", "issue", **by_credential)
    assert refused.returncode != 0 and "HTTP 401" in refused.stderr


@pytest.mark.parametrize(
    "settings",
    [{"username": "nobody"}, {"project_name": "spies"}, {"username": "eve", "password": "wrong"}],
    ids=["unknown user", "foreign project", "wrong password"],
)
def test_who_has_no_business_here_is_refused(openstack: OpenStack, settings: dict[str, str]) -> None:
    done = openstack("token", "issue", **settings)
    assert done.returncode != 0
    assert "The request you have made requires authentication. (HTTP 401)" in done.stderr


def test_a_foreign_project_is_not_shown(openstack: OpenStack) -> None:
    done = openstack("project", "show", "spies")
    assert done.returncode != 0
    assert "No project with a name or ID of 'spies' exists" in done.stderr or "403" in done.stderr
