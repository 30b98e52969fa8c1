"""The bytes of images: whole and verified, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Conflict, Invalid, NotFound, PreconditionFailed, TooLarge
from armillary.base.ids import Sha512
from armillary.cloud.images.model import Declared, Status

if TYPE_CHECKING:
    from conftest import Bench

CONTENT = b"an image of some galaxy"
SHA512 = Sha512(hashlib.sha512(CONTENT).hexdigest())


def test_an_upload_makes_the_image_active_with_the_digests_that_were_counted(
    bench: Bench, ada: Principal
) -> None:
    image = bench.active(ada, CONTENT)
    assert image.status == "active"
    assert image.sha512 == SHA512
    assert image.checksum == hashlib.md5(CONTENT).hexdigest()
    assert (image.size, image.virtual_size) == (len(CONTENT), len(CONTENT))
    assert bench.images.path(image).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "declared",
    [
        Declared(length=len(CONTENT) + 1),
        Declared(md5="0" * 32),
        Declared(sha256="0" * 64),
        Declared(sha512="0" * 128),
    ],
)
def test_what_differs_from_its_declaration_never_becomes_active(
    bench: Bench, ada: Principal, declared: Declared
) -> None:
    image = bench.queued(ada)
    with pytest.raises(PreconditionFailed):
        bench.upload(ada, image, CONTENT, declared)
    assert bench.status(image) == "queued"
    assert bench.files() == []


def test_what_agrees_with_its_declaration_becomes_active(bench: Bench, ada: Principal) -> None:
    declared = Declared(
        length=len(CONTENT), sha512=SHA512.upper(), sha256=hashlib.sha256(CONTENT).hexdigest()
    )
    assert bench.upload(ada, bench.queued(ada), CONTENT, declared).status == "active"


def test_the_digests_that_openstacksdk_notes_are_held_against_the_bytes(bench: Bench, ada: Principal) -> None:
    wrong = bench.queued(ada, **{"owner_specified.openstack.sha256": "1" * 64})
    with pytest.raises(PreconditionFailed, match="sha256"):
        bench.upload(ada, wrong, CONTENT)
    empty = bench.queued(ada, **{"owner_specified.openstack.sha256": ""})
    assert bench.upload(ada, empty, CONTENT).status == "active"


def test_an_upload_that_breaks_off_can_begin_again(bench: Bench, ada: Principal) -> None:
    image = bench.queued(ada)
    with pytest.raises(ConnectionError), bench.images.receiving(ada, image.id, Declared()) as arrival:
        arrival.write(b"half of")
        assert bench.status(image) == "saving"
        raise ConnectionError
    assert bench.status(image) == "queued"
    assert bench.files() == []
    assert bench.upload(ada, image, CONTENT).status == "active"


def test_an_upload_that_a_crash_ends_can_begin_again(bench: Bench, ada: Principal) -> None:
    image = bench.queued(ada)
    upload = bench.images.receiving(ada, image.id, Declared())
    upload.__enter__().write(b"half of")
    bench.restart()
    assert bench.status(image) == "queued"
    assert bench.files() == []


def test_one_upload_at_a_time_and_none_over_a_content(bench: Bench, ada: Principal) -> None:
    image = bench.queued(ada)
    with bench.images.receiving(ada, image.id, Declared()), pytest.raises(Conflict):
        bench.upload(ada, image, CONTENT)
    bench.upload(ada, image, CONTENT)
    with pytest.raises(Conflict):
        bench.upload(ada, image, b"other")


def test_too_many_bytes_are_refused_before_they_come_and_while(bench: Bench, ada: Principal) -> None:
    image = bench.queued(ada)
    with pytest.raises(TooLarge):
        bench.upload(ada, image, b"", Declared(length=1001))
    with pytest.raises(TooLarge):
        bench.upload(ada, image, b"x" * 1001)
    assert bench.status(image) == "queued"


def test_an_image_that_names_other_files_is_refused(bench: Bench, ada: Principal) -> None:
    image = bench.queued(ada, disk_format="qcow2")
    backed = b"QFI\xfb\0\0\0\x03" + (200).to_bytes(8, "big") + bytes(200)
    with pytest.raises(Invalid, match="backing file") as refusal:
        bench.upload(ada, image, backed)
    assert refusal.value.code == "image_refused"
    assert bench.status(image) == "queued"
    assert bench.files() == []


def test_an_image_without_formats_takes_no_bytes(bench: Bench, ada: Principal) -> None:
    image = bench.images.create(ada, {"name": "plain"})
    with pytest.raises(Invalid, match="disk_format"):
        bench.upload(ada, image, CONTENT)


def test_an_image_deleted_during_its_upload_leaves_nothing(bench: Bench, ada: Principal) -> None:
    image = bench.queued(ada)
    with pytest.raises(NotFound), bench.images.receiving(ada, image.id, Declared()) as arrival:
        arrival.write(CONTENT)
        bench.images.delete(ada, image.id)
        bench.images.complete(image.id, arrival)
    assert bench.files() == []


def test_equal_contents_are_kept_once_and_as_long_as_one_image_has_them(bench: Bench, ada: Principal) -> None:
    one, two = bench.active(ada, CONTENT), bench.active(ada, CONTENT)
    assert bench.files() == [SHA512]
    bench.images.delete(ada, one.id)
    assert bench.files() == [SHA512]
    bench.images.delete(ada, two.id)
    assert bench.files() == []


def test_a_content_outlives_its_image_while_a_machine_uses_it(bench: Bench, ada: Principal) -> None:
    image = bench.active(ada, CONTENT)
    bench.used.add(SHA512)
    bench.images.delete(ada, image.id)
    assert bench.images.blob(SHA512).read_bytes() == CONTENT
    bench.used.clear()
    bench.images.sweep()
    assert bench.files() == []


def test_a_snapshot_is_taken_over_and_becomes_active(bench: Bench, ada: Principal, tmp_path: Path) -> None:
    image = bench.images.begin_snapshot(
        ada, "snap", {"instance_uuid": "x", "owner_specified.openstack.md5": "0" * 32}, min_disk=5
    )
    assert (image.status, image.visibility, image.min_disk) == ("queued", "private", 5)
    file = tmp_path / "snapshot"
    file.write_bytes(b"not a qcow2")
    with pytest.raises(Invalid):
        bench.images.commit_snapshot(image.id, file)
    bench.images.fail_snapshot(image.id, "the disk broke")
    assert bench.status(image) == "killed"
    assert bench.images.show(ada, image.id).fault == "the disk broke"


@pytest.mark.parametrize(
    ("formats", "reason"),
    [
        ({"disk_format": "vmdk"}, "disk format is vmdk"),
        ({"container_format": "ova"}, "container format is ova"),
        ({"disk_format": "qcow2"}, "not a qcow2 image"),
    ],
)
def test_what_is_no_disk_is_kept_and_not_booted(
    bench: Bench, ada: Principal, formats: dict[str, str], reason: str
) -> None:
    image = bench.active(ada, **formats)
    with pytest.raises(Invalid) as refusal:
        bench.images.resolve_bootable(ada, image.id)
    assert refusal.value.code == "image_not_bootable" and reason in refusal.value.message


def test_what_was_staged_is_still_there_after_a_crash(bench: Bench, ada: Principal) -> None:
    staged, begun = bench.queued(ada), bench.queued(ada)
    with bench.images.receiving(ada, staged.id, Declared(), into=Status.UPLOADING) as arrival:
        arrival.write(b"x" * 512)
        bench.images.complete(staged.id, arrival)
    with bench.images.receiving(ada, begun.id, Declared(), into=Status.UPLOADING) as arrival:
        arrival.write(b"y" * 512)
        bench.restart()
        assert bench.images.show(ada, begun.id).status is Status.QUEUED
    assert bench.images.import_staged(ada, staged.id).status is Status.ACTIVE
    with pytest.raises(Conflict):
        bench.images.import_staged(ada, begun.id)


def test_only_an_active_image_boots(bench: Bench, ada: Principal, bob: Principal) -> None:
    queued, active = bench.queued(ada), bench.active(ada)
    assert bench.images.resolve_bootable(ada, active.id).sha512 == active.sha512
    for who, image in ((ada, queued), (bob, active)):
        with pytest.raises(ArmillaryError):
            bench.images.resolve_bootable(who, image.id)
    bench.images.set_active(ada, active.id, False)
    with pytest.raises(Invalid):
        bench.images.resolve_bootable(ada, active.id)
