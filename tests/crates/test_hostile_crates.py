"""Crates that were made to do harm, or to deceive: each is caught, named, and costs little."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from made_crates import a_cluster, a_crate, a_job, write

from armillary.base.errors import Invalid
from armillary.cli.main import cli
from armillary.crates import shelves
from armillary.crates.canonical import MAX_DEPTH, NotCanonical, canonical, parse
from armillary.crates.layout import Crate
from armillary.crates.shelves import open_shelf
from armillary.crates.signing import key_id, public_pem, sign
from armillary.crates.verify import Report, verify


def check(place: Path, *trusted: str, complete: bool = False) -> Report:
    with open_shelf(place) as shelf:
        return verify(shelf, trusted=trusted, complete=complete)


def named(report: Report) -> set[tuple[str, str, str]]:
    return {(finding.what, finding.code, finding.path) for finding in report.findings}


@pytest.fixture
def packed(place: Path, tmp_path: Path) -> Path:
    return Path(shutil.make_archive(str(tmp_path / "packed"), "zip", place))


def test_files_that_share_their_bytes_as_zip_bombs_do_are_named(packed: Path) -> None:
    whole = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    first, second = sorted(infos, key=lambda info: info.header_offset)[:2]
    entry = struct.pack("<I", second.header_offset) + second.filename.encode()
    at = whole.rindex(entry)
    whole[at : at + 4] = struct.pack("<I", first.header_offset)
    packed.write_bytes(whole)
    assert {("extra", "overlap")} <= {(what, code) for what, code, _ in named(check(packed))}


def test_a_bomb_in_place_of_an_output_is_read_no_further_than_its_record_says(
    place: Path, tmp_path: Path
) -> None:
    (place / "outputs/12.0/0.txt").unlink()
    bomb = Path(shutil.make_archive(str(tmp_path / "bomb"), "zip", place))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("outputs/12.0/0.txt", bytes(64 << 20))
    assert bomb.stat().st_size < 1 << 20
    report = check(bomb)
    assert named(report) == {("output", "content_differs", "outputs/12.0/0.txt")}
    assert report.octets < 4 << 20


def test_a_record_that_is_a_bomb_is_named_and_is_not_read_whole(place: Path, tmp_path: Path) -> None:
    (place / "records/12.0.json").unlink()
    bomb = Path(shutil.make_archive(str(tmp_path / "bomb"), "zip", place))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("records/12.0.json", bytes(shelves.MAX_PAPER + (1 << 20)))
    [finding] = [one for one in check(bomb).findings if one.path == "records/12.0.json"]
    assert (finding.code, "larger than" in finding.message) == ("unreadable_record", True)


@pytest.mark.parametrize("name", ["../up", "/etc/cron.d/x", "outputs/../../x", "a\\..\\b", "outputs//x"])
def test_a_path_that_leads_out_of_the_crate_is_named(packed: Path, name: str) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = name
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(info, b"x")
    assert ("extra", "unsafe_path", name) in named(check(packed))


def test_a_link_in_a_zip_is_named_though_its_bytes_are_those_that_were_recorded(
    place: Path, tmp_path: Path
) -> None:
    data = (place / "outputs/12.0/0.txt").read_bytes()
    (place / "outputs/12.0/0.txt").unlink()
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", place))
    info = zipfile.ZipInfo("outputs/12.0/0.txt")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(info, data)
    assert named(check(packed)) == {("extra", "link", "outputs/12.0/0.txt")}


def test_a_file_that_is_packed_in_another_way_is_named(place: Path, tmp_path: Path) -> None:
    data = (place / "outputs/12.0/0.txt").read_bytes()
    (place / "outputs/12.0/0.txt").unlink()
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", place))
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_LZMA) as archive:  # its dictionary may ask for 4 GiB
        archive.writestr("outputs/12.0/0.txt", data)
    assert ("output", "unreadable_file", "outputs/12.0/0.txt") in named(check(packed))


def test_a_list_of_more_files_than_anybody_has_is_refused_before_it_is_read(tmp_path: Path) -> None:
    place = tmp_path / "many.zip"
    size = shelves.MAX_DIRECTORY + 1
    with place.open("wb") as file:
        file.truncate(size)
        file.seek(0, io.SEEK_END)
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65535, 65535, size, 0, 0))
    with pytest.raises(Invalid, match="more than") as refused, open_shelf(place):
        pass
    assert refused.value.code == "no_crate"


@pytest.mark.parametrize(
    "hidden", [4, 16], ids=["where the number of the disk stands", "where the list begins"]
)
def test_a_list_of_files_is_not_hidden_from_us_by_a_second_end(
    tmp_path: Path, hidden: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "MAX_DIRECTORY", 1 << 20)
    place = tmp_path / "many.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for number in range(10_000):
            archive.writestr(f"{number:0200d}", b"")
    data = bytearray(place.read_bytes())
    data[-22 + hidden : -18 + hidden] = b"PK\x05\x06"
    place.write_bytes(data)
    with pytest.raises(Invalid, match="more than"), open_shelf(place):
        pass


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_there_is_not_in_utc_makes_no_record(place: Path, moment: str) -> None:
    record = place / "records/12.0.json"
    said = json.loads(record.read_bytes())
    record.write_bytes(canonical({**said, "ended_at": moment}))
    assert ("record", "unreadable_record", "records/12.0.json") in named(check(place))


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(place: Path) -> None:
    os.mkfifo(place / "outputs/12.0/pipe")
    assert ("extra", "no_file", "outputs/12.0/pipe") in named(check(place))


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000,
        b'{"a":' * (MAX_DEPTH + 2),
        b"1" * 5000,
        b"[1e999]",
        b'{"a":1,"a":2}',
        b"\xff",
        b'"\\ud800"',
    ],
    ids=[
        "deep list",
        "deep object",
        "long number",
        "infinity",
        "a name twice",
        "no UTF-8",
        "half a character",
    ],
)
def test_json_that_is_deep_huge_or_ambiguous_is_no_record(data: bytes, place: Path) -> None:
    with pytest.raises(NotCanonical):
        parse(data)
    (place / "records/12.0.json").write_bytes(data)
    assert ("record", "unreadable_record", "records/12.0.json") in named(check(place))


@pytest.mark.parametrize("path", ["prov.json", "ro-crate-metadata.json", "records/12.0.json.sig"])
def test_descriptions_and_signatures_that_are_deep_are_named(path: str, place: Path) -> None:
    (place / path).write_bytes(b"[" * 1_000_000)
    assert path in {finding.path for finding in check(place).findings}


def test_a_description_that_says_two_things_by_a_name_that_comes_twice_is_named(place: Path) -> None:
    text = (place / "ro-crate-metadata.json").read_text()
    (place / "ro-crate-metadata.json").write_text(
        text.replace('"name": "ada"', '"name": "eve", "name": "ada"', 1)
    )
    assert json.loads(text) == json.loads((place / "ro-crate-metadata.json").read_text())
    assert named(check(place)) == {("description", "content_differs", "ro-crate-metadata.json")}


def test_a_key_of_another_kind_is_named(place: Path, crate: Crate) -> None:
    (key,) = crate.keys
    (place / f"keys/{key}.pem").write_text(
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEA" + "A" * 43 + "=\n-----END PUBLIC KEY-----\n"
    )
    assert ("key", "unreadable_key", f"keys/{key}.pem") in named(check(place))


def test_records_that_were_taken_out_are_missed_by_whoever_asks_for_all(
    place: Path, crate: Crate, tmp_path: Path
) -> None:
    """With its outputs and in the descriptions too: what is left is a good crate of one job, and is said to be one."""
    (key,) = crate.keys
    part = write(Crate(cluster=crate.cluster, jobs=crate.jobs[:1], keys=crate.keys), tmp_path / "part")
    report = check(part, key)
    assert (report.good, report.absent) == (True, 1)
    report = check(part, key, complete=True)
    assert named(report) == {("record", "incomplete", "records/cluster.json")}
    assert report.findings[0].jobs == ("12.1",)
    assert check(place, key, complete=True).good


def test_a_record_of_another_cluster_that_the_platform_signed_too_is_named(
    place: Path, signing_key: Ed25519PrivateKey
) -> None:
    other = a_cluster(submit_text="another\n")
    job = a_job(sign(other.canonical(), key=signing_key).sha256, 0)
    (place / "records/12.0.json").write_bytes(job.canonical())
    (place / "records/12.0.json.sig").write_text(sign(job.canonical(), key=signing_key).model_dump_json())
    assert ("record", "other_cluster", "records/12.0.json") in named(check(place))


def test_a_record_that_a_stranger_signed_among_those_of_the_platform_is_named_with_both_keys(
    place: Path, crate: Crate
) -> None:
    (trusted,) = crate.keys
    stranger = Ed25519PrivateKey.generate()
    forged = key_id(stranger.public_key())
    job = (
        a_crate(stranger)
        .jobs[0]
        .document.model_copy(update={"cluster": crate.cluster.sha256, "exit_code": 7})
    )
    (place / "records/12.0.json").write_bytes(job.canonical())
    (place / "records/12.0.json.sig").write_text(sign(job.canonical(), key=stranger).model_dump_json())
    (place / f"keys/{forged}.pem").write_text(public_pem(stranger.public_key()))
    [finding] = [one for one in check(place, trusted).findings if one.code == "untrusted_key"]
    assert forged in finding.message and trusted in finding.message


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, list(words))
    return done.exit_code, done.output


def test_the_command_says_whose_key_it_is_and_where_to_look_for_it(place: Path, crate: Crate) -> None:
    (key,) = crate.keys
    code, said = run("verify", str(place))
    assert code == 0 and f"signed by {key}" in said and "--key" in said
    code, said = run("verify", str(place), "--key", "0" * 64)
    assert code == 1 and key in said and "https://armillary.example/api/v1/provenance/keys" in said


def test_a_strangers_names_do_not_steer_the_terminal(packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("x\x1b]0;owned\x07\r", b"x")
    code, said = run("verify", str(packed))
    assert code == 1 and "owned" in said and not set("\x1b\x07\r") & set(said)
