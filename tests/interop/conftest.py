from __future__ import annotations

from collections.abc import Iterator

import pytest
from live_cloud import Live, live_cloud
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
