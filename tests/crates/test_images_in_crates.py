"""A crate that brings the machine image along: what is changed in it is named as the image."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from armillary.base.errors import Invalid
from armillary.crates.layout import IMAGE, METADATA
from armillary.crates.shelves import open_shelf
from armillary.crates.signing import key_id
from armillary.crates.verify import verify

DISK = "image/disk.qcow2"
Disked = Callable[..., Path]


def findings(place: Path, key: Ed25519PrivateKey) -> list[tuple[str, str, str]]:
    with open_shelf(place) as shelf:
        report = verify(shelf, trusted=[key_id(key.public_key())])
    return [(one.what, one.code, one.path) for one in report.findings]


def test_a_crate_with_its_image_is_good_and_described(disked: Disked, signing_key: Ed25519PrivateKey) -> None:
    place = disked()
    assert findings(place, signing_key) == []
    sha512 = hashlib.sha512((place / DISK).read_bytes()).hexdigest()
    graph = {one["@id"]: one for one in json.loads((place / METADATA).read_text())["@graph"]}
    assert graph[DISK]["sha512"] == sha512
    assert graph[f"urn:sha512:{sha512}"]["encoding"] == {"@id": DISK}
    assert {"@id": DISK} in graph["./"]["hasPart"]


@pytest.mark.parametrize(
    "spoil",
    [lambda disk: disk[:-1] + b"!", lambda disk: disk[:-1], lambda disk: disk + b"!"],
    ids=["changed", "shorter", "longer"],
)
def test_bytes_of_the_image_that_were_changed_are_named(
    disked: Disked, signing_key: Ed25519PrivateKey, spoil: Callable[[bytes], bytes]
) -> None:
    disk = disked() / DISK
    disk.write_bytes(spoil(disk.read_bytes()))
    assert findings(disk.parents[1], signing_key) == [("image", "content_differs", DISK)]


def test_an_image_that_is_left_out_is_missed(disked: Disked, signing_key: Ed25519PrivateKey) -> None:
    place = disked()
    (place / DISK).unlink()
    assert findings(place, signing_key) == [("image", "missing", DISK)]
    (place / IMAGE).unlink()
    (place / f"{IMAGE}.sig").unlink()
    assert findings(place, signing_key) == [("description", "content_differs", METADATA)]


def test_an_image_without_a_record_is_one_file_too_many(place: Path, signing_key: Ed25519PrivateKey) -> None:
    (place / "image").mkdir()
    (place / DISK).write_bytes(b"a disk")
    assert findings(place, signing_key) == [("extra", "extra_file", DISK)]


def test_another_image_than_the_clusters_is_named_though_it_is_signed(
    disked: Disked, signing_key: Ed25519PrivateKey
) -> None:
    assert findings(disked(data=b"another disk"), signing_key) == [("image", "image_differs", IMAGE)]


def test_what_an_image_is_said_to_be_is_signed(disked: Disked, signing_key: Ed25519PrivateKey) -> None:
    record = disked() / IMAGE
    record.write_text(record.read_text().replace("debian", "notdeb"))
    assert ("record", "record_changed", IMAGE) in findings(record.parents[1], signing_key)


def test_a_record_of_the_image_by_a_stranger_is_not_trusted(
    disked: Disked, signing_key: Ed25519PrivateKey
) -> None:
    place = disked(signer=Ed25519PrivateKey.generate())
    assert findings(place, signing_key) == [("key", "untrusted_key", f"{IMAGE}.sig")]


def test_a_zip_that_broke_off_in_the_image_is_no_crate(disked: Disked, tmp_path: Path) -> None:
    place, whole = disked(), tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for file in sorted(place.rglob("*"), key=lambda one: one == place / DISK):
            archive.write(file, file.relative_to(place))
    whole.write_bytes(whole.read_bytes()[:-5000])
    with pytest.raises(Invalid, match="is no crate"), open_shelf(whole):
        pass


def test_a_crate_without_an_image_has_no_word_of_one(place: Path) -> None:
    assert "image/" not in (place / METADATA).read_text()
