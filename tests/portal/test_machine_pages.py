from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from machine_desk import an_expiry
from portal_visitor import ALLOCATION, KEY, PASSWORD, Browser

from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.units import MiB
from armillary.fleet.expiry import Expiry
from armillary.fleet.fake import FakeCloud
from armillary.fleet.launching import Order
from armillary.fleet.model import FleetServer
from armillary.fleet.parts import Reading
from armillary.fleet.service import FleetService
from armillary.notices.model import NoticeKind
from armillary.portal.machinery import Machinery
from armillary.portal.office import Office


@pytest.fixture
def server(ada: Browser, clouds: list[FakeCloud], project: Project) -> FleetServer:
    """The machine `first` of ada on cloud east, running."""
    form = {"image": "debian-12", "flavor": "c2-2gb-10", "name": "first", "key": KEY, "days": "30"}
    assert "The machine is starting." in ada.post("/machines/launch", form)
    return clouds[0].servers(project)[0]


def path_of(server: FleetServer) -> str:
    return f"/machines/{server.cloud}/{server.id}"


def half_an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=32)


def at(began: datetime, seconds: float, *, busy: float, memory: int) -> Reading:
    return Reading(
        at=began + timedelta(seconds=seconds),
        cores=2,
        cpu_seconds=busy,
        memory=MiB(2048),
        memory_used=MiB(memory),
        disk_read=int(seconds * 1000),
        disk_written=0,
        net_in=int(seconds * 10),
        net_out=0,
    )


def test_a_form_is_prefilled_by_its_address_and_shows_its_command_lines(ada: Browser) -> None:
    page = unescape(
        ada.get("/machines/launch?image=debian-12&flavor=c2-2gb-10&name=m31&cloud=west&volume=20&days=7")
    )
    assert 'value="m31"' in page
    assert '<option value="c2-2gb-10" selected>' in page
    assert (
        "armillary machine launch m31 --image debian-12 --flavor c2-2gb-10 --cloud west --volume 20 --days 7"
        in page
    )
    assert "openstack --os-cloud west server create --image debian-12 --flavor c2-2gb-10" in page


def test_what_does_not_fit_is_said_before_the_click_with_the_machines_that_would_make_room(
    ada: Browser, clouds: list[FakeCloud], project: Project, server: FleetServer
) -> None:
    ada.post(
        "/machines/launch", {"image": "debian-12", "flavor": "c4-8gb-20", "name": "large", "cloud": "east"}
    )
    page = ada.get("/machines/launch/check?flavor=c4-8gb-20&cloud=east")
    assert "It does not fit on cloud east" in page
    assert "c4-8gb-20 needs 4 cores; 6 of the project" in page
    assert "Deleting any one of these machines would make room" in page
    assert f'href="{path_of(server)}"' in page
    assert "It fits on cloud west" in ada.get("/machines/launch/check?flavor=c4-8gb-20")


def test_only_who_lacks_quota_is_led_to_more_of_it_and_to_machines_that_would_make_room(
    ada: Browser, fleet: FleetService, project: Project, server: FleetServer
) -> None:
    ada.post(
        "/machines/launch", {"image": "debian-12", "flavor": "c4-8gb-20", "name": "large", "cloud": "east"}
    )
    page = ada.get("/machines/launch/check?flavor=c4-8gb-20&cloud=east")
    assert f'href="/applications/more?figure=cores&amp;project={project.name}"' in page
    assert ada.get(f"/applications/more?figure=cores&project={project.name}")
    fleet.note_refusal(server.cloud, "c1-1gb-5", "no host is free")
    full = ada.get(f"/machines/launch/check?flavor=c1-1gb-5&cloud={server.cloud}")
    assert f"It does not fit on cloud {server.cloud}" in full
    assert "/applications/more" not in full
    assert "would make room" not in full


def test_a_machine_goes_where_there_is_room_unless_a_cloud_is_named(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    clouds[0].sizes = [size for size in clouds[0].sizes if size.name != "c4-8gb-20"]
    ada.post("/machines/launch", {"image": "debian-12", "flavor": "c4-8gb-20", "name": "large"})
    assert [machine.name for machine in clouds[1].servers(project)] == ["large"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "-rf", "A name has letters"),
        ("volume", "0", "A volume has 1 to"),
        ("days", "9999", "A machine runs for a day at least"),
        ("user_data", "x" * 50_000, "User data has at most"),
        ("image", "nothing-like-it", "There is no such image."),
    ],
)
def test_an_order_that_is_not_right_is_refused_and_makes_nothing(
    ada: Browser, clouds: list[FakeCloud], project: Project, field: str, value: str, says: str
) -> None:
    form = {"image": "debian-12", "flavor": "c1-1gb-5", "name": "good", field: value}
    status = 404 if field == "image" else 400
    assert says in ada.post("/machines/launch", form, status=status)
    assert clouds[0].servers(project) == []
    assert clouds[0].parts.volumes(project) == []


