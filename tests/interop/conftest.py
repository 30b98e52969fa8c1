from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_cloud import Live, live_cloud
from space_clients import Space, Terminal, live_space
from warm_client import WarmClient


@pytest.fixture(scope="session")
def openstack_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmClient]:
    """The stock `openstack` command. Its parent's home has no clouds.yaml."""
    home = tmp_path_factory.mktemp("openstack-client")
    client = WarmClient(home=home, script="openstack", load=["openstackclient.shell"])
    yield client
    client.close()


@pytest.fixture(scope="session")
def vos_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmClient]:
    """The stock VOSpace commands, which compute paths in the home directory while they are imported."""
    home = tmp_path_factory.mktemp("vos-client")
    client = WarmClient(home=home, script="vls", load=["vos.commands"], fresh=["vos", "cadcutils"])
    yield client
    client.close()


@pytest.fixture(scope="session")
def canfar_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmClient]:
    """The stock `canfar` command; where its settings are it computes while it is imported."""
    home = tmp_path_factory.mktemp("canfar-client")
    client = WarmClient(
        home=home, script="canfar", load=["canfar.cli.main", "vosfs", "fss_cli"], fresh=["canfar"]
    )
    yield client
    client.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, openstack_client: WarmClient) -> Iterator[Live]:
    """A cloud of the module's own, and the stock command signed in to it."""
    with live_cloud(tmp_path_factory.mktemp("cloud"), openstack_client) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def image(live: Live) -> str:
    """The name of a small image."""
    file = live.home / "base.raw"
    file.write_bytes(b"\0" * 65536)
    live.ok("image", "create", "--disk-format", "raw", "--file", str(file), "base")
    return "base"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    """A VOSpace of the module's own."""
    with live_space(tmp_path_factory.mktemp("space")) as space:
        yield space


@pytest.fixture
def terminal(space: Space, vos_client: WarmClient, tmp_path: Path) -> Terminal:
    """Nobody is signed in."""
    return Terminal(home=tmp_path, space=space, client=vos_client)


@pytest.fixture
def ada(terminal: Terminal) -> Terminal:
    """Ada's terminal, with her certificate."""
    terminal.sign_in("ada")
    return terminal


@pytest.fixture(params=["vos", "arc"])
def face(request: pytest.FixtureRequest) -> str:
    """The scheme of one of the two names under which the stock clients see the tree: `vos:` is the service vault."""
    return request.param


@pytest.fixture
def folder(space: Space, face: str, request: pytest.FixtureRequest) -> str:
    """The path of a container of the test's own."""
    name = request.node.originalname.removeprefix("test_")[:60]
    path = f"/home/ada/{name}-{face}"
    space.mkdir(path)
    return path


@pytest.fixture
def there(face: str, folder: str) -> str:
    """The same container as the stock clients write it."""
    return f"{face}:{folder.strip('/')}"


@pytest.fixture
def whole(face: str, folder: str) -> str:
    """The same container by its whole URI, in which the stock clients check nothing."""
    return f"vos://armillary.example~{'vault' if face == 'vos' else face}{folder}"
