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
from typing import Any

import pytest
import uvicorn
from warm_client import WarmClient, run_executable

from armillary.accounts.model import Allocation, Role
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.app.tls import KEEP_ALIVE
from armillary.base.clock import SystemClock
from armillary.base.errors import Unauthorized
from armillary.base.units import GiB, MiB
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.identity import Catalog, CatalogService
from armillary.cloud.api.identity.app import identity_app

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
        auth = KeystoneAuth(accounts=accounts, identity_url=catalog.identity_url)
        app = identity_app(accounts=accounts, catalog=catalog, clock=SystemClock(), auth=auth)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", timeout_keep_alive=KEEP_ALIVE)
        )
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


@pytest.fixture
def run(openstack: OpenStack) -> Callable[..., str]:
    """Runs a command, as root unless told otherwise, that must go well, and returns what it prints."""

    def made(*words: str, **settings: str) -> str:
        done = openstack(*words, **({"username": "root"} | settings))
        assert done.returncode == 0, done.stderr
        return done.stdout

    return made


def as_json(text: str) -> Any:
    return json.loads(text)


def refused(openstack: OpenStack, *words: str, says: str, **settings: str) -> None:
    done = openstack(*words, **({"username": "root"} | settings))
    assert done.returncode != 0 and says in done.stdout + done.stderr, done.stdout + done.stderr


def test_an_administrator_manages_people_projects_and_roles(
    run: Callable[..., str], accounts: AccountsService
) -> None:
    run("project", "create", "survey", "--description", "A survey")
    run("user", "create", "bob", "--password", PASSWORD, "--email", "bob@example.org")
    run("role", "add", "--project", "survey", "--user", "bob", "reader")
    listed = json.loads(run("role", "assignment", "list", "--project", "survey", "--names", "-f", "json"))
    assert [(one["Role"], one["User"]) for one in listed] == [("reader", "bob@Default")]
    survey, bob = accounts.project_named("survey"), accounts.person_named("bob")
    assert [(m.project, m.role) for m in accounts.projects_of(bob.id)] == [(survey, Role.READER)]


def test_a_project_from_its_creation_to_its_end(run: Callable[..., str], openstack: OpenStack) -> None:
    words = ("--description", "deep", "--disable", "--tag", "hot", "--tag", "far", "-f", "json")
    made = as_json(run("project", "create", *words, "fields"))
    assert (made["enabled"], made["description"], sorted(made["tags"])) == (False, "deep", ["far", "hot"])
    refused(openstack, "project", "create", "fields", says="409")
    assert as_json(run("project", "create", "--or-show", "fields", "-f", "json"))["id"] == made["id"]
    run("project", "set", "--name", "deep-fields", "--enable", "--remove-tag", "far", "fields")
    listed = as_json(run("project", "list", "--long", "--tags", "hot", "-f", "json"))
    assert [(one["Name"], one["Enabled"]) for one in listed] == [("deep-fields", True)]
    refused(openstack, "project", "create", "--parent", "m51", "inner", says="within them")
    run("project", "delete", "deep-fields")
    refused(openstack, "project", "show", "deep-fields", says="No Project found")


def test_a_user_from_the_creation_to_the_end(run: Callable[..., str], openstack: OpenStack) -> None:
    user = (
        "--project",
        "m51",
        "--email",
        "vera@example.org",
        "--description",
        "Vera",
        "--password",
        PASSWORD,
    )
    made = as_json(run("user", "create", *user, "vera", "-f", "json"))
    assert made["email"] == "vera@example.org" and made["default_project_id"]
    hers = {"username": "vera", "project_name": ""}
    assert '"project_id"' not in run("token", "issue", "-f", "json", **hers)
    run("role", "add", "--user", "vera", "--project", "m51", "member")
    token = as_json(run("token", "issue", "-f", "json", **hers))
    assert token["project_id"] == made["default_project_id"]
    newer = "another horse battery"
    run("user", "password", "set", "--original-password", PASSWORD, "--password", newer, **hers)
    run("user", "set", "--name", "v-rubin", "--email", "v@example.org", "--description", "V.", "vera")
    listed = as_json(run("user", "list", "--long", "--project", "m51", "-f", "json"))
    assert "v-rubin" in [one["Name"] for one in listed]
    run("user", "set", "--disable", "v-rubin")
    refused(openstack, "token", "issue", says="401", username="v-rubin", password=newer)
    run("user", "delete", "v-rubin")
    refused(openstack, "user", "show", "v-rubin", says="No User found")


