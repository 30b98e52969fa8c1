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


@pytest.mark.parametrize(
    ("before", "task", "status"),
    [
        (VmState.ACTIVE, TaskState.PAUSING, "PAUSED"),
        (VmState.PAUSED, TaskState.UNPAUSING, "ACTIVE"),
        (VmState.ACTIVE, TaskState.SUSPENDING, "SUSPENDED"),
        (VmState.SUSPENDED, TaskState.RESUMING, "ACTIVE"),
        (VmState.ACTIVE, TaskState.RESCUING, "RESCUE"),
        (VmState.RESCUED, TaskState.UNRESCUING, "ACTIVE"),
        (VmState.ACTIVE, TaskState.REBUILDING, "ACTIVE"),
    ],
)
def test_what_was_promised_is_done_also_when_the_machine_had_done_it_already(
    stage, ada, server_id, killed_at, before, task, status
):
    rescue = {"rescue_sha512": image_of(stage, server_id)} if task is TaskState.RESCUING else {}
    killed_at(server_id, vm_state=before, task_state=task, **rescue)
    assert (ada.status(server_id), ada.server(server_id)["OS-EXT-STS:task_state"]) == (status, None)
    killed_at(server_id, vm_state=before, task_state=task, **rescue)
    assert (ada.status(server_id), ada.server(server_id)["OS-EXT-STS:task_state"]) == (status, None)


def image_of(stage, server_id):
    return server_of(stage, server_id).image_sha512


def server_of(stage, server_id):
    with stage.cloud.network.desk.reading() as connection:
        return store.SERVERS.get(connection, server_id)


@pytest.mark.parametrize("task", [TaskState.RESIZE_PREP, TaskState.RESIZE_MIGRATING, TaskState.RESIZE_FINISH])
def test_a_resize_goes_on_from_the_step_at_which_a_kill_came(stage, ada, server_id, killed_at, task):
    ada.act(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    stage.settle()
    if task is TaskState.RESIZE_MIGRATING:
        stage.machines.stop(ServerId(server_id))
    killed_at(server_id, vm_state=VmState.ACTIVE, task_state=task)
    assert ada.status(server_id) == "VERIFY_RESIZE"
    assert stage.machines.spec_of(ServerId(server_id))["vcpus"] == 2


@pytest.mark.parametrize("task", [TaskState.RESIZE_CONFIRMING, TaskState.RESIZE_REVERTING])
def test_the_end_of_a_resize_is_finished_after_a_kill(stage, ada, server_id, killed_at, task):
    ada.act(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    stage.settle()
    killed_at(server_id, task_state=task)
    flavor = "c2-2gb-10" if task is TaskState.RESIZE_CONFIRMING else "c1-1gb-5"
    server = ada.server(server_id)
    assert (server["status"], server["flavor"]["original_name"]) == ("ACTIVE", flavor)


def test_a_shelving_that_a_kill_interrupted_is_made_again(stage, ada, server_id, killed_at):
    who = stage.accounts.principal(ada.person.id, ada.project.id)
    image = stage.cloud.images.begin_snapshot(who, "vm1-shelved", {})
    shelving = {"task_state": TaskState.SHELVING, "shelved_image_id": image.id, "resting": VmState.ACTIVE}
    killed_at(server_id, **shelving)
    assert (ada.status(server_id), ada.image_status(image.id)) == ("SHELVED_OFFLOADED", "active")
    assert stage.machines.states() == {}
    killed_at(server_id, vm_state=VmState.SHELVED, task_state=TaskState.SHELVING_OFFLOADING)
    assert ada.status(server_id) == "SHELVED_OFFLOADED"
    killed_at(server_id, task_state=TaskState.UNSHELVING)
    assert ada.status(server_id) == "ACTIVE"


def test_a_backup_that_a_kill_interrupted_is_given_up(stage, ada, server_id, killed_at):
    who = stage.accounts.principal(ada.person.id, ada.project.id)
    image = stage.cloud.images.begin_snapshot(who, "backup", {})
    killed_at(server_id, task_state=TaskState.IMAGE_BACKUP, snapshot_image_id=image.id)
    assert (ada.image_status(image.id), ada.status(server_id)) == ("killed", "ACTIVE")


def test_a_server_that_waited_for_its_volumes_gets_them_after_a_kill(stage, ada, killed_at):
    disk = {
        "source_type": "image", "destination_type": "volume", "uuid": ada.image(), "volume_size": 1, "boot_index": 0,
    }  # fmt: skip
    wish = {"name": "v", "flavorRef": "c1-1gb-5", "networks": "none", "block_device_mapping_v2": [disk]}
    server_id = ada.ok("POST", "/compute/v2.1/servers", {"server": wish})["server"]["id"]
    stage.settle()
    killed_at(server_id, vm_state=VmState.BUILDING, task_state=TaskState.BLOCK_DEVICE_MAPPING)
    assert ada.status(server_id) == "ACTIVE"
    volumes = ada.ok("GET", f"/volume/v3/{ada.project.id}/volumes/detail")["volumes"]
    assert [volume["status"] for volume in volumes] == ["in-use"]
