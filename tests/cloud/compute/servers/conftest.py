"""One cloud for each module here, swept after each test: what takes long is to make one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import delete

from armillary.accounts.model import Principal
from armillary.cloud import store
from armillary.cloud.images.store import images
from armillary.cloud.volumes.store import attachments, snapshots, volumes


@pytest.fixture(scope="module")
def stage(common_stage: Any) -> Any:
    return common_stage


@pytest.fixture(scope="module")
def ada(common_member_of: Callable[..., Any]) -> Any:
    """A member of project m51."""
    return common_member_of("m51", "ada")


@pytest.fixture(scope="module")
def bob(common_member_of: Callable[..., Any]) -> Any:
    """A member of another project."""
    return common_member_of("ngc253", "bob")


@pytest.fixture(autouse=True)
def swept(stage: Any) -> Iterator[None]:
    """Takes everything away that a test has made."""
    yield
    stage.settle()
    (membership,) = stage.accounts.projects_of(stage.admin.id)
    who: Principal = stage.accounts.principal(stage.admin.id, membership.project.id)
    with stage.cloud.network.desk.reading() as connection:
        servers = store.SERVERS.find(connection, store.servers.c.deleted_at.is_(None))
    for server in servers:
        stage.cloud.compute.delete(who, server.id, request_id="req-sweep")
    stage.settle()
    with stage.cloud.network.desk.writing() as connection:
        for table in (volumes, snapshots, attachments, images, store.quotas, store.floating_ips):
            connection.execute(delete(table))
        lab = [network.id for network in store.NETWORKS.find(connection, store.networks.c.name == "lab")]
        for table in (store.ports, store.subnets):
            connection.execute(delete(table).where(table.c.network_id.in_(lab)))
        connection.execute(delete(store.networks).where(store.networks.c.id.in_(lab)))


@pytest.fixture
def server_id(ada: Any) -> str:
    """An active server of Ada's."""
    return ada.up()


@pytest.fixture
def does(stage: Any, ada: Any) -> Callable[..., Any]:
    """Does something to a server, and waits for what comes of it."""

    def act(server_id: str, action: str, argument: Any = None, *, who: Any = None, status: int = 202) -> Any:
        answer = (who or ada).act(server_id, action, argument)
        assert answer.status_code == status, answer.text
        stage.settle()
        return answer

    return act


@pytest.fixture
def machine(stage: Any) -> Callable[[str], Any]:
    """What the engine says of a server's machine."""
    return lambda server_id: stage.machines.states().get(server_id)
