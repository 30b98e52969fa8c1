"""The page where a DOI leads."""

from __future__ import annotations

import pytest
from batch_desk import BatchDesk
from portal_visitor import Browser

from armillary.accounts.model import Principal, Project
from armillary.accounts.service import AccountsService
from armillary.base.ids import ClusterId
from armillary.fleet.fake import FakeCloud
from armillary.provenance.freezing import Freezes
from armillary.vospace.model import Change
from armillary.vospace.service import VOSpaceService

FILES = [("files", ("count.sh", b"#!/bin/sh\n"))]


@pytest.fixture
def owner(
    ada: Browser,
    accounts: AccountsService,
    vospace: VOSpaceService,
    clouds: list[FakeCloud],
    project: Project,
) -> Principal:
    """Ada, whose submit is over."""
    image = str(clouds[0].images(project)[0].sha512)
    submit = "executable = count.sh\nqueue\n"
    ada.post("/jobs/submit", {"image": image, "flavor": "c2-2gb-10", "submit_text": submit}, files=FILES)
    person = accounts.person_named("ada")
    vospace.ensure_home(person)
    return Principal(person=person)


def test_it_is_for_everybody_once_its_folder_is_public_and_for_nobody_else_before(
    owner: Principal,
    ada: Browser,
    stranger: Browser,
    desk: BatchDesk,
    freezes: Freezes,
    vospace: VOSpaceService,
) -> None:
    desk.do_job(files={"m51.cat": b"7 sources"})
    frozen = freezes.freeze(owner, ClusterId(1), to=None, title="<b>Sources</b> in M51")
    page = ada.get("/frozen/1")
    assert "&lt;b&gt;Sources&lt;/b&gt; in M51" in page
    assert "ro-crate-metadata.json" in page
    assert "armillary export 1" in page
    ada.client.cookies.clear()
    assert "There is no such frozen cluster" in stranger.get("/frozen/1", status=404)
    assert "There is no such frozen cluster" in stranger.get("/frozen/2", status=404)
    vospace.set_properties(owner, frozen.path, Change(is_public=True))
    assert "ro-crate-metadata.json" in stranger.get("/frozen/1")