def test_a_volume_comes_with_the_machine_and_goes_again_when_it_is_refused(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    form = {"image": "debian-12", "flavor": "c4-8gb-20", "name": "wide", "cloud": "east", "volume": "30"}
    ada.post("/machines/launch", form)
    [volume] = clouds[0].parts.volumes(project)
    assert (volume.name, volume.size, volume.server_id) == ("wide-data", 30, clouds[0].servers(project)[0].id)
    ada.post("/machines/launch", {**form, "name": "second"})
    ada.post("/machines/launch", {**form, "name": "third"}, status=403)
    assert len(clouds[0].parts.volumes(project)) == 2


def test_the_list_is_filtered_and_paged_by_its_address(
    ada: Browser, clouds: list[FakeCloud], project: Project, server: FleetServer
) -> None:
    clouds[0].set_status(server.id, "SHUTOFF")
    assert "first" in ada.get("/machines?state=SHUTOFF&cloud=east&q=fir")
    assert "No machine is like that." in ada.get("/machines?q=nothing")
    assert 'hx-get="/machines/table?state=SHUTOFF"' in ada.get("/machines?state=SHUTOFF&page=7")


def test_the_ways_into_a_machine_appear_as_soon_as_it_runs(
    ada: Browser, clouds: list[FakeCloud], server: FleetServer
) -> None:
    clouds[0].set_status(server.id, "SHUTOFF")
    assert f"{path_of(server)}/inside/" not in ada.get(f"{path_of(server)}/state")
    clouds[0].set_status(server.id, "ACTIVE")
    assert f"{path_of(server)}/inside/shell" in ada.get(f"{path_of(server)}/state")


def test_the_figures_of_the_past_hour_come_column_by_column(
    ada: Browser, accounts: AccountsService, machinery: Machinery, project: Project
) -> None:
    order = Order(image="debian-12", flavor="c2-2gb-10", name="busy")
    busy = machinery.launching.launch(project, accounts.person_named("ada"), order)
    began = half_an_hour_ago()
    for n in range(3):
        machinery.sampler.book.add(busy.cloud, busy.id, at(began, n * 60, busy=n * 60, memory=400))
    ada.get(path_of(busy))
    told = ada.client.get(f"{path_of(busy)}/figures.json").json()
    assert told["cpu"][:2] == [0.5, 0.5]
    assert told["memory_used"][:2] == [400, 400]
    assert told["disk_read"][:2] == [1000.0, 1000.0]


def test_a_machine_that_uses_little_is_offered_a_smaller_size(
    ada: Browser,
    accounts: AccountsService,
    clouds: list[FakeCloud],
    project: Project,
    machinery: Machinery,
) -> None:
    clouds[0].sizes[0] = replace(clouds[0].sizes[0], disk=clouds[0].sizes[1].disk)
    order = Order(image="debian-12", flavor="c2-2gb-10", name="idle")
    idle = machinery.launching.launch(project, accounts.person_named("ada"), order)
    began = half_an_hour_ago()
    for n in range(32):
        machinery.sampler.book.add(idle.cloud, idle.id, at(began, n * 60, busy=n * 12, memory=500))
    clouds[0].parts.readings[idle.id] = at(began, 0, busy=400, memory=500)
    page = ada.get(path_of(idle))
    assert "At most 500 of 2048 MiB of memory" in page
    assert "a smaller one would do" in page
    assert "Change to c1-1gb-5" in page


def test_a_machine_has_an_end_that_is_extended_with_a_click(
    ada: Browser, machinery: Machinery, server: FleetServer
) -> None:
    assert "It is stopped in 29 days:" in ada.get(path_of(server))
    ada.post(f"{path_of(server)}/term", {"days": "7"})
    term = machinery.expiry.of(server.cloud, server.id)
    assert term
    assert timedelta(days=36) < term.ends_at - datetime.now(UTC) < timedelta(days=38)
    page = ada.post(f"{path_of(server)}/term", {"days": "366"}, status=400)
    assert "A machine runs until a moment in the coming 366 days." in page
    ada.post(f"{path_of(server)}/term", {"days": ""})
    assert "It runs without an end." in ada.get(path_of(server))


def test_the_end_is_told_a_day_and_an_hour_before_and_stops_the_machine(
    ada: Browser,
    accounts: AccountsService,
    clouds: list[FakeCloud],
    project: Project,
    machinery: Machinery,
    office: Office,
    server: FleetServer,
) -> None:
    person = accounts.person_named("ada").id
    told = lambda: [note.kind for note in office.notices.notes(person)]  # noqa: E731 - asked thrice
    ends = datetime.now(UTC) + timedelta(hours=20)
    machinery.expiry.set(server, project, person, ends)
    machinery.expiry.tick()
    machinery.expiry.tick()
    assert told() == [NoticeKind.EXPIRING]
    machinery.expiry.set(server, project, person, datetime.now(UTC) + timedelta(minutes=30))
    machinery.expiry.tick()
    assert told() == [NoticeKind.EXPIRING, NoticeKind.EXPIRING]
    assert clouds[0].server(project, server.id).status == "ACTIVE"


@pytest.fixture
def month_later(accounts: AccountsService, fleet: FleetService, office: Office, tmp_path: Path) -> Expiry:
    """What keeps the same terms, a month from now."""
    return an_expiry(
        records=f"sqlite:///{tmp_path}/machines.db",
        accounts=accounts,
        fleet=fleet,
        notices=office.notices,
        clock=VirtualClock(datetime.now(UTC) + timedelta(days=31)),
    )


def test_an_hour_that_a_cloud_was_away_is_made_up_for(
    clouds: list[FakeCloud], project: Project, month_later: Expiry, server: FleetServer
) -> None:
    clouds[0].silent = True
    month_later.tick()
    clouds[0].silent = False
    assert clouds[0].server(project, server.id).status == "ACTIVE"
    month_later.tick()
    assert clouds[0].server(project, server.id).status == "SHUTOFF"


def test_a_machine_whose_time_is_over_is_kept_and_starts_again_when_it_is_extended(
    ada: Browser, clouds: list[FakeCloud], project: Project, month_later: Expiry, server: FleetServer
) -> None:
    month_later.tick()
    page = ada.get(path_of(server))
    assert "Its time ended, and it was stopped:" in page
    assert "Make a snapshot of it, or extend its time" in page
    assert "Extend it first." in ada.post(f"{path_of(server)}/start", status=409)
    clouds[0].set_status(server.id, "ACTIVE")  # somebody starts it with another client
    month_later.stop_again({server.cloud: [(str(project.id), server.id)]})
    assert clouds[0].server(project, server.id).status == "SHUTOFF"
    ada.post(f"{path_of(server)}/term", {"days": "7"})
    ada.post(f"{path_of(server)}/start")
    assert clouds[0].server(project, server.id).status == "ACTIVE"


def test_a_new_size_is_on_trial_until_it_is_kept(
    ada: Browser, clouds: list[FakeCloud], project: Project, server: FleetServer
) -> None:
    assert "c4-8gb-20" in ada.get(f"{path_of(server)}?part=change")
    ada.post(f"{path_of(server)}/resize", {"flavor": "c4-8gb-20"})
    assert "Keep the new size" in ada.get(path_of(server))
    ada.post(f"{path_of(server)}/settle", {"keep": "no"})
    assert clouds[0].server(project, server.id).flavor == "c2-2gb-10"
    assert "has 10 GiB" in ada.post(f"{path_of(server)}/resize", {"flavor": "c1-1gb-5"}, status=409)
    assert "already" in ada.post(f"{path_of(server)}/resize", {"flavor": "c2-2gb-10"}, status=409)


def test_a_machine_begins_anew_only_when_one_is_sure(ada: Browser, server: FleetServer) -> None:
    ada.post(f"{path_of(server)}/rebuild", {"image": "debian-12"}, status=409)
    assert "The machine begins anew." in ada.post(
        f"{path_of(server)}/rebuild", {"image": "debian-12", "sure": "yes"}
    )
    assert "rebuild" in ada.get(f"{path_of(server)}?part=history")


def test_a_volume_is_made_attached_detached_and_deleted(
    ada: Browser, clouds: list[FakeCloud], project: Project, server: FleetServer
) -> None:
    ada.post(f"{path_of(server)}/volumes/attach", {"name": "data", "size": "9" * 5000}, status=400)
    ada.post(f"{path_of(server)}/volumes/attach", {"name": "data", "size": "5"})
    [volume] = clouds[0].parts.volumes(project)
    assert "/dev/vdb" in ada.get(f"{path_of(server)}?part=disks")
    assert "first" in ada.get("/volumes")
    ada.post(f"/volumes/east/{volume.id}/delete", status=409)
    ada.post(f"{path_of(server)}/volumes/detach", {"volume": volume.id})
    assert "gone after that" in ada.get(f"/volumes/east/{volume.id}/delete")
    ada.post(f"/volumes/east/{volume.id}/delete")
    assert clouds[0].parts.volumes(project) == []
    assert "1 to 100,000" in ada.post("/volumes", {"cloud": "east", "name": "x", "size": "many"}, status=400)


def test_a_rule_that_lets_ssh_in_is_closed_only_after_a_warning(
    ada: Browser, clouds: list[FakeCloud], project: Project, server: FleetServer
) -> None:
    [group] = clouds[0].parts.groups(project)
    [rule] = group.rules
    page = ada.post(f"/networks/east/rules/{rule.id}/remove", {"back": path_of(server)}, status=409)
    assert "This would cut you off" in page
    assert "first" in page
    assert clouds[0].parts.groups(project)[0].rules
    ada.post(f"/networks/east/rules/{rule.id}/remove", {"sure": "yes"})
    assert not clouds[0].parts.groups(project)[0].rules
    assert "No rule lets ssh in" in ada.get(f"{path_of(server)}?part=network")


def test_other_groups_for_a_card_ask_again_when_they_cut_ssh_off(
    ada: Browser, clouds: list[FakeCloud], project: Project, server: FleetServer
) -> None:
    assert [group.name for group in clouds[0].parts.groups(project)] == ["default"]
    closed = clouds[0].parts.create_group(project, "closed")
    [card] = clouds[0].parts.cards(project, server.id)
    form = {"card": str(card.id), f"group-{closed.id}": "yes"}
    ada.post(f"{path_of(server)}/cards/groups", form, status=409)
    ada.post(f"{path_of(server)}/cards/groups", {**form, "sure": "yes"})
    assert clouds[0].parts.cards(project, server.id)[0].groups == [closed.id]


@pytest.mark.parametrize("ports", ["", "0", "70000", "90-80", "ssh"])
def test_a_rule_without_sense_is_refused(
    ada: Browser, clouds: list[FakeCloud], project: Project, ports: str
) -> None:
    [group] = clouds[0].parts.groups(project)
    form = {"protocol": "tcp", "ports": ports}
    assert "A rule names tcp or udp" in ada.post(f"/networks/east/groups/{group.id}/rules", form, status=400)
    assert len(clouds[0].parts.groups(project)[0].rules) == 1


def test_ports_are_opened_and_networks_and_addresses_come_and_go(
    ada: Browser, clouds: list[FakeCloud], project: Project, server: FleetServer
) -> None:
    parts = clouds[0].parts
    [group] = parts.groups(project)
    back = {"back": path_of(server)}
    ada.post(f"/networks/east/groups/{group.id}/rules", {"protocol": "tcp", "ports": "8000-8080", **back})
    assert "8000–8080" in ada.get(f"{path_of(server)}?part=network")
    ada.post("/networks", {"cloud": "east", "name": "lonely", "cidr": "10.9.0.0/24"})
    apart = next(network for network in parts.networks(project) if network.name == "lonely")
    ada.post(f"{path_of(server)}/cards/plug", {"network": apart.id})
    first, second = parts.cards(project, server.id)
    ada.post(f"{path_of(server)}/cards/unplug", {"card": second.id})
    ada.post(f"{path_of(server)}/address/take", {"address": str(first.floating_id)})
    assert parts.cards(project, server.id)[0].floating == ""
    ada.post(f"{path_of(server)}/address/give")
    assert parts.cards(project, server.id)[0].floating
    assert "lonely" in ada.get("/networks")
    ada.post(f"/networks/east/{apart.id}/delete")
    assert "lonely" not in ada.get("/networks")


CHANGES = (
    "stop", "start", "reboot", "delete", "snapshot", "term", "resize", "settle", "rebuild", "volumes/attach",
    "volumes/detach", "cards/plug", "cards/unplug", "cards/groups", "address/give", "address/take",
)  # fmt: skip


def test_a_reader_changes_no_machine_and_a_foreign_one_is_not_there(
    ada: Browser, clouds: list[FakeCloud], project: Project, accounts: AccountsService, server: FleetServer
) -> None:
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    theirs = accounts.create_project("others", "", ALLOCATION)
    accounts.set_role(theirs.id, eve.id, Role.ADMIN)
    ada.post("/sign-out")
    ada.sign_in("eve")
    before = clouds[0].server(project, server.id)
    for change in CHANGES:
        ada.post(f"{path_of(server)}/{change}", {"sure": "yes", "days": "1"}, status=404)
    accounts.set_role(project.id, eve.id, Role.READER)
    ada.post("/project", {"project": "galaxies"})
    for change in CHANGES:
        ada.post(f"{path_of(server)}/{change}", {"sure": "yes", "days": "1"}, status=403)
    assert clouds[0].server(project, server.id) == before


@pytest.mark.parametrize("part", ["figures", "network", "disks", "history", "change"])
def test_a_silent_cloud_is_named_on_each_part(
    ada: Browser, clouds: list[FakeCloud], server: FleetServer, part: str
) -> None:
    assert "first" in ada.get(f"{path_of(server)}?part={part}")
    clouds[0].silent = True
    assert "does not answer" in ada.get(f"{path_of(server)}?part={part}", status=503)