def test_roles_are_given_in_projects_the_domain_and_the_system(
    run: Callable[..., str], openstack: OpenStack
) -> None:
    run("user", "create", "--password", PASSWORD, "judge")
    places = (("--project", "spies"), ("--domain", "default"), ("--system", "all"))
    for place in places:
        run("role", "add", "--user", "judge", *place, "admin")
    run("role", "add", "--user", "judge", "--project", "spies", "service")
    mine = as_json(run("role", "assignment", "list", "--user", "judge", "--names", "-f", "json"))
    scopes = sorted((one["Role"], one["Project"], one["Domain"], one["System"]) for one in mine)
    assert scopes == [
        ("admin", "", "", "all"),
        ("admin", "", "Default", ""),
        ("admin", "spies@Default", "", ""),
        ("service", "spies@Default", "", ""),
    ]
    effective = as_json(
        run("role", "assignment", "list", "--user", "judge", "--system", "all", "--effective", "-f", "json")
    )
    assert len(effective) == 4  # admin, and what it implies
    # an administrator of the cloud by role, in that scope alone
    by_role = {"username": "judge", "project_name": "spies"}
    assert "judge" in run("user", "list", **by_role)
    refused(openstack, "user", "set", "--password", "my own password", "root", says="403", **by_role)
    for place in places:
        run("role", "remove", "--user", "judge", *place, "admin")
    refused(openstack, "user", "list", says="403", **by_role)
    run("user", "delete", "judge")
    assert as_json(run("role", "show", "member", "-f", "json"))["name"] == "member"
    prior = [one["Prior Role Name"] for one in as_json(run("implied", "role", "list", "-f", "json"))]
    assert prior == ["admin", "manager", "member"]


def test_a_group_from_its_creation_to_its_end(run: Callable[..., str], openstack: OpenStack) -> None:
    run("group", "create", "--description", "d", "shift")
    run("group", "add", "user", "shift", "ada")
    assert "ada in group shift" in run("group", "contains", "user", "shift", "ada")
    run("role", "add", "--group", "shift", "--project", "spies", "reader")
    hers = {"username": "ada", "project_name": "spies"}
    run("token", "issue", **hers)
    (given,) = as_json(run("role", "assignment", "list", "--group", "shift", "--names", "-f", "json"))
    assert (given["Role"], given["Group"]) == ("reader", "shift@Default")
    run("group", "set", "--name", "crew", "--description", "e", "shift")
    assert [one["Name"] for one in as_json(run("group", "list", "--user", "ada", "-f", "json"))] == ["crew"]
    assert "ada" in run("user", "list", "--group", "crew")
    run("group", "remove", "user", "crew", "ada")
    refused(openstack, "token", "issue", says="401", **hers)
    run("group", "delete", "crew")
    refused(openstack, "group", "show", "crew", says="No Group found")


def test_a_token_is_revoked(run: Callable[..., str], accounts: AccountsService) -> None:
    secret = run("token", "issue", "-f", "value", "-c", "id", username="ada").strip()
    assert accounts.check_token(secret).person.user_name == "ada"
    run("token", "revoke", secret, username="ada")
    with pytest.raises(Unauthorized):
        accounts.check_token(secret)


def test_what_the_catalog_says_is_read_and_not_changed(run: Callable[..., str], openstack: OpenStack) -> None:
    assert "keystone" in run("catalog", "list", username="ada")
    assert as_json(run("catalog", "show", "identity", "-f", "json"))["name"] == "keystone"
    for words, says in (
        (("region", "list"), "RegionOne"),
        (("service", "show", "keystone"), "identity"),
        (("endpoint", "list", "--service", "keystone", "--interface", "public"), "/identity/v3"),
        (("domain", "show", "default"), "The default domain"),
        (("limit", "list"), ""),
    ):
        assert says in run(*words), words
    for words in ("domain create x", "service create x"):
        refused(openstack, *words.split(), says="403")


def test_a_pair_of_keys_from_its_creation_to_its_end(run: Callable[..., str]) -> None:
    hers = {"username": "ada"}
    pair = as_json(run("ec2", "credentials", "create", "-f", "json", **hers))
    assert as_json(run("ec2", "credentials", "show", pair["access"], "-f", "json", **hers)) == pair
    assert pair["access"] in run("ec2", "credentials", "list", **hers)
    run("ec2", "credentials", "delete", pair["access"], **hers)
    assert pair["access"] not in run("ec2", "credentials", "list", **hers)


def test_an_application_credential_is_limited_to_access_rules(
    run: Callable[..., str], openstack: OpenStack
) -> None:
    hers = {"username": "ada"}
    rules = '[{"service": "identity", "method": "GET", "path": "/v3/users/*"}]'
    words = (
        "--access-rules",
        rules,
        "--expiration",
        "2099-01-01T00:00:00",
        "--description",
        "d",
        "-f",
        "json",
    )
    made = as_json(run("application", "credential", "create", *words, "narrow", **hers))
    made = {key.lower(): value for key, value in made.items()}
    by_credential = {
        "auth_type": "v3applicationcredential",
        "application_credential_id": made["id"],
        "application_credential_secret": made["secret"],
        **dict.fromkeys(
            ("username", "password", "project_name", "user_domain_name", "project_domain_name"), ""
        ),
    }
    refused(openstack, "project", "list", says="401", **by_credential)
    (rule,) = as_json(run("access", "rule", "list", "-f", "json", **hers))
    assert (rule["Service"], rule["Method"], rule["Path"]) == ("identity", "GET", "/v3/users/*")
    assert rule["ID"] in run("access", "rule", "show", rule["ID"], **hers)
    refused(openstack, "access", "rule", "delete", rule["ID"], says="403", **hers)
    run("application", "credential", "delete", "narrow", **hers)
    run("access", "rule", "delete", rule["ID"], **hers)
    assert as_json(run("access", "rule", "list", "-f", "json", **hers)) == []


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
