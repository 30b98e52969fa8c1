"""What nobody is known to have sent is not read: a stranger's large body costs neither memory nor time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from batch_world import WHOLE, World
from large_bodies import LARGE, post

from armillary.base.ids import WorkerId
from armillary.batch.api import agent_router, shortcuts


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.mark.parametrize("call", ["claim", "finish", "renew"])
def test_an_agents_large_body_is_read_only_when_its_key_is_known(
    world: World, portal: BlockingPortal, call: str
) -> None:
    app = shortcuts(agent_router(service=world.agents), world.agents)[f"/agent/v1/{call}"]
    status, code, asked = post(portal, app, f"/agent/v1/{call}", LARGE, "no-such-key")
    assert (status, asked) == ((413, False) if call == "claim" else (401, False)), code


def test_a_known_agents_large_body_is_read(world: World, portal: BlockingPortal) -> None:
    assert world.image.sha512
    token = world.register.invite(WorkerId("w1"), world.group)
    _, key = world.agents.register(
        token=token, server_id="s1", image=world.image.sha512, whole=WHOLE, version="1"
    )
    app = shortcuts(agent_router(service=world.agents), world.agents)["/agent/v1/renew"]
    assert post(portal, app, "/agent/v1/renew", LARGE, key)[1:] == ("invalid_field", True)


@pytest.mark.parametrize("path", ["/api/v1/batch/clusters", "/agent/v1/logs", "/agent/v1/checkpoint"])
def test_a_strangers_large_body_is_not_read(world: World, portal: BlockingPortal, path: str) -> None:
    status, _, asked = post(portal, world.client().app, path, LARGE, "nobody")
    assert (status, asked) == (401, False)
