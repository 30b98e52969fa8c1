"""Ranges and conditions: which version of a file a request is about."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import format_datetime

import pytest
from starlette.testclient import TestClient

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.base.errors import PreconditionFailed
from armillary.vospace.bytes import MemoryBytes
from armillary.vospace.core.conditions import Conditions, tag_of
from armillary.vospace.model import Change
from armillary.vospace.service import VOSpaceService

X = "/arc/files/home/ada/x"
PATH = "/home/ada/x"


def put(http: TestClient, data: bytes = b"0123456789", status: int = 201, **headers: str) -> str:
    """Writes and returns the new tag."""
    answer = http.put(
        X, content=data, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
    assert answer.status_code == status, answer.text
    return answer.headers.get("etag", "")


def status(http: TestClient, method: str = "GET", **headers: str) -> int:
    asked = {name.replace("_", "-"): text for name, text in headers.items()}
    return http.request(method, X, headers=asked).status_code


def test_every_version_has_a_tag_of_its_own_also_when_the_bytes_are_the_same(http: TestClient) -> None:
    tags = [put(http, data) for data in (b"a", b"b", b"a", b"", b"")]
    assert len(set(tags[:4])) == 4
    assert all(tag.startswith('"') for tag in tags)
    assert http.head(X).headers["etag"] == tags[-1]


def test_another_type_of_the_same_bytes_has_another_tag(
    http: TestClient, space: VOSpaceService, ada: Principal
) -> None:
    before = put(http)
    space.set_properties(ada, PATH, Change(content_type="image/fits"))
    assert http.head(X).headers["etag"] != before


def test_who_has_this_version_already_gets_304_and_no_bytes(http: TestClient) -> None:
    tag = put(http)
    for method in ("GET", "HEAD"):
        answer = http.request(method, X, headers={"If-None-Match": f'"other", W/{tag}'})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert status(http, if_none_match='"other"') == 200
    assert status(http, if_none_match="*") == 304


def test_dates_are_conditions_too(http: TestClient, clock: VirtualClock) -> None:
    put(http)
    now = clock.now()
    earlier, later = (format_datetime(now + timedelta(seconds=seconds), usegmt=True) for seconds in (-5, 5))
    assert status(http, if_modified_since=later) == 304
    assert status(http, if_modified_since=earlier) == 200
    assert status(http, if_unmodified_since=earlier) == 412
    assert status(http, if_unmodified_since=later) == 200
    assert status(http, if_modified_since="yesterday") == 200
    assert status(http, if_modified_since=later, if_none_match='"other"') == 200


def test_a_reader_who_wants_one_version_only_is_told_when_it_is_gone(http: TestClient) -> None:
    tag = put(http)
    assert status(http, if_match=tag) == 200
    assert status(http, if_match=f"W/{tag}") == 412
    put(http, b"new")
    assert status(http, if_match=tag) == 412
    assert status(http, "HEAD", if_match=tag) == 412


def test_a_resumed_download_gets_the_rest_of_its_version_or_the_whole_of_the_new_one(
    http: TestClient,
) -> None:
    tag = put(http)
    got = http.get(X, headers={"Range": "bytes=4-", "If-Range": tag})
    assert (got.status_code, got.content) == (206, b"456789")
    put(http, b"another one")
    got = http.get(X, headers={"Range": "bytes=4-", "If-Range": tag})
    assert (got.status_code, got.content) == (200, b"another one")


def test_a_date_vouches_for_a_version_once_its_second_has_passed(
    http: TestClient, clock: VirtualClock
) -> None:
    put(http)
    date = http.head(X).headers["last-modified"]
    asked = {"Range": "bytes=4-", "If-Range": date}
    assert http.get(X, headers=asked).status_code == 200
    clock.advance(timedelta(seconds=3))
    assert http.get(X, headers=asked).status_code == 206


def test_several_ranges_come_in_parts(http: TestClient) -> None:
    put(http)
    got = http.get(X, headers={"Range": "bytes=0-1, 4-5, -2"})
    assert got.status_code == 206
    assert int(got.headers["content-length"]) == len(got.content)
    boundary = got.headers["content-type"].partition("boundary=")[2]
    parts = got.content.split(f"--{boundary}".encode())
    assert [part.partition(b"\r\n\r\n")[2].rstrip(b"\r\n") for part in parts[1:-1]] == [b"01", b"45", b"89"]
    assert b"Content-Range: bytes 4-5/10\r\n" in parts[2]


@pytest.mark.parametrize("asked", ["bytes=0-5,3-7", "bytes=" + ",".join(["0-0"] * 17), "bytes=,", "bytes=-"])
def test_ranges_that_overlap_or_are_too_many_get_the_whole(http: TestClient, asked: str) -> None:
    put(http)
    got = http.get(X, headers={"Range": asked})
    assert (got.status_code, got.content) == (200, b"0123456789")


def test_a_range_of_several_that_does_not_exist_is_left_out(http: TestClient) -> None:
    put(http)
    got = http.get(X, headers={"Range": "bytes=0-1,99-"})
    assert (got.status_code, got.content) == (206, b"01")


def test_head_tells_the_whole_length_whatever_range_is_asked(http: TestClient) -> None:
    put(http)
    answer = http.head(X, headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.headers["content-length"]) == (200, "10")


def test_a_writer_who_has_seen_an_old_version_is_refused(http: TestClient) -> None:
    tag = put(http)
    new = put(http, b"new", if_match=tag)
    put(http, b"lost update", 412, if_match=tag)
    assert http.get(X).content == b"new"
    put(http, b"again", if_match=f'"other", {new}')


def test_a_writer_who_wants_to_be_the_first_is_refused_when_there_is_a_file(http: TestClient) -> None:
    put(http, b"nothing to replace", 412, if_match="*")
    put(http, b"first", if_none_match="*")
    put(http, b"second", 412, if_none_match="*")
    assert http.get(X).content == b"first"


def test_of_writers_who_all_saw_the_same_version_one_wins_and_the_others_know(
    space: VOSpaceService, ada: Principal, store: MemoryBytes
) -> None:
    seen = Conditions(match=frozenset({tag_of(space.put_bytes(ada, PATH, [b"seen"]))}))
    uploads = [space.begin_upload(ada, PATH, conditions=seen) for _ in range(6)]

    def finish(number: int) -> bool:
        uploads[number].write(bytes([number]) * 100_000)
        try:
            uploads[number].commit()
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(finish, range(6)))
    assert won.count(True) == 1
    assert b"".join(space.open_bytes(ada, PATH).chunks) == bytes([won.index(True)]) * 100_000
    assert len(list(store.published())) == 1


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.mark.parametrize(
    "header", [{"Digest": "sha-256={}"}, {"Repr-Digest": "sha-256=:{}:"}, {"Content-Digest": "sha-256=:{}:"}]
)
def test_a_sha_256_is_verified_too(http: TestClient, header: dict[str, str]) -> None:
    ((name, text),) = header.items()
    assert http.put(X, content=b"data", headers={name: text.format(sha256(b"other"))}).status_code == 412
    assert http.head(X).status_code == 404
    assert http.put(X, content=b"data", headers={name: text.format(sha256(b"data"))}).status_code == 201


def test_content_md5_is_verified(http: TestClient) -> None:
    put(http, b"data", 412, content_md5=base64.b64encode(b"0" * 16).decode())
    put(http, b"data", content_md5=base64.b64encode(hashlib.md5(b"data").digest()).decode())
