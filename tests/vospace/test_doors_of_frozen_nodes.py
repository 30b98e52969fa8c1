"""What is frozen is neither changed nor deleted by accident: every door of the service, as clients come to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from space_talk import CADC, Talk
from starlette.testclient import TestClient
from uws_talk import run, transfer, uri

from armillary.accounts.model import Principal
from armillary.vospace.core.names import FROZEN
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.freezing import Freezing

FOLDER = "/home/ada/kept"
FILE = f"{FOLDER}/m51.cat"
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


def delete(ada: Talk, path: str) -> None:
    answer = ada.delete(path)
    assert (answer.status_code, "armillary unfreeze 12" in answer.text) == (423, True), answer.text


def overwrite(ada: Talk, path: str) -> None:
    assert ada.write(path, b"other") == 423


def upload_in_pieces(ada: Talk, path: str) -> None:
    create = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    made = ada.http.post(f"/vault/uploads{path}", headers=create)
    if made.status_code == 201:
        made = ada.http.patch(made.headers["location"], content=b"other", headers=TUS)
    assert made.status_code == 423, made.text


def push(ada: Talk, path: str) -> None:
    inner = '<vos:protocol uri="ivo://ivoa.net/vospace/core#httpsput"/>'
    asked = ada.http.post("/vault/synctrans", content=transfer(path, "pushToVoSpace", inner=inner),
                          headers={"Content-Type": "text/xml"})  # fmt: skip
    if asked.status_code == 303:
        details = ada.http.get(asked.headers["location"]).text
        asked = ada.http.put(details.partition("endpoint>")[2].partition("<")[0], content=b"other")
    assert asked.status_code == 423, asked.text


def move_away(ada: Talk, path: str) -> None:
    job = run(
        ada.http, "/vault/transfers", transfer(path, "vos://cadc.nrc.ca~vault/home/ada/moved", keep="false")
    )
    assert job.findtext("{*}phase") == "ERROR"


def move_over(ada: Talk, path: str) -> None:
    ada.write("/home/ada/other", b"other")
    job = run(ada.http, "/vault/transfers", transfer("/home/ada/other", uri(path), keep="false"))
    assert job.findtext("{*}phase") == "ERROR"


def properties(ada: Talk, path: str) -> None:
    assert ada.set(path, {"ivo://example.org/x": "1"}, kind="").status_code == 423


def unlock(ada: Talk, path: str) -> None:
    ada.set(path, {CADC + "islocked": None}, kind="")


def forget_the_mark(ada: Talk, path: str) -> None:
    ada.set(path, {FROZEN: None}, kind="")


def delete_below(ada: Talk, path: str) -> None:
    run(ada.http, "/vault/async-delete", target=uri(path))


def delete_all_of_the_home(ada: Talk, path: str) -> None:
    run(ada.http, "/vault/async-delete", target=uri("/home/ada"))


DOORS: list[Callable[[Talk, str], None]] = [
    delete, overwrite, upload_in_pieces, push, move_away, move_over, properties, unlock, forget_the_mark,
    delete_below, delete_all_of_the_home,
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__.replace("_", " "))
def test_a_frozen_file_stays_as_it_is(
    http: TestClient, space: VOSpaceService, ada: Principal, door: Callable[[Talk, str], None]
) -> None:
    talk = Talk(http)
    talk.make(FOLDER)
    talk.write(FILE, b"seven sources")
    Freezing(space=space).freeze(ada, VOSPath.parse(FOLDER), "12")
    for path in (FILE, FOLDER):
        if path == FILE or door in {delete, move_away, properties, unlock, forget_the_mark, delete_below}:
            door(talk, path)
    assert talk.read(FILE) == b"seven sources"
    for path in (FILE, FOLDER):
        told = talk.look(path).properties
        assert (told[CADC + "islocked"], told[FROZEN]) == ("true", "12")
