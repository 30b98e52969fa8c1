"""VOSpace over HTTP, with hostile guests."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from lxml import etree
from starlette.testclient import TestClient
from uws_talk import over, phase_of

from armillary.vospace.service import VOSpaceService

VOS = "http://www.ivoa.net/xml/VOSpace/v2.0"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CORE = "ivo://ivoa.net/vospace/core#"


def node_xml(path: str, kind: str = "ContainerNode", properties: str = "", target: str = "") -> str:
    return (
        f'<vos:node xmlns:vos="{VOS}" xmlns:xsi="{XSI}" xsi:type="vos:{kind}" '
        f'uri="vos://opencadc.org!vault{path}"><vos:properties>{properties}</vos:properties>'
        + (f"<vos:target>{target}</vos:target>" if target else "")
        + "</vos:node>"
    )


def transfer_xml(path: str, direction: str, protocol: str = "httpsput", keep: str = "true") -> str:
    return (
        f'<vos:transfer xmlns:vos="{VOS}" version="2.1"><vos:target>vos://cadc.nrc.ca~vault{path}</vos:target>'
        f"<vos:direction>{direction}</vos:direction><vos:keepBytes>{keep}</vos:keepBytes>"
        f'<vos:protocol uri="{CORE}{protocol}"/></vos:transfer>'
    )


def digest(data: bytes) -> str:
    return "md5=" + base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def put(http: TestClient, path: str, data: bytes, **headers: str) -> int:
    return http.put(f"/vault/files{quote(path)}", content=data, headers=headers).status_code


def endpoint(http: TestClient, path: str, direction: str, protocol: str) -> str:
    posted = http.post(
        "/vault/synctrans",
        content=transfer_xml(path, direction, protocol),
        headers={"Content-Type": "text/xml"},
    )
    assert posted.status_code == 303, posted.text
    details = http.get(posted.headers["location"]).text
    return details.partition("<vos:endpoint>")[2].partition("</vos:endpoint>")[0]


def test_the_registry_answers_with_the_name_that_was_asked(stranger: TestClient) -> None:
    text = stranger.get("/reg/resource-caps", headers={"Host": "armillary.internal:8443"}).text
    assert "ivo://opencadc.org/vault = https://armillary.internal:8443/vault/capabilities" in text
    assert "ivo://cadc.nrc.ca/cred = https://armillary.internal:8443/cred/capabilities" in text
    assert "ivo://armillary.example/arc = https://armillary.internal:8443/arc/capabilities" in text


@pytest.mark.parametrize("host", ["a b", "evil/../", "x@y", "<x>", ""])
def test_a_host_that_is_none_is_not_repeated(stranger: TestClient, host: str) -> None:
    assert stranger.get("/reg/resource-caps", headers={"Host": host}).status_code == 400


def test_a_container_is_made_shown_and_deleted(http: TestClient) -> None:
    made = http.put("/vault/nodes/home/ada/a%20b", content=node_xml("/home/ada/a b"))
    assert made.status_code == 201
    assert 'uri="vos://armillary.example~vault/home/ada/a b"' in made.text
    assert http.put("/vault/nodes/home/ada/a%20b", content=node_xml("/home/ada/a b")).status_code == 409
    assert "CN=ada" in http.get("/arc/nodes/home/ada/a%20b").text
    assert http.delete("/vault/nodes/home/ada/a%20b").status_code == 204
    assert http.get("/vault/nodes/home/ada/a%20b").status_code == 404


def test_the_document_must_be_about_the_node_in_the_url(http: TestClient) -> None:
    assert http.put("/vault/nodes/home/ada/a", content=node_xml("/home/ada/b")).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/home/ada/%2e%2e/bob",
        "/home/ada/..%2Fbob",
        "/home/ada/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/home/ada/%00",
        "/home/ada/%ff%fe",
        "/home/ada/%0a",
        "/home/ada/" + "x" * 256,
        "/home/ada" + "/d" * 200,
    ],
)
def test_hostile_paths_are_refused_everywhere(http: TestClient, path: str) -> None:
    assert http.get(f"/vault/nodes{path}").status_code == 400
    assert http.get(f"/arc/files{path}").status_code == 400
    assert http.put(f"/vault/files{path}", content=b"x").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"<node/>",
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
        f'<!DOCTYPE n SYSTEM "file:///etc/passwd"><vos:node xmlns:vos="{VOS}"/>'.encode(),
        b"<a>" * 5000,
    ],
)
def test_hostile_documents_are_refused(http: TestClient, body: bytes) -> None:
    assert http.put("/vault/nodes/home/ada/n", content=body).status_code == 400


def test_an_external_entity_is_not_read(http: TestClient) -> None:
    body = '<!DOCTYPE n [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + node_xml(
        "/home/ada/n", "DataNode", f'<vos:property uri="{CORE}title">&e;</vos:property>'
    )
    assert http.put("/vault/nodes/home/ada/n", content=body).status_code == 400


def test_a_document_that_is_too_large_is_refused(http: TestClient) -> None:
    assert http.put("/vault/nodes/home/ada/n", content=b"<" * (2 << 20)).status_code == 413


def test_bytes_go_up_and_come_down_through_preauthorised_urls(http: TestClient, stranger: TestClient) -> None:
    data = b"0123456789" * 1000
    up = endpoint(http, "/home/ada/x.fits", "pushToVoSpace", "httpsput")
    assert "/files/" in up
    assert stranger.head(up).status_code == 404
    assert stranger.get(up).status_code == 403
    sent = stranger.put(up, content=data, headers={"Digest": digest(data)})
    assert (sent.status_code, sent.headers["digest"]) == (201, digest(data))
    sent_on = http.get("/vault/files/home/ada/x.fits")
    assert sent_on.status_code == 303
    got = stranger.get(sent_on.headers["location"])
    assert got.content == data
    assert got.headers["digest"] == digest(data)
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert stranger.put(sent_on.headers["location"], content=b"x").status_code == 403
    down = endpoint(http, "/home/ada/x.fits", "pullFromVoSpace", "httpsget")
    assert stranger.get(down).content == data


def test_long_names_have_preauthorised_urls_too(http: TestClient, stranger: TestClient) -> None:
    path = "/home/ada/" + "n" * 255
    assert stranger.put(endpoint(http, path, "pushToVoSpace", "httpsput"), content=b"long").status_code == 201
    assert stranger.get(http.get(f"/vault/files{path}").headers["location"]).content == b"long"


def test_a_preauthorised_url_cannot_be_forged(http: TestClient, stranger: TestClient) -> None:
    url = endpoint(http, "/home/ada/x", "pushToVoSpace", "httpsput")
    slip = url.partition("grant:")[2].partition("/")[0]
    for forged in (slip[:-1], slip[:-2] + "AA", "A" * 40, "", "!!", slip.lower(), "é"):
        assert stranger.put(f"/vault/files/grant:{forged}/x", content=b"x").status_code in {400, 404}


def test_taking_away_access_takes_effect_on_preauthorised_urls(
    http: TestClient, stranger: TestClient, space: VOSpaceService
) -> None:
    put(http, "/home/ada/x", b"x")
    public = f'<vos:property uri="{CORE}ispublic">true</vos:property>'
    private = f'<vos:property uri="{CORE}ispublic">false</vos:property>'
    http.post("/vault/nodes/home/ada/x", content=node_xml("/home/ada/x", "DataNode", public))
    url = stranger.get("/vault/files/home/ada/x").headers["location"]
    assert stranger.get(url).status_code == 200
    http.post("/vault/nodes/home/ada/x", content=node_xml("/home/ada/x", "DataNode", private))
    assert stranger.get(url).status_code == 401


def test_a_wrong_digest_is_412_and_leaves_nothing(http: TestClient) -> None:
    assert put(http, "/home/ada/x", b"data", Digest=digest(b"other")) == 412
    assert http.get("/vault/nodes/home/ada/x").status_code == 404
    assert put(http, "/home/ada/x", b"data", Digest="md5=rubbish") == 400


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=5-999", 206, b"56789"),
        ("bytes=10-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=3-1", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(http: TestClient, asked: str, status: int, expected: bytes) -> None:
    put(http, "/home/ada/x", b"0123456789")
    got = http.get("/arc/files/home/ada/x", headers={"Range": asked})
    assert (got.status_code, got.content) == (status, expected)


def test_an_empty_file_is_200_with_no_bytes(http: TestClient) -> None:
    http.put("/vault/nodes/home/ada/e", content=node_xml("/home/ada/e", "DataNode"))
    assert http.get("/vault/files/home/ada/e").status_code == 303
    empty = http.get("/arc/files/home/ada/e")
    assert (empty.status_code, empty.headers["content-length"], empty.content) == (200, "0", b"")


def test_over_quota_is_413_with_the_figures(http: TestClient, space: VOSpaceService) -> None:
    answer = http.put("/vault/files/home/ada/x", content=b"", headers={"Content-Length": str(2**31)})
    assert answer.status_code == 413
    assert "QuotaExceeded - /home/ada holds 0 B of 1 GiB; 2 GiB more do not fit." in answer.text


def test_another_persons_home_is_403_and_a_strangers_question_401(
    http: TestClient, stranger: TestClient
) -> None:
    assert http.get("/vault/nodes/home/bob").status_code == 403
    assert http.get("/vault/nodes/home/bob/x").status_code == 403
    assert put(http, "/home/bob/x", b"x") == 403
    answer = stranger.get("/vault/nodes/home/bob")
    assert answer.status_code == 401
    assert "Basic" in answer.headers["www-authenticate"]
    posted = http.post(
        "/vault/synctrans",
        content=transfer_xml("/home/bob/x", "pushToVoSpace"),
        headers={"Content-Type": "text/xml"},
    )
    assert posted.status_code == 403


@pytest.mark.parametrize("name", ["a b", "100%", "%41", "a#b", "a+b", ".hidden", "é日本", "a&<>\"'b"])
def test_a_name_read_from_a_listing_leads_back_to_the_node(http: TestClient, name: str) -> None:
    put(http, f"/home/ada/{name}", b"x")
    root = etree.fromstring(http.get("/vault/nodes/home/ada").content)
    (child,) = root.iterfind(f"{{{VOS}}}nodes/{{{VOS}}}node")
    uri = child.get("uri")
    moved = transfer_xml("", uri.rpartition("/")[0] + "/moved", keep="false").replace(
        "vos://cadc.nrc.ca~vault", uri.replace("&", "&amp;").replace("<", "&lt;")
    )
    job = http.post("/vault/transfers?PHASE=RUN", content=moved, headers={"Content-Type": "text/xml"})
    assert phase_of(over(http, job.headers["location"])) == "COMPLETED"
    assert http.get("/vault/nodes/home/ada/moved").status_code == 200


def test_a_move_is_a_job_that_runs_once(http: TestClient, app: object) -> None:
    put(http, "/home/ada/x", b"x")
    body = transfer_xml("/home/ada/x", "vos://opencadc.org!vault/home/ada/y", keep="false")
    made = http.post("/vault/transfers", content=body, headers={"Content-Type": "text/xml"})
    job = made.headers["location"]
    assert http.get(job + "/phase").text == "PENDING"
    assert http.post(job + "/phase", content="PHASE=RUN").status_code == 303
    assert phase_of(over(http, job)) == "COMPLETED"
    assert http.post(job + "/phase", content="PHASE=RUN").status_code == 403
    assert http.get(job, headers={"Authorization": "Bearer bob"}).status_code == 403


def test_a_job_that_fails_says_why(http: TestClient) -> None:
    body = transfer_xml("/home/ada/nothing", "vos://opencadc.org!vault/home/ada/y", keep="false")
    job = http.post("/vault/transfers?PHASE=RUN", content=body, headers={"Content-Type": "text/xml"})
    assert phase_of(over(http, job.headers["location"])) == "ERROR"
    assert "does not exist" in http.get(job.headers["location"] + "/error").text


def test_unknown_properties_of_the_standard_are_refused_and_free_ones_kept(http: TestClient) -> None:
    put(http, "/home/ada/x", b"x")
    own = '<vos:property uri="ivo://example.org/tags#seeing">0.7 &lt; 1</vos:property>'
    answer = http.post("/vault/nodes/home/ada/x", content=node_xml("/home/ada/x", "DataNode", own))
    assert "0.7 &lt; 1" in answer.text
    bad = f'<vos:property uri="{CORE}nonsense">1</vos:property>'
    answer = http.post("/vault/nodes/home/ada/x", content=node_xml("/home/ada/x", "DataNode", bad))
    assert answer.status_code == 400
    gone = '<vos:property uri="ivo://example.org/tags#seeing" xsi:nil="true"/>'
    answer = http.post("/vault/nodes/home/ada/x", content=node_xml("/home/ada/x", "DataNode", gone))
    assert "seeing" not in answer.text


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=x", "limit=1e9", "sort=x", "order=up", "detail=all", "uri=x"]
)
def test_odd_questions_for_a_listing_are_400(http: TestClient, query: str) -> None:
    assert http.get(f"/vault/nodes/home/ada?{query}").status_code == 400


def test_who_comes_for_the_first_time_finds_a_home(stranger: TestClient) -> None:
    headers = {"Authorization": "Bearer root"}
    assert stranger.get("/vault/nodes/home/root", headers=headers).status_code == 200


def test_the_registry_lists_packages_and_the_service_says_since_when_it_is_up(stranger: TestClient) -> None:
    text = stranger.get("/vault/capabilities").text
    assert 'standardID="vos://cadc.nrc.ca~vospace/CADC/std/Pkg-1.0"' in text
    assert "https://space:8443/vault/pkg</accessURL>" in text
    text = stranger.get("/vault/availability").text
    assert "<vosi:available>true</vosi:available><vosi:upSince>2026-01-01T00:00:00Z</vosi:upSince>" in text


def test_a_space_whose_records_cannot_be_read_is_not_available(stranger: TestClient, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "space.db")) as records:
        records.execute("DROP TABLE vospace_nodes")
    text = stranger.get("/arc/availability").text
    assert "<vosi:available>false</vosi:available>" in text
    assert "upSince" not in text
