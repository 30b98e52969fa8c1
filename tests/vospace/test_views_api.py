"""Cutouts, headers and pictures on the addresses of bytes, in transfers, and by SODA and DataLink."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from lxml import etree
from made_fits import opened, ramp, sky, view, written
from pyvo.dal.adhoc import DatalinkResults
from starlette.testclient import TestClient

from armillary.vospace.service import VOSpaceService

VOS = "http://www.ivoa.net/xml/VOSpace/v2.0"
CORE = "ivo://ivoa.net/vospace/core#"
IMAGE = ramp(100, 120)
FILE = written(fits.PrimaryHDU(IMAGE, sky(middle=50.5)))
URI = "vos://armillary.example~vault/home/ada/m51.fits"


@pytest.fixture(autouse=True)
def _file(http: TestClient) -> None:
    assert http.put("/vault/files/home/ada/m51.fits", content=FILE).status_code == 201


@pytest.mark.parametrize("service", ["vault", "arc"])
def test_a_cutout_comes_from_either_service(http: TestClient, service: str) -> None:
    got = http.get(
        f"/{service}/files/home/ada/m51.fits", params={"SUB": "[0][11:20,31:50]"}, follow_redirects=True
    )
    assert got.status_code == 200
    assert got.headers["content-type"] == "application/fits"
    assert got.headers["content-disposition"].startswith('attachment; filename="m51_cutout.fits"')
    assert int(got.headers["content-length"]) == len(got.content)
    assert "digest" not in got.headers
    assert "accept-ranges" not in got.headers
    assert np.array_equal(opened(got.content)[0].data, IMAGE[30:50, 10:20])


def test_vault_sends_on_with_the_whole_query(http: TestClient, stranger: TestClient) -> None:
    sent_on = http.get(
        "/vault/files/home/ada/m51.fits", params={"CIRCLE": "202.47 47.195 0.001", "RUNID": "7"}
    )
    assert sent_on.status_code == 303
    got = stranger.get(sent_on.headers["location"])
    assert got.content == view(FILE, ("CIRCLE", "202.47 47.195 0.001"))


def test_headers_are_text(http: TestClient) -> None:
    got = http.get("/arc/files/home/ada/m51.fits", params={"META": "true"})
    assert got.headers["content-type"].startswith("text/plain")
    assert fits.Header.fromstring(got.text, sep="\n")["CTYPE1"] == "RA---TAN"
    whole = http.get("/arc/files/home/ada/m51.fits", params={"META": "false"})
    assert whole.content == FILE


def test_pictures_are_kept_and_known(http: TestClient) -> None:
    first = http.get("/arc/files/home/ada/m51.fits", params={"PREVIEW": "thumbnail"})
    assert first.content.startswith(b"\x89PNG")
    assert first.headers["content-type"] == "image/png"
    assert first.headers["content-disposition"].startswith('inline; filename="m51.png"')
    assert first.headers["content-security-policy"].startswith("sandbox")
    assert http.get("/arc/files/home/ada/m51.fits?preview=thumbnail").content == first.content
    known = {"If-None-Match": first.headers["etag"]}
    again = http.get("/arc/files/home/ada/m51.fits", params={"PREVIEW": "thumbnail"}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    other = http.get("/arc/files/home/ada/m51.fits", params={"PREVIEW": "64"}, headers=known)
    assert other.status_code == 200
    http.put("/vault/files/home/ada/m51.fits", content=written(fits.PrimaryHDU(IMAGE[::-1])))
    newer = http.get("/arc/files/home/ada/m51.fits", params={"PREVIEW": "thumbnail"}, headers=known)
    assert newer.status_code == 200
    assert newer.content != first.content


def test_head_tells_without_making(http: TestClient) -> None:
    told = http.head("/arc/files/home/ada/m51.fits", params={"SUB": "[1:2,1:2]"})
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-type"] == "application/fits"
    assert "digest" not in told.headers
    assert "content-length" not in told.headers


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("SUB=[", 400, "invalid_argument"),
        ("CIRCLE=1", 400, "invalid_argument"),
        ("SUB=[7][1:2,1:2]", 404, "hdu_not_found"),
        ("SUB=[500:600,1:2]", 400, "no_overlap"),
        ("CIRCLE=1 2 0.1", 400, "no_overlap"),
        ("BAND=1e-7 2e-7", 400, "no_coordinates"),
        ("META=true&SUB=[1:2]", 400, "invalid_argument"),
    ],
)
def test_what_cannot_be_cut_says_why(http: TestClient, query: str, status: int, code: str) -> None:
    got = http.get(f"/arc/files/home/ada/m51.fits?{quote(query, safe='=&')}")
    assert (got.status_code, got.headers["x-armillary-code"]) == (status, code)
    assert len(got.text) > 20


def test_what_is_no_fits_file_too_large_or_empty_says_so(http: TestClient) -> None:
    http.put("/vault/files/home/ada/text.fits", content=b"hello")
    http.put("/vault/files/home/ada/empty.fits", content=b"")
    http.put("/vault/files/home/ada/big.fits", content=written(fits.PrimaryHDU(ramp(1000, 1000))))
    for name, code, status in (
        ("text", "fits_invalid", 400), ("empty", "fits_invalid", 400), ("big", "cutout_too_large", 413),
    ):  # fmt: skip
        got = http.get(f"/arc/files/home/ada/{name}.fits", params={"SUB": "[*,*]"})
        assert (got.status_code, got.headers["x-armillary-code"]) == (status, code)
    assert http.get("/arc/files/home/ada/none.fits", params={"SUB": "[*,*]"}).status_code == 404
    assert http.get("/arc/files/home/ada", params={"SUB": "[*,*]"}).status_code == 400


def test_only_readers_of_the_file_get_its_views(http: TestClient, stranger: TestClient) -> None:
    params = {"SUB": "[1:2,1:2]"}
    assert stranger.get("/arc/files/home/ada/m51.fits", params=params).status_code == 401
    assert stranger.get("/vault/files/home/ada/m51.fits", params=params).status_code == 401
    eve = {"Authorization": "Bearer eve"}
    assert stranger.get("/arc/files/home/ada/m51.fits", params=params, headers=eve).status_code == 403
    assert stranger.get(f"/soda/sync?ID={URI}&SUB=[1:2,1:2]").status_code == 401
    assert stranger.get(f"/soda/links?ID={URI}", headers=eve).status_code == 403


def test_links_are_followed(http: TestClient, space: VOSpaceService) -> None:
    document = (
        f'<vos:node xmlns:vos="{VOS}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="vos:LinkNode" '
        f'uri="vos://armillary.example~vault/home/ada/link.fits"><vos:properties/><vos:target>{URI}</vos:target></vos:node>'
    )
    assert http.put("/vault/nodes/home/ada/link.fits", content=document).status_code == 201
    got = http.get("/vault/files/home/ada/link.fits", params={"SUB": "[1:2,1:2]"}, follow_redirects=True)
    assert opened(got.content)[0].data.shape == (2, 2)


def transfer(view_text: str) -> str:
    return (
        f'<vos:transfer xmlns:vos="{VOS}" version="2.1"><vos:target>{URI}</vos:target>'
        f"<vos:direction>pullFromVoSpace</vos:direction>{view_text}"
        f'<vos:protocol uri="{CORE}httpsget"/></vos:transfer>'
    )


def endpoint_of(http: TestClient, view_text: str) -> str:
    posted = http.post("/vault/synctrans", content=transfer(view_text), headers={"Content-Type": "text/xml"})
    assert posted.status_code == 303, posted.text
    details = etree.fromstring(http.get(posted.headers["location"]).content)
    return str(details.findtext(f".//{{{VOS}}}endpoint"))


def test_views_can_be_negotiated(http: TestClient, stranger: TestClient) -> None:
    cutout = endpoint_of(
        http,
        '<vos:view uri="ivo://cadc.nrc.ca/vospace/view#cutout">'
        '<vos:param uri="ivo://ivoa.net/std/SODA#SUB">[0][11:20,31:50]</vos:param></vos:view>',
    )
    assert opened(stranger.get(cutout).content)[0].data.shape == (20, 10)
    header = endpoint_of(http, '<vos:view uri="ivo://cadc.nrc.ca/vospace/view#header"/>')
    assert stranger.get(header).text.startswith("SIMPLE")
    small = endpoint_of(http, '<vos:view uri="http://www.ivoa.net/rdf/datalink/core#thumbnail"/>')
    assert stranger.get(small).content.startswith(b"\x89PNG")
    sized = endpoint_of(
        http,
        '<vos:view uri="http://www.ivoa.net/rdf/datalink/core#preview">'
        '<vos:param uri="http://www.ivoa.net/rdf/datalink/core#PREVIEW">16</vos:param></vos:view>',
    )
    assert len(stranger.get(sized).content) < 1000
    assert "datalink/core#preview" in http.get("/vault/views").text


def test_soda_answers_in_its_own_words(http: TestClient, stranger: TestClient) -> None:
    cut = http.get("/soda/sync", params={"ID": URI, "CIRCLE": "202.47 47.195 0.001"})
    assert cut.content == view(FILE, ("CIRCLE", "202.47 47.195 0.001"))
    posted = http.post("/soda/sync", data={"id": URI, "pos": "CIRCLE 202.47 47.195 0.001"})
    assert posted.content == cut.content
    nothing = http.get("/soda/sync", params={"ID": URI, "CIRCLE": "1 2 0.1"})
    assert (nothing.status_code, nothing.content) == (204, b"")
    whole = http.get("/soda/sync", params={"ID": URI})
    assert whole.status_code == 303
    assert stranger.get(whole.headers["location"]).content == FILE
    for params, status, word in (
        ({"ID": URI, "CIRCLE": "1"}, 400, "UsageError: "),
        ({"CIRCLE": "1 2 3"}, 400, "UsageError: "),
        ({"ID": [URI, URI], "CIRCLE": "1 2 3"}, 400, "MultiValuedParamNotSupported: "),
        ({"ID": URI, "RESPONSEFORMAT": "image/jpeg"}, 400, "UsageError: "),
        ({"ID": "ivo://elsewhere/x"}, 400, "UsageError: "),
        ({"ID": URI + "x", "CIRCLE": "1 2 3"}, 404, "UsageError: "),
    ):
        got = http.get("/soda/sync", params=params)
        assert (got.status_code, got.text.partition(" ")[0] + " ") == (status, word)
        assert got.headers["content-type"].startswith("text/plain")
    refused = stranger.get("/soda/sync", params={"ID": URI, "CIRCLE": "1 2 3"})
    assert refused.text.startswith("AuthenticationError: ")


def test_the_registry_knows_soda(stranger: TestClient) -> None:
    caps = stranger.get("/reg/resource-caps").text
    assert "ivo://armillary.example/soda = https://space:8443/soda/capabilities" in caps
    document = stranger.get("/soda/capabilities").text
    assert "ivo://ivoa.net/std/SODA#sync-1.0" in document
    assert "https://space:8443/soda/sync" in document
    assert stranger.get("/soda/availability").status_code == 200


def test_links_name_the_forms_of_a_file(http: TestClient, stranger: TestClient, tmp_path: Path) -> None:
    got = http.get("/soda/links", params={"ID": URI})
    assert got.headers["content-type"].startswith("application/x-votable+xml")
    document = tmp_path / "links.xml"
    document.write_bytes(got.content)
    table = DatalinkResults(parse(document))
    links = {row["semantics"]: row for row in table}
    assert set(links) == {"#this", "#preview", "#thumbnail", "#detached-header", "#cutout"}
    assert stranger.get(links["#this"]["access_url"]).content == FILE
    assert stranger.get(links["#thumbnail"]["access_url"]).content.startswith(b"\x89PNG")
    assert stranger.get(links["#detached-header"]["access_url"]).text.startswith("SIMPLE")
    service = table.get_adhocservice_by_ivoid("ivo://ivoa.net/std/SODA#sync-1.0")
    urls = [param.value for param in service.params if param.name == "accessURL"]
    assert urls == ["https://space:8443/soda/sync"]
