"""Servers that begin from a checkpoint: asked for by a word in their metadata, and like any other seen from outside."""

from dataclasses import replace

import pytest

from armillary.cloud.core.template import Waiting

MARK = {"template": "t1"}


@pytest.fixture
def warm(stage):
    """A cloud that knows the template `t1`."""
    waiting = Waiting(mark="template", name="t1", user_data="#cloud-config\n{}")
    stage.settings = replace(stage.settings, waiting=waiting)
    stage.restart()
    return stage


def began(stage, server_id):
    text = stage.machines.console(server_id).decode()
    return "woke" if "woke as" in text else "booted"


def test_the_first_server_boots_and_the_next_of_its_kind_begins_from_its_checkpoint(warm, ada):
    image = ada.image()
    first = ada.up("first", image=image, metadata=MARK)
    second = ada.up("second", image=image, metadata=MARK)
    assert (began(warm, first), began(warm, second)) == ("booted", "woke")
    for server_id in (first, second):
        server = ada.server(server_id)
        assert (server["status"], server["metadata"]) == ("ACTIVE", MARK)
        assert server["addresses"]
    addresses = [ada.server(server_id)["addresses"] for server_id in (first, second)]
    assert addresses[0] != addresses[1]


def test_a_server_that_does_not_say_so_boots(warm, ada):
    image = ada.image()
    ada.up("first", image=image, metadata=MARK)
    for metadata in ({}, {"template": "another"}):
        assert began(warm, ada.up("plain", image=image, metadata=metadata)) == "booted"


def test_a_cloud_without_a_template_ignores_the_word(stage, ada):
    image = ada.image()
    ada.up("first", image=image, metadata=MARK)
    assert began(stage, ada.up("second", image=image, metadata=MARK)) == "booted"
    assert stage.machines.checkpoints() == []


def test_a_server_boots_when_it_cannot_be_woken(warm, ada):
    image = ada.image()
    ada.up("first", image=image, metadata=MARK)
    warm.machines.fail_next("wake")
    second = ada.up("second", image=image, metadata=MARK)
    assert (ada.status(second), began(warm, second)) == ("ACTIVE", "booted")


def test_a_checkpoint_that_cannot_be_made_harms_no_server(warm, ada):
    image = ada.image()
    warm.machines.fail_next("prepare")
    first = ada.up("first", image=image, metadata=MARK)
    assert ada.status(first) == "ACTIVE"
    assert warm.machines.checkpoints() == []
    assert ada.status(ada.up("second", image=image, metadata=MARK)) == "ACTIVE"
    assert began(warm, ada.up("third", image=image, metadata=MARK)) == "woke"


def test_checkpoints_go_with_their_image(warm, ada):
    image = ada.image()
    server_id = ada.up("first", image=image, metadata=MARK)
    warm.cloud.reconcile()
    assert len(warm.machines.checkpoints()) == 1
    ada.call("DELETE", f"/compute/v2.1/servers/{server_id}")
    warm.settle()
    ada.call("DELETE", f"/image/v2/images/{image}")
    warm.cloud.reconcile()
    assert warm.machines.checkpoints() == []


def test_a_restart_of_the_platform_finds_servers_and_checkpoints_again(warm, ada):
    image = ada.image()
    ada.up("first", image=image, metadata=MARK)
    second = ada.up("second", image=image, metadata=MARK)
    warm.restart()
    warm.cloud.reconcile()
    warm.settle()
    assert ada.status(second) == "ACTIVE"
    assert began(warm, ada.up("third", image=image, metadata=MARK)) == "woke"
