from __future__ import annotations

from collections.abc import Iterator

import pytest
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
