"""Packages: branches in one tar or zip, streamed, with names that are safe to unpack."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from uws_talk import CORE, VOS, XML, fault, phase_of, results, run, uri

from armillary.accounts.model import Principal
from armillary.vospace.archives import Broken, Entry, tar, zipped
from armillary.vospace.model import Change
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.packages import safe

NOW = datetime(2026, 5, 4, 3, 2, 2, tzinfo=UTC)
PKG = "vos://cadc.nrc.ca~vospace/CADC/std/Pkg-1.0"
NAMES = [
    "a b",
    "100%",
    "%41",
    "é日本",
    ".hidden",
    "x" * 255,
    "a\\..\\..\\b",
    "C:",
    "C:x",
    "~",
    "-rf",
    "a:b",
    " ",
]


@pytest.fixture
def tree(space: VOSpaceService, ada: Principal) -> dict[str, bytes]:
    """`/home/ada/d` with files, an empty folder, and names of all kinds; returns what is to be packed."""
    space.make_container(ada, "/home/ada/d/empty", parents=True)
    space.make_container(ada, "/home/ada/d/sub")
    found = {"d/sub/deep": b"deep" * 1000}
    space.put_bytes(ada, "/home/ada/d/sub/deep", [found["d/sub/deep"]])
    space.make_file(ada, "/home/ada/d/nothing")
    found["d/nothing"] = b""
    for name in NAMES:
        space.put_bytes(ada, f"/home/ada/d/{name}", [name.encode()])
        found["d/" + safe(name)] = name.encode()
    return found


def package(targets: list[str], form: str = "application/zip") -> str:
    return (
        f'<vos:transfer xmlns:vos="{VOS}" version="2.1">'
        + "".join(f"<vos:target>{uri(path)}</vos:target>" for path in targets)
        + f'<vos:direction>pullFromVoSpace</vos:direction><vos:view uri="{PKG}">'
        f'<vos:param uri="{CORE}format">{form}</vos:param></vos:view>'
        f'<vos:protocol uri="{CORE}httpsget"/></vos:transfer>'
    )


def address(http: TestClient, targets: list[str], form: str = "application/zip") -> str:
    answer = http.post("/vault/synctrans", content=package(targets, form), headers=XML)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def unpacked(body: bytes) -> dict[str, bytes | None]:
    """Return the contents of an archive; folders have none."""
    if body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert archive.testzip() is None
            return {
                info.filename.rstrip("/"): None if info.is_dir() else archive.read(info)
                for info in archive.infolist()
            }
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            found[member.name] = file.read() if file else None
    return found


@pytest.mark.parametrize("form", ["application/zip", "application/x-tar"])
def test_a_branch_is_packed_whole(
    http: TestClient, stranger: TestClient, tree: dict[str, bytes], form: str
) -> None:
    where = address(http, ["/home/ada/d"], form)
    assert "/vault/pkg/" in where
    answer = stranger.get(where)  # the address needs no sign-in
    assert (answer.status_code, answer.headers["content-type"]) == (200, form)
    assert 'filename="d.' in answer.headers["content-disposition"]
    assert unpacked(answer.content) == tree | {"d": None, "d/empty": None, "d/sub": None}


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_whoever_may_read_gets_a_package_at_once(
    http: TestClient, stranger: TestClient, tree: dict[str, bytes], form: str
) -> None:
    assert unpacked(http.get(f"/arc/pkg/home/ada/d?format={form}").content)["d/sub/deep"] == b"deep" * 1000
    assert unpacked(http.get("/arc/pkg/home/ada/d/a%20b").content) == {"a b": b"a b"}
    assert stranger.get("/arc/pkg/home/ada/d").status_code == 401
    assert http.get("/arc/pkg/home/ada/absent").status_code == 404
    assert http.get("/arc/pkg/home/ada/d?format=rar").status_code == 400


def test_nothing_unpacks_outside_of_its_folder(
    http: TestClient, tree: dict[str, bytes], tmp_path: Path
) -> None:
    for form in ("zip", "tar"):
        for name in unpacked(http.get(f"/vault/pkg/home/ada/d?format={form}").content):
            assert name == "d" or name.startswith("d/")
            assert ".." not in name.split("/")
            assert not {"\\", "\0"} & set(name)
            assert name.split("/")[-1][1:2] != ":"


def test_what_may_not_be_read_is_left_out(
    http: TestClient, stranger: TestClient, space: VOSpaceService, ada: Principal, tree: dict[str, bytes]
) -> None:
    space.set_properties(ada, "/home/ada/d", Change(is_public=True))
    space.set_properties(ada, "/home/ada/d/a b", Change(is_public=True))
    body = stranger.get(
        stranger.get("/vault/pkg/home/ada/d").headers.get("location", "/vault/pkg/home/ada/d")
    )
    assert unpacked(body.content) == {"d": None, "d/a b": b"a b"}


def test_links_to_files_are_packed_as_files_and_others_left_out(
    http: TestClient, space: VOSpaceService, ada: Principal, bob: Principal, tree: dict[str, bytes]
) -> None:
    space.put_bytes(bob, "/home/bob/secret", [b"secret"])
    space.make_container(ada, "/home/ada/l")
    for name, target in (
        ("file", uri("/home/ada/d/a b")),
        ("folder", uri("/home/ada/d")),
        ("up", uri("/home/ada")),
        ("round", uri("/home/ada/l/round")),
        ("secret", uri("/home/bob/secret")),
        ("web", "https://example.org/x"),
        ("dead", uri("/home/ada/nothing")),
    ):
        space.make_link(ada, f"/home/ada/l/{name}", target)
    assert unpacked(http.get("/vault/pkg/home/ada/l").content) == {"l": None, "l/file": b"a b"}


def test_several_targets_come_in_one_package(http: TestClient, tree: dict[str, bytes]) -> None:
    targets = ["/home/ada/d/sub", "/home/ada/d/a b", "/home/ada/d/sub/deep", "/home/ada/d/sub"]
    found = unpacked(http.get(address(http, targets)).content)
    assert sorted(found) == ["a b", "deep", "sub", "sub (2)", "sub (2)/deep", "sub/deep"]


def test_many_targets_do_not_make_the_address_long(
    http: TestClient, stranger: TestClient, space: VOSpaceService, ada: Principal
) -> None:
    space.make_container(ada, "/home/ada/many", Change(is_public=True))
    for number in range(60):
        space.put_bytes(ada, f"/home/ada/many/{number:0100}", [b"x"])
    targets = [f"/home/ada/many/{number:0100}" for number in range(60)]
    where = address(http, targets, "application/x-tar")
    assert len(where) < 2000
    assert len(unpacked(stranger.get(where).content)) == 60
    assert stranger.post("/vault/synctrans", content=package(targets), headers=XML).status_code == 400


def test_a_package_may_be_asked_for_by_a_job(
    http: TestClient, stranger: TestClient, tree: dict[str, bytes]
) -> None:
    job = run(http, "/vault/transfers", package(["/home/ada/d/sub", "/home/ada/d/a b"]))
    assert phase_of(job) == "COMPLETED"
    details = http.get(results(job)["transferDetails"]).text
    where = details.partition("<vos:endpoint>")[2].partition("</vos:endpoint>")[0]
    assert set(unpacked(stranger.get(where).content)) == {"sub", "sub/deep", "a b"}
    job = run(http, "/vault/transfers", package(["/home/ada/absent"]))
    assert fault(job).startswith("Node Not Found: ")


def test_refusals_of_packages(http: TestClient, tree: dict[str, bytes]) -> None:
    for targets, form, status in (
        (["/home/ada/d", "/home/ada/absent"], "application/zip", 404),
        (["/home/bob"], "application/zip", 403),
        (["/home/ada/d"], "application/rar", 400),
    ):
        answer = http.post("/vault/synctrans", content=package(targets, form), headers=XML)
        assert answer.status_code == status
    two = package(["/home/ada/d/a b", "/home/ada/d/sub"]).replace(PKG, CORE + "defaultview")
    assert http.post("/vault/synctrans", content=two, headers=XML).status_code == 400
    forged = address(http, ["/home/ada/d"]).replace("grant:", "grant:A")
    assert http.get(forged).status_code in {400, 404}


def files(count: int, size: int) -> Iterator[Entry]:
    chunk = bytes(1 << 20)
    for number in range(count):
        pieces = itertools.chain(itertools.repeat(chunk, size >> 20), [bytes(size & (1 << 20) - 1)])
        yield Entry(name=f"folder/file number {number}", modified_at=NOW, length=size, chunks=pieces)


@pytest.mark.parametrize("pack", [tar, zipped])
def test_memory_is_flat_in_the_size_and_number_of_files(pack: object) -> None:
    def peak(entries: Iterator[Entry]) -> int:
        tracemalloc.start()
        for _ in pack(entries):  # pyright: ignore[reportCallIssue]
            pass
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    assert peak(files(1, 60 << 20)) < 4 << 20
    assert peak(files(20_000, 0)) < 3 << 20


def test_a_file_that_has_become_shorter_breaks_the_archive() -> None:
    for pack in (tar, zipped):
        with pytest.raises(Broken):
            list(pack([Entry(name="x", modified_at=NOW, length=5, chunks=[b"four"])]))


def test_an_archive_of_nothing_is_one() -> None:
    assert unpacked(b"".join(zipped([]))) == {}
    assert unpacked(b"".join(tar([]))) == {}


def test_many_files_and_huge_ones_make_zip64(tmp_path: Path) -> None:
    """A sparse file on disk: zeros are skipped, so the five gigabytes cost nothing there."""
    big = (4 << 30) + 5
    path = tmp_path / "big.zip"
    block = bytes(1 << 20)

    def zeros() -> Iterator[bytes]:
        for _ in range(big >> 20):
            yield block
        yield bytes(big & (1 << 20) - 1)

    entries = [
        Entry(name="first", modified_at=NOW, length=3, chunks=[b"abc"]),
        Entry(name="big", modified_at=NOW, length=big, chunks=zeros()),
        Entry(name="last", modified_at=NOW, length=3, chunks=[b"xyz"]),
        *(Entry(name=f"d{number}", modified_at=NOW) for number in range(70_000)),
    ]
    with path.open("wb") as out:
        for piece in zipped(entries):
            if piece is block:
                out.seek(len(piece), 1)
            else:
                out.write(piece)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 70_003
        assert archive.getinfo("big").file_size == big
        assert archive.read("last") == b"xyz"
        assert archive.getinfo("last").date_time == (2026, 5, 4, 3, 2, 2)


def test_other_programs_read_our_archives(tmp_path: Path) -> None:
    entries = [
        Entry(name="d", modified_at=NOW),
        Entry(name="d/é日本 b", modified_at=NOW, length=5, chunks=[b"he", b"llo"]),
        Entry(name="d/" + "n" * 250, modified_at=NOW, length=0, chunks=[]),
    ]
    (tmp_path / "a.tar").write_bytes(b"".join(tar(entries)))
    program = shutil.which("tar")
    assert program, "every Debian has tar"
    subprocess.run([program, "xf", "a.tar"], cwd=tmp_path, check=True, env={"LANG": "C.UTF-8"})
    assert (tmp_path / "d" / "é日本 b").read_bytes() == b"hello"
    assert (tmp_path / "d" / ("n" * 250)).stat().st_mtime == NOW.timestamp()
