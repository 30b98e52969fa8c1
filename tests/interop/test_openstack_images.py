"""The stock `openstack` command and openstacksdk keep images with us."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server
from subprocess import CompletedProcess

import openstack as sdk
import pytest
import uvicorn
from openstack.connection import Connection
from warm_client import WarmClient

from armillary.accounts.model import Allocation, Role
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.app.tls import KEEP_ALIVE
from armillary.base.clock import SystemClock
from armillary.base.units import GiB, MiB
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.identity import Catalog, CatalogService
from armillary.cloud.api.identity.app import identity_app
from armillary.cloud.api.image import image_app
from armillary.cloud.api.shared import Prefixes
from armillary.cloud.images.service import ImageService

pytestmark = pytest.mark.interop

PASSWORD = "correct horse battery"
CONTENT = bytes(range(256)) * 4096
OpenStack = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Identity and Image behind a real server; ada is in m51, bob in ngc253."""
    directory = tmp_path_factory.mktemp("cloud")
    store = AccountsStore(engine=make_engine(f"sqlite:///{directory}/accounts.db", durable=False))
    store.create_all()
    cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    accounts = AccountsService(store=store, clock=SystemClock(), passwords=cheap)
    figures = Allocation(cores=4, ram=MiB(8192), disk=GiB(40), storage=GiB(10), batch_cores=8)
    for user_name, project_name in (("ada", "m51"), ("bob", "ngc253")):
        person = accounts.create_person(user_name=user_name, password=PASSWORD)
        accounts.set_role(accounts.create_project(project_name, "", figures).id, person.id, Role.MEMBER)
    images = ImageService(
        engine=make_engine(f"sqlite:///{directory}/images.db", durable=False),
        directory=directory / "images",
        clock=SystemClock(),
    )
    with closing(create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        services = (
            CatalogService(type="identity", name="keystone", url=f"{url}/identity/v3"),
            CatalogService(type="image", name="glance", url=f"{url}/image"),
        )
        catalog = Catalog(region="RegionOne", services=services)
        auth = KeystoneAuth(accounts=accounts, identity_url=f"{url}/identity/v3")
        identity = identity_app(accounts=accounts, catalog=catalog, clock=SystemClock(), auth=auth)
        image = image_app(images=images, auth=auth, base_url=f"{url}/image", prefix="/image")
        app = Prefixes({"/identity": lambda: identity, "/image": lambda: image}, otherwise=identity)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", timeout_keep_alive=KEEP_ALIVE)
        )
        # the socket listens already: a client that comes before the server waits in its queue
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield url
        server.should_exit = True
        thread.join()


