"""Terminals through the portal: who gets in, and by which ticket."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from a_server import a_server
from portal_visitor import Browser
from ways_in import heard, opened, path_of, refused, ticket

from armillary.accounts.model import Project, Role
from armillary.batch.model import WorkerId
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import WORKER_MARK, FleetServer
from armillary.fleet.service import FleetService


@pytest.mark.usefixtures("machine")
def test_a_ticket_opens_one_session_and_no_second_one(ada: Browser, server: FleetServer) -> None:
    address = ticket(ada, server)
    with opened(ada, address) as line:
        assert heard(line, b"login: ")
        assert refused(ada, address)
    assert refused(ada, address)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {}, {"origin": "http://localhost:9999"}, {"origin": "null"}],
)
def test_pages_of_other_sites_open_nothing(
    ada: Browser, server: FleetServer, headers: dict[str, str]
) -> None:
    assert refused(ada, ticket(ada, server), headers)


@pytest.mark.usefixtures("machine")
def test_without_a_ticket_or_with_one_that_somebody_made_up_nothing_opens(
    ada: Browser, server: FleetServer
) -> None:
    socket = f"{path_of(server, 'serial')}/socket"
    assert refused(ada, socket)
    assert refused(ada, f"{socket}?ticket=" + "A" * 43)


@pytest.mark.usefixtures("machine")
def test_a_ticket_for_one_way_or_one_machine_opens_no_other(
    ada: Browser, server: FleetServer, fleet: FleetService, clouds: list[FakeCloud], project: Project
) -> None:
    other = a_server(fleet, clouds, project)
    assert refused(ada, ticket(ada, server, "serial").replace("/serial/", "/screen/"))
    assert refused(ada, ticket(ada, server).replace(server.id, other.id))


@pytest.mark.usefixtures("machine")
def test_another_persons_ticket_opens_nothing(
    ada: Browser, server: FleetServer, ben: Callable[[Role], None]
) -> None:
    address = ticket(ada, server)
    ben(Role.MEMBER)
    assert refused(ada.sign_in("ben"), address)


@pytest.mark.usefixtures("machine")
def test_readers_and_strangers_get_no_ticket(
    ada: Browser, server: FleetServer, ben: Callable[[Role], None]
) -> None:
    ben(Role.READER)
    reader = ada.sign_in("ben")
    said = reader.post(f"{path_of(server, 'shell')}/ticket", status=403)
    assert "reader" in said
    ada.client.cookies.clear()
    reply = ada.client.post(
        f"{path_of(server, 'shell')}/ticket", data={"csrf": ada.token()}, follow_redirects=False
    )
    assert reply.status_code == 303
    assert "/sign-in" in reply.headers["location"]


def test_a_ticket_needs_the_token_of_a_form(ada: Browser, server: FleetServer) -> None:
    reply = ada.client.post(f"{path_of(server, 'shell')}/ticket", data={})
    assert reply.status_code == 403


def test_a_machine_of_another_project_is_not_there(
    ada: Browser, clouds: list[FakeCloud], fleet: FleetService, other_project: Project
) -> None:
    foreign = a_server(fleet, clouds, other_project)
    for kind in ("shell", "serial", "screen"):
        ada.post(f"{path_of(foreign, kind)}/ticket", status=404)
    ada.post(f"{path_of(foreign, 'jupyter')}/start", status=404)


def test_nobody_goes_inside_of_a_worker(
    ada: Browser, clouds: list[FakeCloud], fleet: FleetService, project: Project
) -> None:
    worker = a_server(fleet, clouds, project, **{WORKER_MARK: str(WorkerId("w1"))})
    said = ada.client.post(f"{path_of(worker, 'shell')}/ticket", data={"csrf": ada.token()})
    assert said.status_code == 409
    assert "worker" in said.json()["message"]
    assert "worker" in ada.get(f"/machines/east/{worker.id}/inside/screen/elsewhere", status=409)


def test_terminals_are_pages_with_a_policy_that_lets_no_foreign_script_in(
    ada: Browser, server: FleetServer
) -> None:
    for kind in ("shell", "serial", "screen"):
        reply = ada.client.get(path_of(server, kind))
        assert reply.status_code == 200
        policy = reply.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
    assert ada.client.get("/static/terminals/xterm/xterm.mjs").status_code == 200
    assert ada.client.get("/static/terminals/novnc/core/rfb.js").status_code == 200
