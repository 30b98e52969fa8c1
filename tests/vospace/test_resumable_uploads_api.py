"""Resumable uploads over HTTP: tus 1.0, and the stock client's segments."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from starlette.testclient import TestClient

from armillary.base.clock import VirtualClock
from armillary.vospace.bytes import MemoryBytes

DATA = bytes(range(256)) * 20
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}
X = "/vault/uploads/home/ada/x.fits"


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def md5(data: bytes) -> str:
    return "md5=" + b64(hashlib.md5(data).digest())


def create(http: TestClient, url: str = X, length: int = len(DATA), **headers: str) -> str:
    asked = {**TUS, "Upload-Length": str(length)}
    answer = http.post(url, headers=asked | {name.replace("_", "-"): text for name, text in headers.items()})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def patch(http: TestClient, url: str, offset: int, data: bytes, **headers: str) -> tuple[int, str | None]:
    asked = {**BODY, "Upload-Offset": str(offset)}
    answer = http.patch(
        url, content=data, headers=asked | {name.replace("_", "-"): text for name, text in headers.items()}
    )
    assert answer.headers["tus-resumable"] == "1.0.0"
    return answer.status_code, answer.headers.get("upload-offset")


def offset(http: TestClient, url: str) -> str:
    answer = http.head(url, headers=TUS)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return answer.headers["upload-offset"]


def test_the_server_says_what_it_can(stranger: TestClient) -> None:
    answer = stranger.options("/vault/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,creation-with-upload,expiration,checksum,termination"
    assert "sha1" in answer.headers["tus-checksum-algorithm"]


def test_a_file_goes_up_in_pieces(http: TestClient) -> None:
    url = create(http, Upload_Metadata=f"filename {b64('x.fits')},filetype {b64('image/fits')}")
    assert offset(http, url) == "0"
    assert patch(http, url, 0, DATA[:1000]) == (204, "1000")
    assert offset(http, url) == "1000"
    assert http.get("/arc/files/home/ada/x.fits").status_code == 404
    assert patch(http, url, 1000, DATA[1000:]) == (204, str(len(DATA)))
    assert offset(http, url) == str(len(DATA))
    got = http.get("/arc/files/home/ada/x.fits")
    assert (got.content, got.headers["content-type"]) == (DATA, "image/fits")


def test_the_name_in_the_metadata_is_one_in_the_container(http: TestClient) -> None:
    notes = f"filename {b64('é (1).txt')}"
    url = create(http, "/arc/uploads/home/ada", 3, Upload_Metadata=notes)
    assert http.head(url, headers=TUS).headers["upload-metadata"] == notes
    patch(http, url, 0, b"abc")
    assert http.get("/arc/files/home/ada/é (1).txt").content == b"abc"


@pytest.mark.parametrize("name", ["../bob/x", "a/b", "..", "\x00"])
def test_a_name_in_the_metadata_does_not_climb(http: TestClient, name: str) -> None:
    headers = {**TUS, "Upload-Length": "3", "Upload-Metadata": f"filename {b64(name)}"}
    assert http.post("/arc/uploads/home/ada", headers=headers).status_code == 400


def test_the_first_bytes_may_come_with_the_creation(http: TestClient) -> None:
    headers = {**BODY, "Upload-Length": str(len(DATA))}
    answer = http.post(X, content=DATA[:700], headers=headers)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "700")
    assert patch(http, answer.headers["location"], 700, DATA[700:])[0] == 204
    answer = http.post(X, content=DATA, headers=headers)
    assert answer.headers["upload-offset"] == str(len(DATA))
    assert http.get("/arc/files/home/ada/x.fits").content == DATA


def test_a_piece_at_the_wrong_place_is_409_and_of_the_wrong_type_415(http: TestClient) -> None:
    url = create(http)
    assert patch(http, url, 5, DATA) == (409, None)
    assert patch(http, url, 0, DATA, Content_Type="text/plain") == (415, None)
    assert offset(http, url) == "0"


def test_a_piece_whose_checksum_is_wrong_is_460_and_dropped(http: TestClient) -> None:
    url = create(http)
    right, wrong = (b64(hashlib.sha1(data).digest()) for data in (DATA[:100], b"other"))
    assert patch(http, url, 0, DATA[:100], Upload_Checksum=f"sha1 {wrong}") == (460, None)
    assert offset(http, url) == "0"
    assert patch(http, url, 0, DATA[:100], Upload_Checksum=f"sha1 {right}") == (204, "100")
    assert patch(http, url, 100, DATA[100:], Upload_Checksum="crc32 AAAA") == (400, None)


def test_a_file_whose_checksum_is_wrong_is_412_and_gone(http: TestClient) -> None:
    for headers in (
        {"Digest": md5(b"other")},
        {"Upload_Metadata": f"sha256 {b64(hashlib.sha256(b'other').hexdigest())}"},
    ):
        url = create(http, **headers)
        assert patch(http, url, 0, DATA)[0] == 412
        assert http.head(url, headers=TUS).status_code == 404
    assert http.get("/arc/files/home/ada/x.fits").status_code == 404


def test_a_terminated_upload_is_gone(http: TestClient, store: MemoryBytes) -> None:
    url = create(http)
    patch(http, url, 0, DATA[:100])
    assert http.delete(url, headers=TUS).status_code == 204
    assert http.delete(url, headers=TUS).status_code == 404
    assert patch(http, url, 100, DATA[100:]) == (404, None)
    assert list(store.published()) == []


def test_an_upload_says_when_it_expires(http: TestClient, clock: VirtualClock) -> None:
    answer = http.post(X, headers={**TUS, "Upload-Length": "5"})
    expires = parsedate_to_datetime(answer.headers["upload-expires"])
    assert expires - clock.now() > timedelta(hours=23)


def test_another_version_of_tus_is_412_with_ours(http: TestClient) -> None:
    for headers in ({"Upload-Length": "5"}, {"Upload-Length": "5", "Tus-Resumable": "0.2.2"}):
        answer = http.post(X, headers=headers)
        assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Length": "-1"},
        {"Upload-Length": "1e9"},
        {"Upload-Length": "5", "Upload-Metadata": "filename é"},
        {"Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="},
        {"Upload-Length": "5", "Upload-Metadata": "a " + "QUFB" * 3000},
        {"Upload-Length": "5", "Digest": "md5=rubbish"},
    ],
)
def test_odd_creations_are_400(http: TestClient, headers: dict[str, str]) -> None:
    raw = {name.encode(): text.encode("utf-8") for name, text in {**TUS, **headers}.items()}
    assert http.post(X, headers=raw).status_code == 400


def test_who_may_not_write_there_is_told_at_once(http: TestClient, stranger: TestClient) -> None:
    headers = {**TUS, "Upload-Length": "5"}
    assert http.post("/vault/uploads/home/bob/x", headers=headers).status_code == 403
    assert stranger.post(X, headers=headers).status_code == 401
    assert http.post(X, headers={**headers, "Upload-Length": str(2**31)}).status_code == 413
    url = create(http)
    assert http.head(url, headers={**TUS, "Authorization": "Bearer bob"}).status_code == 404


def test_conditions_hold_to_the_end(http: TestClient) -> None:
    url = create(http, If_None_Match="*")
    http.put("/arc/files/home/ada/x.fits", content=b"faster")
    assert patch(http, url, 0, DATA)[0] == 412
    assert http.get("/arc/files/home/ada/x.fits").content == b"faster"


def test_a_client_behind_a_proxy_says_its_method_in_a_header(http: TestClient) -> None:
    url = create(http, length=3)
    headers = {**BODY, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert http.post(url, content=b"abc", headers=headers).status_code == 204


FILE = "/vault/files/home/ada/x.fits"


def start(http: TestClient) -> dict[str, str]:
    headers = {"x-put-txn-op": "start", "x-total-length": str(len(DATA)), "Content-Length": "0"}
    answer = http.put(FILE, headers=headers)
    assert answer.status_code == 200
    assert int(answer.headers["x-put-segment-maxbytes"]) >= 1 << 20
    return {"x-put-txn-id": answer.headers["x-put-txn-id"]}


def test_segments_are_committed_as_one_file(http: TestClient) -> None:
    transaction = start(http)
    assert "digest" not in http.head(FILE, headers=transaction).headers
    assert http.put(FILE, content=DATA[:999], headers=transaction).headers["digest"] == md5(DATA[:999])
    assert http.head(FILE, headers=transaction).headers["digest"] == md5(DATA[:999])
    http.put(FILE, content=b"wrong", headers=transaction)
    reverted = http.post(FILE, headers={**transaction, "x-put-txn-op": "revert"})
    assert reverted.headers["digest"] == md5(DATA[:999])
    early = http.put(FILE, headers={**transaction, "x-put-txn-op": "commit", "Content-Length": "0"})
    assert early.status_code == 400
    assert http.put(FILE, content=DATA[999:], headers=transaction).headers["digest"] == md5(DATA)
    assert http.get("/arc" + FILE.removeprefix("/vault")).status_code == 404
    done = http.put(FILE, headers={**transaction, "x-put-txn-op": "commit", "Content-Length": "0"})
    assert (done.status_code, done.headers["digest"]) == (201, md5(DATA))
    assert http.get("/arc" + FILE.removeprefix("/vault")).content == DATA


def test_an_aborted_transaction_leaves_nothing(http: TestClient, store: MemoryBytes) -> None:
    transaction = start(http)
    http.put(FILE, content=DATA[:999], headers=transaction)
    assert http.post(FILE, headers={**transaction, "x-put-txn-op": "abort"}).status_code == 200
    assert http.put(FILE, content=DATA[999:], headers=transaction).status_code == 404
    assert list(store.published()) == []


def test_a_transaction_is_about_one_node(http: TestClient) -> None:
    transaction = start(http)
    other = "/vault/files/home/ada/other"
    assert http.put(other, content=DATA, headers=transaction).status_code == 404
    assert http.put(FILE, content=b"", headers={**transaction, "x-put-txn-op": "dance"}).status_code == 400
    assert http.post(FILE, content=b"x").status_code == 400


def test_a_transaction_outlives_the_address_that_it_was_begun_with(
    http: TestClient, stranger: TestClient, clock: VirtualClock
) -> None:
    core = "ivo://ivoa.net/vospace/core#"
    asked = (
        '<t:transfer xmlns:t="http://www.ivoa.net/xml/VOSpace/v2.0" version="2.1">'
        "<t:target>vos://cadc.nrc.ca~vault/home/ada/x.fits</t:target><t:direction>pushToVoSpace</t:direction>"
        f'<t:protocol uri="{core}httpsput"/></t:transfer>'
    )
    posted = http.post("/vault/synctrans", content=asked, headers={"Content-Type": "text/xml"})
    details = http.get(posted.headers["location"]).text
    url = details.partition("endpoint>")[2].partition("<")[0]
    headers = {"x-put-txn-op": "start", "x-total-length": str(len(DATA)), "Content-Length": "0"}
    transaction = {"x-put-txn-id": stranger.put(url, headers=headers).headers["x-put-txn-id"]}
    clock.advance(timedelta(hours=5))
    assert stranger.put(url, headers=headers).status_code == 403
    assert stranger.put(url, content=DATA, headers=transaction).status_code == 202
    assert (
        stranger.put(url, content=b"", headers={**transaction, "x-put-txn-op": "commit"}).status_code == 201
    )
    assert stranger.put(url, content=b"x").status_code == 403
    assert http.get("/arc/files/home/ada/x.fits").content == DATA
