"""`armillary fsck`: each fault of bytes is found, and mended without losing anything, on every kind of storage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import obstore
import pytest
from obstore.store import MemoryStore
from yards import DATA, HOME, Yard

from armillary.base.ids import new_hex
from armillary.vospace.bytes import Bucket, PiecedBytes, S3Bytes
from armillary.vospace.check_model import DAMAGED, Fault
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import ByteStore
from outside_engines import ON_BOTH


def test_orphans_are_told_and_with_mending_deleted(yard: Yard) -> None:
    yard.put("m51.fits")
    key = new_hex()
    writer = yard.bytes.begin(key)
    writer.write(DATA)
    writer.publish()
    assert yard.finds(Fault.ORPHAN_BYTES).subject == key
    [mended] = yard.check(mends=True)
    assert mended.mended == "deleted"
    assert yard.bytes.size(key) is None
    assert yard.check() == []
    assert yard.read("m51.fits") == DATA


def test_what_is_young_is_not_suspected(yard: Yard) -> None:
    key = new_hex()
    writer = yard.bytes.begin(key)
    writer.write(DATA)
    writer.publish()
    yard.now = datetime.now(UTC) + timedelta(minutes=50)
    assert yard.check(mends=True) == []
    assert yard.bytes.size(key) == len(DATA)


@ON_BOTH
def test_a_node_with_lost_bytes_stays_and_is_marked_until_they_are_there_again(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    yard.bytes.delete(node.blob)
    assert yard.finds(Fault.MISSING_BYTES).subject == f"{HOME}/m51.fits"
    for _ in range(2):
        [found] = yard.check(mends=True)
        assert found.is_open, "bytes that are lost are not mended by a mark"
        assert yard.node("m51.fits").properties[DAMAGED].startswith("missing_bytes ")
    assert yard.node("m51.fits").length == len(DATA)

    writer = yard.bytes.begin(node.blob)
    writer.write(DATA)
    writer.publish()
    [found] = yard.check(mends=True)
    assert found.mended
    assert DAMAGED not in yard.node("m51.fits").properties
    assert yard.check(checksums=True) == []


def test_an_owner_can_put_a_file_with_lost_bytes_anew(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    yard.bytes.delete(node.blob)
    yard.check(mends=True)
    yard.put("m51.fits", b"again")
    yard.check(mends=True)
    assert yard.check(checksums=True) == []
    assert yard.read("m51.fits") == b"again"


def test_a_node_that_has_a_length_and_no_bytes_at_all_is_told(yard: Yard) -> None:
    yard.change(yard.put("m51.fits"), blob=None)
    found = {finding.fault: finding.subject for finding in yard.check()}
    assert found[Fault.MISSING_BYTES] == f"{HOME}/m51.fits"


def test_a_wrong_length_is_told(yard: Yard) -> None:
    node = yard.put("m51.fits")
    yard.change(node, length=5)
    yard.change(yard.node(), used=5)
    assert yard.finds(Fault.WRONG_LENGTH).subject == f"{HOME}/m51.fits"
    yard.check(mends=True)
    assert yard.node("m51.fits").properties[DAMAGED].startswith("wrong_length ")


def test_a_wrong_checksum_is_told_by_those_who_read_all(yard: Yard) -> None:
    node = yard.put("m51.fits")
    yard.change(node, md5=hashlib.md5(b"something else").hexdigest())
    assert yard.check() == []
    assert yard.finds(Fault.WRONG_CHECKSUM, checksums=True).subject == f"{HOME}/m51.fits"


def test_a_lost_piece_is_told_by_those_who_read_all(a_yard: Callable[[ByteStore], Yard]) -> None:
    bucket = MemoryStore()
    yard = a_yard(PiecedBytes(bucket, piece=8))
    node = yard.put("m51.fits")
    assert node.blob
    obstore.delete(bucket, f"pieces/{node.blob[:2]}/{node.blob}/{8:020d}")
    assert yard.check() == []
    assert yard.finds(Fault.MISSING_BYTES, checksums=True).subject == f"{HOME}/m51.fits"


@pytest.mark.engines
def test_a_bucket_is_checked_and_mended(
    a_yard: Callable[[ByteStore], Yard], a_bucket: Callable[[], Bucket]
) -> None:
    yard = a_yard(S3Bytes(a_bucket()))
    lost, kept = yard.put("lost"), yard.put("kept", DATA * 1_000_000)
    assert lost.blob
    yard.bytes.delete(lost.blob)
    orphan, unfinished = new_hex(), new_hex()
    for key in (orphan, unfinished):
        writer = yard.bytes.begin(key)
        writer.write(DATA)
        writer.publish() if key == orphan else writer.pause()
    found = {finding.fault: finding.subject for finding in yard.check(mends=True, checksums=True)}
    assert found == {
        Fault.MISSING_BYTES: f"{HOME}/lost",
        Fault.ORPHAN_BYTES: orphan,
        Fault.UNFINISHED_UPLOAD: unfinished,
    }
    assert [finding.fault for finding in yard.check()] == [Fault.MISSING_BYTES]
    assert hashlib.md5(yard.read("kept")).hexdigest() == kept.md5


@ON_BOTH
def test_deleted_files_whose_bytes_were_kept_are_given_back(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    with yard.space.records.writing() as tree:
        tree.remove(node)
        tree.charge(tree.walk(VOSPath(("home", "ada")))[-1], -len(DATA))
    yard.finds(Fault.WAITING_BYTES)
    yard.check(mends=True)
    assert yard.bytes.size(node.blob) is None
    assert yard.check() == []


def test_an_upload_that_nobody_can_finish_is_deleted(yard: Yard) -> None:
    key = new_hex()
    writer = yard.bytes.begin(key)
    writer.write(DATA)
    writer.pause()
    assert yard.finds(Fault.UNFINISHED_UPLOAD).subject == key
    yard.check(mends=True)
    assert yard.bytes.kept(key) is None
    assert yard.check() == []


def test_many_files_are_compared_in_portions(yard: Yard) -> None:
    for number in range(20):
        yard.put(f"{number}")
    assert yard.check(portion=7, checksums=True) == []
    node, orphan = yard.node("7"), new_hex()
    assert node.blob
    yard.bytes.delete(node.blob)
    writer = yard.bytes.begin(orphan)
    writer.write(DATA)
    writer.publish()
    found = yard.check(portion=7)
    assert {(one.fault, one.subject) for one in found} == {
        (Fault.MISSING_BYTES, f"{HOME}/7"),
        (Fault.ORPHAN_BYTES, orphan),
    }
    assert sorted(map(str, found)) == sorted(map(str, yard.check()))


def test_a_mark_is_the_owners_to_take_away(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    yard.bytes.delete(node.blob)
    yard.check(mends=True)
    yard.space.set_properties(yard.ada, f"{HOME}/m51.fits", Change(properties={DAMAGED: None}))
    assert DAMAGED not in yard.node("m51.fits").properties
