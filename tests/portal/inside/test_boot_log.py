"""The boot log: what is new in it, and nothing in it that a browser would take for more than text."""

from __future__ import annotations

import html

import pytest
from a_server import a_server
from portal_visitor import Browser

from armillary.accounts.model import Project
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer
from armillary.fleet.service import FleetService
from armillary.portal.inside.logs import piece_after
from armillary.portal.inside.printing import printable


def test_who_has_nothing_gets_everything_and_who_has_all_gets_nothing() -> None:
    first = piece_after("one\ntwo\nlog", "")
    assert (first.whole, first.text, first.partial) == (True, "one\ntwo\n", "log")
    again = piece_after("one\ntwo\nlogin: ", first.anchor)
    assert (again.whole, again.text, again.partial) == (False, "", "login: ")


def test_pieces_put_together_are_the_log_even_where_the_cloud_gives_its_end_only() -> None:
    lines = [f"[{number}] line" for number in range(500)]
    kept, anchor = "", ""
    for upto in range(3, 500, 7):
        piece = piece_after("\n".join(lines[max(0, upto - 50) : upto]) + "\n", anchor)
        kept = piece.text if piece.whole else kept + piece.text
        anchor = piece.anchor
    assert kept.splitlines() == lines[: max(range(3, 500, 7))]


def test_lines_that_repeat_are_told_apart_by_those_before_them() -> None:
    before = "start\n" + "dot\n" * 3
    anchor = piece_after(before, "").anchor
    assert piece_after(before + "end\n", anchor).text == "end\n"


def test_a_machine_that_boots_anew_is_shown_anew() -> None:
    anchor = piece_after("old\n" * 9, "").anchor
    assert piece_after("GRUB\nLinux\n", anchor).whole


@pytest.mark.parametrize("anchor", ["", "x", "é" * 40, "../../etc"])
def test_anchors_that_nobody_gave_out_are_answered_with_all(anchor: str) -> None:
    assert piece_after("one\n", anchor).whole


def test_colours_and_bells_are_not_shown() -> None:
    assert printable("\x1b[32m[ OK ]\x1b[0m started\x07\r\n") == "[ OK ] started\n"


def test_the_pages_follow_a_log_and_show_markup_in_it_as_text(
    ada: Browser, server: FleetServer, clouds: list[FakeCloud]
) -> None:
    hostile = "<script>alert(1)</script>"
    clouds[0].write_console(server.id, f"{hostile}\nlogin: ")
    page = ada.get(f"/machines/east/{server.id}/log")
    assert hostile not in page
    assert html.escape(hostile) in page
    path = f"/machines/east/{server.id}/log/part"
    first = ada.client.get(path)
    assert first.headers["content-type"] == "application/json"
    clouds[0].write_console(server.id, "ada\n")
    second = ada.client.get(path, params={"after": first.json()["anchor"]}).json()
    assert (second["whole"], second["text"]) == (False, "login: ada\n")


def test_the_whole_log_is_a_file_and_never_a_page(
    ada: Browser, server: FleetServer, clouds: list[FakeCloud]
) -> None:
    clouds[0].write_console(server.id, "<h1>\x1b[1mhello\n")
    reply = ada.client.get(f"/machines/east/{server.id}/log/download")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.text.endswith("<h1>\x1b[1mhello\n")


def test_the_log_of_another_project_is_not_there(
    ada: Browser, clouds: list[FakeCloud], fleet: FleetService, other_project: Project
) -> None:
    foreign = a_server(fleet, clouds, other_project)
    for part in ("log", "log/part", "log/download"):
        ada.get(f"/machines/east/{foreign.id}/{part}", status=404)
