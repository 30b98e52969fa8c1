from __future__ import annotations

import pytest
from portal_visitor import ALLOCATION, KEY, PASSWORD, Browser

from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.ids import CloudName
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import WORKER_MARK, FleetServer
from armillary.fleet.service import FleetService


def launch(ada: Browser, clouds: list[FakeCloud], project: Project, **fields: str) -> FleetServer:
    [image] = [image for image in clouds[0].images(project) if image.name == "debian-12"]
    form = {"cloud": "east", "image": image.id, "flavor": "c1-1gb-5", "name": "first", "key": KEY, **fields}
    page = ada.post("/machines/launch", form)
    assert "The machine is starting." in page
    return clouds[0].servers(project)[0]


def test_three_fields_launch_a_machine_with_an_address_and_an_ssh_line(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    server = launch(ada, clouds, project)
    page = ada.get(f"/machines/east/{server.id}/state")
    assert f"ssh debian@{server.floating_ip}" in page
    assert server.key_name
    assert server.key_name.startswith("ada-")
    assert "first" in ada.get("/machines")


def test_a_key_is_kept_for_the_next_launch(ada: Browser, clouds: list[FakeCloud], project: Project) -> None:
    launch(ada, clouds, project)
    page = ada.get("/machines/launch")
    assert "ada@laptop" in page
    fingerprint = page.split('<option value="SHA256:')[1].split('"')[0]
    second = launch(ada, clouds, project, key="", fingerprint=f"SHA256:{fingerprint}", name="second")
    assert second.key_name == clouds[0].servers(project)[1].key_name


@pytest.mark.parametrize(
    "text", ["not a key", "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3M=", KEY + "\n" + KEY]
)
def test_what_is_no_key_is_refused(ada: Browser, text: str) -> None:
    assert "This is not an ssh public key." in ada.post("/keys", {"key": text}, status=400)


def test_a_key_is_added_and_removed(ada: Browser) -> None:
    assert "ada@laptop" in ada.post("/keys", {"key": KEY})
    fingerprint = "SHA256:" + ada.get("/keys").split("<code>SHA256:")[1].split("<")[0]
    assert "ada@laptop" not in ada.post("/keys/remove", {"fingerprint": fingerprint})


def test_over_quota_says_so_and_keeps_the_form(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    for _ in range(2):
        launch(ada, clouds, project, flavor="c4-8gb-20")
    [image] = [image for image in clouds[0].images(project) if image.name == "debian-12"]
    form = {"cloud": "east", "image": image.id, "flavor": "c4-8gb-20", "name": "third"}
    page = ada.post("/machines/launch", form, status=403)
    assert "does not fit into what your project was granted" in page
    assert 'value="third"' in page


def test_a_failed_boot_shows_its_fault(ada: Browser, clouds: list[FakeCloud], project: Project) -> None:
    server = launch(ada, clouds, project)
    clouds[0].set_status(server.id, "ERROR", fault="No valid host was found.")
    assert "No valid host was found." in ada.get(f"/machines/east/{server.id}")


def test_a_machine_that_is_going_says_so_and_is_looked_at_again_soon(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    server = launch(ada, clouds, project)
    clouds[0].set_status(server.id, "ACTIVE")
    assert 'hx-trigger="every 15s"' in ada.get("/machines/table")
    clouds[0].set_status(server.id, "ACTIVE", task="deleting")
    table = ada.get("/machines/table")
    assert "being deleted" in table
    assert 'hx-trigger="every 3s"' in table


def test_a_machine_is_stopped_started_and_deleted_after_a_question(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    server = launch(ada, clouds, project)
    ada.post(f"/machines/east/{server.id}/stop")
    assert clouds[0].server(project, server.id).status == "SHUTOFF"
    ada.post(f"/machines/east/{server.id}/start")
    assert "Delete first?" in ada.get(f"/machines/east/{server.id}/delete")
    ada.post(f"/machines/east/{server.id}/delete")
    assert clouds[0].servers(project) == []


def test_a_snapshot_appears_with_its_digest_and_leads_to_jobs(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    server = launch(ada, clouds, project)
    page = ada.post(f"/machines/east/{server.id}/snapshot", {"name": "with-sextractor"})
    [image] = [image for image in clouds[0].images(project) if image.name == "with-sextractor"]
    assert str(image.sha512) in page
    assert f'href="/jobs/submit?image={image.sha512}"' in page


def test_an_image_of_one_cloud_is_launched_on_the_other(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    [image] = clouds[0].images(project)
    form = {"cloud": "west", "image": str(image.sha512), "flavor": "c1-1gb-5", "name": "far"}
    assert "The machine is starting." in ada.post("/machines/launch", form)
    assert clouds[1].servers(project)[0].name == "far"
    assert clouds[1].images(project)[0].sha512 == image.sha512


def test_copies_of_one_image_are_one_row(ada: Browser, clouds: list[FakeCloud]) -> None:
    clouds[1].add_image("debian-12", b"disk")
    assert ada.get("/images").count("Run jobs with this image") == 1


def test_workers_of_jobs_come_after_the_machines_of_people_and_lead_to_their_page(
    ada: Browser, clouds: list[FakeCloud], project: Project, fleet: FleetService
) -> None:
    launch(ada, clouds, project)
    image = fleet.find_image(project, "debian-12")
    marks = {WORKER_MARK: "1"}
    worker = {"name": "worker-1", "image_id": image.id, "flavor": "c1-1gb-5", "metadata": marks}
    fleet.create_server(CloudName("east"), project, **worker)
    people, _, workers = ada.get("/machines").partition(">first</a>")
    assert "worker-1" not in people
    assert workers.partition(">worker-1</a>")[2].partition("</td>")[0].count('href="/workers"') == 1
    assert 'href="/workers"' not in workers.partition(">worker-1</a>")[0]


def test_a_silent_cloud_does_not_hide_the_other(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    launch(ada, clouds, project)
    clouds[1].silent = True
    page = ada.get("/machines")
    assert "first" in page
    assert "does not answer" in page
    assert "does not answer" in ada.get("/")


def test_a_platform_image_cannot_be_deleted_by_a_member(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    [image] = clouds[0].images(project)
    ada.post(f"/images/east/{image.id}/delete", status=404)
    assert clouds[0].images(project) == [image]


def test_a_reader_looks_and_changes_nothing(
    ada: Browser, clouds: list[FakeCloud], project: Project, accounts: AccountsService
) -> None:
    server = launch(ada, clouds, project)
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    accounts.set_role(project.id, eve.id, Role.READER)
    ada.post("/sign-out")
    ada.sign_in("eve")
    assert "first" in ada.get("/machines")
    ada.get("/machines/launch", status=403)
    ada.post(f"/machines/east/{server.id}/delete", status=403)
    ada.post(f"/machines/east/{server.id}/snapshot", {"name": "s"}, status=403)


def test_a_foreign_project_and_its_machines_do_not_exist(
    ada: Browser, clouds: list[FakeCloud], project: Project, accounts: AccountsService
) -> None:
    server = launch(ada, clouds, project)
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    theirs = accounts.create_project("others", "", ALLOCATION)
    accounts.set_role(theirs.id, eve.id, Role.ADMIN)
    ada.post("/sign-out")
    ada.sign_in("eve")
    ada.get(f"/machines/east/{server.id}", status=404)
    ada.post(f"/machines/east/{server.id}/delete", status=404)
    assert clouds[0].servers(project)
    page = ada.get("/machines?project=galaxies", status=404)
    assert "You have no such project." in page