def access(base_url: str, user: str, project: str) -> dict[str, str]:
    return {
        "auth_url": f"{base_url}/identity/v3",
        "username": user,
        "password": PASSWORD,
        "project_name": project,
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


@pytest.fixture
def openstack(openstack_client: WarmClient, base_url: str, tmp_path: Path) -> OpenStack:
    """Runs the command as ada in m51, or as `user` in `project`."""

    def run(
        *words: str, user: str = "ada", project: str = "m51", fails: bool = False
    ) -> CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        clean |= {"HOME": str(tmp_path)}  # no clouds.yaml of whoever runs the tests
        clean |= {f"OS_{name.upper()}": value for name, value in access(base_url, user, project).items()}
        done = openstack_client.run("openstack", *words, env=clean, cwd=tmp_path)
        assert (done.returncode != 0) == fails, done.stderr
        return done

    return run


@pytest.fixture
def connection(base_url: str) -> Iterator[Connection]:
    """openstacksdk, as ada in m51."""
    with sdk.connect(load_yaml_config=False, load_envvars=False, **access(base_url, "ada", "m51")) as made:
        yield made


@pytest.mark.timeout(300)
def test_an_image_from_its_creation_to_its_end(openstack: OpenStack, tmp_path: Path) -> None:
    picture = tmp_path / "picture.raw"
    picture.write_bytes(CONTENT)
    made = openstack(
        "image", "create", "--disk-format", "raw", "--container-format", "bare", "--file", str(picture),
        "--property", "os_distro=debian", "m51", "-f", "json",
    )  # fmt: skip
    image = json.loads(made.stdout)
    assert image["status"] == "active"
    assert image["checksum"] == hashlib.md5(CONTENT).hexdigest()
    assert image["properties"]["os_hash_value"] == hashlib.sha512(CONTENT).hexdigest()
    openstack("image", "save", "--file", "copy.raw", "m51")
    assert (tmp_path / "copy.raw").read_bytes() == CONTENT
    openstack("image", "set", "--property", "foo=bar", "--tag", "t1", "--min-disk", "2", "m51")
    shown = json.loads(openstack("image", "show", "m51", "-f", "json").stdout)
    assert (shown["properties"]["foo"], shown["tags"], shown["min_disk"]) == ("bar", ["t1"], 2)
    openstack("image", "unset", "--property", "foo", "--tag", "t1", "m51")
    listed = json.loads(openstack("image", "list", "--status", "active", "-f", "json").stdout)
    assert [one["Name"] for one in listed] == ["m51"]
    openstack("image", "set", "--name", "whirlpool", "m51")
    openstack("image", "delete", "whirlpool")
    assert json.loads(openstack("image", "list", "-f", "json").stdout) == []


@pytest.mark.timeout(300)
def test_an_image_with_every_option_is_protected_hidden_and_withdrawn(
    openstack: OpenStack, connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "disk").write_bytes(CONTENT)
    identifier = "7b5d2a3a-5a43-4a8c-a2fb-0d8a0a8b6e01"
    made = openstack(
        "image", "create", "--id", identifier, "--disk-format", "vmdk", "--container-format", "ovf",
        "--min-disk", "3", "--min-ram", "64", "--file", "disk", "--protected", "--private", "--tag", "t1",
        "--tag", "t2", "--property", "a=b", "--project", connection.current_project_id, "all", "-f", "json",
    )  # fmt: skip
    image = json.loads(made.stdout)
    assert (image["id"], image["disk_format"], image["container_format"]) == (identifier, "vmdk", "ovf")
    assert (image["min_disk"], image["min_ram"], image["protected"]) == (3, 64, True)
    assert (image["status"], image["visibility"]) == ("active", "private")
    assert "is protected and cannot be deleted" in openstack("image", "delete", "all", fails=True).stderr
    openstack("image", "set", "--unprotected", "--hidden", "--community", "--deactivate", "all")
    assert json.loads(openstack("image", "list", "-f", "json").stdout) == []
    words = ("--hidden", "--community", "--tag", "t1", "--property", "a=b", "--sort", "name:asc,size:desc")
    (listed,) = json.loads(openstack("image", "list", "--long", *words, "-f", "json").stdout)
    assert (listed["Status"], listed["Visibility"]) == ("deactivated", "community")
    openstack("image", "save", "--file", "no", "all", fails=True)
    openstack(
        "image", "set", "--activate", "--unhidden", "--private", "--name", "still", "--os-distro", "debian",
        "--architecture", "x86_64", identifier,
    )  # fmt: skip
    shown = connection.image.get_image(identifier)
    assert (shown.name, shown.os_distro, shown.architecture) == ("still", "debian", "x86_64")
    openstack("image", "delete", "still")


@pytest.mark.timeout(300)
def test_an_image_is_imported_by_way_of_the_stage(openstack: OpenStack, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(CONTENT)
    made = openstack("image", "create", "--import", "--file", "disk", "direct", "-f", "json")
    assert json.loads(made.stdout)["status"] == "active"
    says = openstack(
        "image", "import", "--method", "web-download", "--uri", "http://x.test", "direct", fails=True
    )
    assert "not supported" in says.stderr
    assert "glance-direct" in openstack("image", "import", "info").stdout
    assert json.loads(openstack("image", "metadef", "namespace", "list", "-f", "json").stdout) == []
    openstack("image", "delete", "direct")


@pytest.mark.timeout(300)
def test_an_image_is_shared_with_another_project(openstack: OpenStack, connection: Connection) -> None:
    image = connection.image.create_image("shared", data=CONTENT, disk_format="raw", container_format="bare")
    openstack("image", "set", "--shared", image.id)
    theirs = {"user": "bob", "project": "ngc253"}
    token = json.loads(openstack("token", "issue", "-f", "json", **theirs).stdout)
    openstack("image", "add", "project", image.id, token["project_id"])
    assert json.loads(openstack("image", "list", "--shared", "-f", "json", **theirs).stdout) == []
    openstack("image", "set", "--accept", image.id, **theirs)
    listed = json.loads(openstack("image", "list", "--shared", "-f", "json", **theirs).stdout)
    assert [one["ID"] for one in listed] == [image.id]
    members = json.loads(openstack("image", "member", "list", image.id, "-f", "json").stdout)
    assert [one["Status"] for one in members] == ["accepted"]
    openstack("image", "remove", "project", image.id, token["project_id"])
    connection.image.delete_image(image.id)


def test_openstacksdk_streams_an_image_out_and_checks_it(connection: Connection, tmp_path: Path) -> None:
    picture = tmp_path / "picture.raw"
    picture.write_bytes(CONTENT)
    image = connection.image.create_image(
        "streamed", filename=str(picture), disk_format="raw", container_format="bare", validate_checksum=True
    )
    with (tmp_path / "copy").open("wb") as copy:
        connection.image.download_image(image, output=copy)
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert [one.name for one in connection.image.images(limit=1)] == ["streamed"]
    connection.image.delete_image(image)


def test_a_connection_that_breaks_in_an_upload_leaves_the_image_queued(
    connection: Connection, base_url: str
) -> None:
    image = connection.image.create_image("broken", disk_format="raw", container_format="bare")
    host = base_url.removeprefix("http://")
    broken = http.client.HTTPConnection(host)
    broken.putrequest("PUT", f"/image/v2/images/{image.id}/file")
    broken.putheader("X-Auth-Token", connection.auth_token)
    broken.putheader("Content-Type", "application/octet-stream")
    broken.putheader("Content-Length", str(len(CONTENT)))
    broken.endheaders(CONTENT[: len(CONTENT) // 2])
    broken.close()
    # the next upload is let in as soon as the service has noticed: until then it answers 409
    for _ in range(200):
        answer = connection.image.put(
            f"/images/{image.id}/file", data=CONTENT, headers={"Content-Type": "application/octet-stream"}
        )
        if answer.status_code == 204:
            break
        assert answer.status_code == 409
    whole = connection.image.get_image(image.id)
    assert (whole.status, whole.hash_value) == ("active", hashlib.sha512(CONTENT).hexdigest())
    connection.image.delete_image(image.id)
