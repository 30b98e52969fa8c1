"""Clauses about views of containers: archives."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from clauses import clause
from space_talk import CORE, Talk, transfer_document

PACKAGE = "vos://cadc.nrc.ca~vospace/CADC/std/Pkg-1.0"


@clause(26, "3.4.5", "The archive view of a container holds it and all that is below.")
@pytest.mark.parametrize("form", ["application/x-tar", "application/zip"])
def test_the_archive_of_a_container_holds_all_that_is_below(ada: Talk, form: str) -> None:
    ada.make("/home/ada/c")
    ada.make("/home/ada/c/d")
    ada.write("/home/ada/c/f", b"abc")
    ada.write("/home/ada/c/d/g", b"defg")
    assert PACKAGE in ada.look("/home/ada/c").provides
    view = f'<vos:view uri="{PACKAGE}"><vos:param uri="{CORE}format">{form}</vos:param></vos:view>'
    asked = transfer_document("/home/ada/c", "pullFromVoSpace", CORE + "httpsget").replace(
        "</vos:direction>", f"</vos:direction>{view}"
    )
    answer = ada.ask(asked)
    data = ada.http.get(answer.headers["location"], follow_redirects=True).content
    if form == "application/zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            found = {info.name: archive.extractfile(info).read() for info in archive if info.isfile()}
    assert {name.partition("c/")[2]: text for name, text in found.items()} == {"f": b"abc", "d/g": b"defg"}
