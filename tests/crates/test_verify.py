"""Whatever is changed in a crate is found and named."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from armillary.base.errors import Invalid
from armillary.crates.canonical import digest
from armillary.crates.describing import descriptions
from armillary.crates.layout import METADATA, PROV, WORDING, Crate, output_path
from armillary.crates.shelves import open_shelf
from armillary.crates.signing import key_id, public_pem, sign
from armillary.crates.verify import Report, load, verify


def check(place: Path, *trusted: str, image: Path | None = None) -> Report:
    with open_shelf(place) as shelf:
        return verify(shelf, trusted=trusted, image=image)


def named(report: Report) -> list[tuple[str, str, str]]:
    return [(finding.what, finding.code, finding.path) for finding in report.findings]


def test_a_whole_crate_is_good_as_a_folder_and_as_a_zip(place: Path, crate: Crate, tmp_path: Path) -> None:
    report = check(place, *crate.keys)
    assert named(report) == []
    assert report.good and report.crate and len(report.crate.jobs) == 2
    assert report.octets > 0
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", place)
    assert check(Path(packed), *crate.keys).good


def test_a_changed_input_is_named_with_the_jobs_that_read_it(place: Path) -> None:
    (path,) = [entry for entry in (place / "inputs").iterdir() if entry.read_bytes().startswith(b"3")]
    path.write_bytes(b"3\n1\n9\n")
    report = check(place)
    assert named(report) == [("input", "content_differs", f"inputs/{path.name}")]
    assert report.findings[0].jobs == ("12.0", "12.1")


def test_a_changed_executable_is_named(place: Path) -> None:
    (path,) = [entry for entry in (place / "inputs").iterdir() if entry.read_bytes().startswith(b"#!")]
    path.write_bytes(path.read_bytes() + b"rm -r ~\n")
    assert named(check(place)) == [("input", "content_differs", f"inputs/{path.name}")]


def test_a_changed_output_is_named(place: Path) -> None:
    (place / "outputs/12.0/0.txt").write_bytes(b"1\n2\n4\n")
    report = check(place)
    assert named(report) == [("output", "content_differs", "outputs/12.0/0.txt")]
    assert "12.0" in report.findings[0].jobs


def test_a_missing_and_an_added_file_are_named(place: Path) -> None:
    (place / "outputs/12.1/dir/deep file.txt").unlink()
    (place / "outputs/12.1/more.txt").write_text("more")
    assert named(check(place)) == [
        ("output", "missing", "outputs/12.1/dir/deep file.txt"),
        ("extra", "extra_file", "outputs/12.1/more.txt"),
    ]


def test_a_changed_record_is_named_also_when_it_is_canonical_and_its_digest_is_mended(place: Path) -> None:
    record = place / "records/12.1.json"
    record.write_bytes(record.read_bytes().replace(b'"exit_code":0', b'"exit_code":1'))
    found = named(check(place))
    assert ("record", "record_changed", "records/12.1.json") in found
    signature = place / "records/12.1.json.sig"
    signature.write_text(
        json.dumps(json.loads(signature.read_text()) | {"sha256": digest(record.read_bytes())})
    )
    assert ("signature", "bad_signature", "records/12.1.json.sig") in named(check(place))


def test_a_record_that_is_no_longer_canonical_is_named(place: Path) -> None:
    record = place / "records/12.0.json"
    record.write_text(json.dumps(json.loads(record.read_text()), indent=1))
    assert ("record", "unreadable_record", "records/12.0.json") in named(check(place))


def test_a_changed_signature_is_named(place: Path) -> None:
    signature = place / "records/12.0.json.sig"
    text = json.loads(signature.read_text())
    flipped = ("B" if text["value"][0] == "A" else "A") + text["value"][1:]
    signature.write_text(json.dumps(text | {"value": flipped}))
    assert named(check(place)) == [("signature", "bad_signature", "records/12.0.json.sig")]


def test_a_missing_record_signature_or_key_is_named(place: Path, crate: Crate) -> None:
    (place / "records/12.0.json.sig").unlink()
    assert ("signature", "missing", "records/12.0.json.sig") in named(check(place))
    (key,) = crate.keys
    (place / f"keys/{key}.pem").unlink()
    assert ("key", "missing", f"keys/{key}.pem") in named(check(place))
    (place / "records/cluster.json").unlink()
    assert ("record", "missing", "records/cluster.json") in named(check(place))


def test_whoever_signs_everything_anew_is_not_trusted(place: Path, crate: Crate) -> None:
    (trusted,) = crate.keys
    forger = Ed25519PrivateKey.generate()
    for record in (place / "records").glob("*.json"):
        record.with_name(record.name + ".sig").write_text(
            sign(record.read_bytes(), key=forger).model_dump_json()
        )
    (place / f"keys/{trusted}.pem").unlink()
    forged = key_id(forger.public_key())
    (place / f"keys/{forged}.pem").write_text(public_pem(forger.public_key()))
    with open_shelf(place) as shelf:
        (place / METADATA).write_bytes(descriptions(load(shelf))[METADATA])
    assert check(place, forged).good, "a crate alone cannot say whose it is"
    assert {finding.code for finding in check(place, trusted).findings} == {"untrusted_key"}


def test_a_key_under_the_name_of_another_is_named(place: Path, crate: Crate) -> None:
    (trusted,) = crate.keys
    (place / f"keys/{trusted}.pem").write_text(public_pem(Ed25519PrivateKey.generate().public_key()))
    assert ("key", "other_key", f"keys/{trusted}.pem") in named(check(place))


def test_a_job_that_ran_on_another_image_is_named(with_second_job: Callable[..., Path], crate: Crate) -> None:
    machine = crate.jobs[1].document.machine.model_copy(update={"image_sha512": "00" * 64})
    report = check(with_second_job(machine=machine))
    assert named(report) == [("image", "image_differs", "records/12.1.json")]


def test_another_image_file_is_named(place: Path, tmp_path: Path) -> None:
    image = tmp_path / "my.qcow2"
    image.write_bytes(b"another")
    assert named(check(place, image=image)) == [("image", "image_differs", "my.qcow2")]


def test_a_record_of_another_cluster_is_named(with_second_job: Callable[..., Path]) -> None:
    assert ("record", "other_cluster", "records/12.1.json") in named(
        check(with_second_job(cluster="00" * 32))
    )


@pytest.mark.parametrize("name", [METADATA, PROV])
def test_a_description_in_the_words_of_another_version_is_told_apart_and_not_judged(
    name: str, place: Path
) -> None:
    before = {METADATA: f'"version": "{WORDING}"', PROV: f'"armillary:wording": "{WORDING}"'}[name]
    text = (place / name).read_text()
    assert text.count(before) == 1
    (place / name).write_text(text.replace(before, before.replace(WORDING, "0")).replace("12.1", "12.one"))
    report = check(place)
    assert (report.good, report.unjudged) == (True, [name])
    (place / name).write_text(text.replace(before, '"said": "nothing"'))
    assert named(check(place)) == [("description", "content_differs", name)]


def test_a_description_that_says_something_else_is_named(place: Path) -> None:
    prov = place / "prov.json"
    prov.write_text(prov.read_text().replace("ada", "eve"))
    assert named(check(place)) == [("description", "content_differs", "prov.json")]


def test_a_file_that_comes_twice_in_a_zip_is_named(place: Path, tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", place))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("outputs/12.0/0.txt", b"1\n2\n3\n")
    assert ("extra", "twice", "outputs/12.0/0.txt") in named(check(packed))


def test_a_link_in_place_of_an_output_is_not_followed(place: Path, tmp_path: Path) -> None:
    output = place / "outputs/12.0/0.txt"
    output.rename(tmp_path / "elsewhere")
    output.symlink_to(tmp_path / "elsewhere")
    assert named(check(place)) == [
        ("extra", "link", "outputs/12.0/0.txt"),
        ("output", "missing", "outputs/12.0/0.txt"),
    ]


def test_a_folder_that_is_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    shutil.move(place / "outputs", tmp_path / "elsewhere")
    (place / "outputs").symlink_to(tmp_path / "elsewhere")
    found = named(check(place))
    assert {(what, code) for what, code, _ in found} == {("output", "missing"), ("extra", "link")}


def test_an_archive_that_was_damaged_anywhere_is_judged_and_never_breaks_the_judge(
    place: Path, tmp_path: Path
) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", place))
    whole = packed.read_bytes()
    bad = 0
    size = len(whole)
    for at in [*range(11, size, size // 100), *range(size - 400, size, 5)]:  # its list of files is at the end
        packed.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            bad += not check(packed).good
        except Invalid:  # the archive is none any more
            bad += 1
    assert bad > 60, "the rest are moments and modes, which no record speaks of"


def test_what_is_no_crate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(Invalid, match="no crate"), open_shelf(tmp_path / "x.zip"):
        pass
    with open_shelf(tmp_path) as shelf, pytest.raises(Invalid, match="missing"):
        load(shelf)


@pytest.mark.parametrize(
    "name", ["../up", "/etc/passwd", "a/../../b", "a\\b", "a%2fb", "a\nb", "x//y", "é" * 200]
)
def test_no_name_of_an_output_leaves_the_crate(name: str) -> None:
    path = output_path("12.0", name)
    assert path.startswith("outputs/12.0/%")
    assert path.count("/") == 2
