"""After a kill, a crash or somebody's rm, records and machines agree again."""

import pytest

from armillary.base.ids import ServerId
from armillary.cloud import store
from armillary.cloud.compute.model import TaskState, VmState
from armillary.cloud.compute.records import save


@pytest.fixture
def server_id(ada):
    return ada.up()


@pytest.fixture
def killed_at(stage):
    """Puts a server's record as a kill at this moment leaves it, and starts a new platform over it."""

    def at(server_id, **changes):
        with stage.cloud.network.desk.writing() as connection:
            server = store.SERVERS.get(connection, server_id)
            save(connection, stage.clock, server, **changes)
        stage.restart()
        stage.cloud.reconcile()
        stage.settle()

    return at


def test_a_pass_over_a_cloud_in_order_changes_nothing(stage, ada, server_id):
    before = ada.server(server_id)
    stage.cloud.reconcile()
    stage.settle()
    assert ada.server(server_id) == before
    assert stage.machines.states() == {server_id: "running"}


def test_a_machine_that_crashed_is_shut_off(stage, ada, server_id):
    stage.machines.crash(ServerId(server_id))
    stage.cloud.reconcile()
    assert ada.status(server_id) == "SHUTOFF"
    assert ada.act(server_id, "os-start").status_code == 202
    stage.settle()
    assert ada.status(server_id) == "ACTIVE"


def test_a_machine_whose_disks_are_gone_is_an_error_that_says_so(stage, ada, server_id):
    stage.machines.destroy(ServerId(server_id))
    stage.cloud.reconcile()
    assert ada.status(server_id) == "ERROR"
    assert "disks are gone" in ada.server(server_id)["fault"]["message"]


def test_a_machine_without_a_record_is_removed(stage, ada, server_id):
    with stage.cloud.network.desk.writing() as connection:
        store.SERVERS.remove(connection, store.servers.c.id == server_id)
    stage.cloud.reconcile()
    stage.settle()
    assert stage.machines.states() == {}


@pytest.mark.parametrize("task", [TaskState.SCHEDULING, TaskState.SPAWNING])
def test_a_boot_that_a_kill_interrupted_is_made_again(stage, ada, server_id, killed_at, task):
    stage.machines.destroy(ServerId(server_id))
    killed_at(server_id, vm_state=VmState.BUILDING, task_state=task, launched_at=None)
    assert ada.status(server_id) == "ACTIVE"
    assert stage.machines.states() == {server_id: "running"}


def test_a_boot_whose_machine_was_running_when_the_kill_came_is_only_recorded(
    stage, ada, server_id, killed_at
):
    killed_at(server_id, vm_state=VmState.BUILDING, task_state=TaskState.SPAWNING)
    assert ada.status(server_id) == "ACTIVE"
    assert "boot 2" not in ada.act(server_id, "os-getConsoleOutput", {}).json()["output"]


def test_a_deletion_that_a_kill_interrupted_is_finished(stage, ada, server_id, killed_at):
    killed_at(server_id, task_state=TaskState.DELETING)
    assert ada.call("GET", f"/compute/v2.1/servers/{server_id}").status_code == 404
    assert stage.machines.states() == {}
    assert ada.used() == (0, 0, 0)


@pytest.mark.parametrize(
    ("task", "status"),
    [
        (TaskState.POWERING_OFF, "SHUTOFF"),
        (TaskState.REBOOTING, "ACTIVE"),
        (TaskState.REBOOTING_HARD, "ACTIVE"),
    ],
)
def test_what_was_being_done_is_done(ada, server_id, killed_at, task, status):
    killed_at(server_id, task_state=task)
    assert (ada.status(server_id), ada.server(server_id)["OS-EXT-STS:task_state"]) == (status, None)


def test_a_snapshot_that_a_kill_interrupted_fails_and_the_server_is_free_again(
    stage, ada, server_id, killed_at
):
    who = stage.accounts.principal(ada.person.id, ada.project.id)
    image = stage.cloud.images.begin_snapshot(who, "snap", {})
    killed_at(server_id, task_state=TaskState.IMAGE_SNAPSHOT, snapshot_image_id=image.id)
    assert ada.image_status(image.id) == "killed"
    assert ada.server(server_id)["OS-EXT-STS:task_state"] is None
    assert ada.act(server_id, "createImage", {"name": "again"}).status_code == 202


def test_a_snapshot_that_was_whole_when_the_kill_came_stays(stage, ada, server_id, killed_at):
    image_id = ada.act(server_id, "createImage", {"name": "snap"}).json()["image_id"]
    stage.settle()
    killed_at(server_id, task_state=TaskState.IMAGE_SNAPSHOT, snapshot_image_id=image_id)
    assert ada.image_status(image_id) == "active"


def test_the_network_is_there_again_after_a_restart(stage, ada, server_id):
    stage.fabric.plan = type(stage.fabric.plan)()
    stage.restart()
    stage.cloud.reconcile()
    assert [port.server_id for port in stage.fabric.plan.ports] == [server_id]
