"""The machine image of a crate, out of clouds that break and into clouds that do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from recorded_world import World

from armillary.accounts.model import Membership, Principal, Role
from armillary.base.clock import VirtualClock
from armillary.base.errors import (
    ArmillaryError,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from armillary.base.ids import PersonId
from armillary.crates.layout import Crate, Signed
from armillary.crates.record import ClusterRecord, Image, Person
from armillary.crates.signing import Signature, key_id, public_pem, sign
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.provenance.disks import BREAKS, IMPORT_MARK, Disk, Disks
from armillary.provenance.model import PublicKey

DISK = bytes(range(256)) * 64
SHA512 = hashlib.sha512(DISK).hexdigest()
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Signer:
    """A platform's key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def sign(self, document: bytes) -> Signature:
        return sign(document, key=self._key)

    def published_keys(self) -> list[PublicKey]:
        public = self._key.public_key()
        return [PublicKey(id=key_id(public), pem=public_pem(public), since=NOW)]


class Bench:
    """Two clouds, and Ada who is in the project of the jobs."""

    def __init__(self, world: World) -> None:
        clock = VirtualClock(NOW)
        self.ada, self.project = world.ada, world.project
        self.east, self.west = (FakeCloud(name=name, clock=clock) for name in ("east", "west"))
        self.disks = Disks(
            fleet=fake_fleet(clock=clock, clouds=[self.east, self.west]), memberships=self, signer=Signer(),
            clock=clock, platform="https://armillary.example",
        )  # fmt: skip
        cluster = ClusterRecord(
            platform="https://elsewhere.example", cluster=1, owner=Person(name="ada"),
            project=Person(name=world.project.name), submitted_at=NOW, submit_text="queue\n", jobs=1, flavor="c1",
            image=Image(name="my-snapshot", sha512=SHA512),
        )  # fmt: skip
        data = cluster.canonical()
        signature = Signer().sign(data)
        self.bare = Crate(cluster=Signed(document=cluster, data=data, signature=signature), jobs=[])

    def projects_of(self, person_id: PersonId) -> Sequence[Membership]:
        mine = Membership(person=self.ada.person, project=self.project, role=Role.MEMBER)
        return [mine] if person_id == self.ada.person.id else []

    def exported(self) -> Disk:
        """Have the image on both clouds, and return it as it goes out."""
        for cloud in (self.east, self.west):
            cloud.add_image("my-snapshot", DISK, project=self.project, properties={"os_distro": "debian"})
        return self.disks.disk(self.ada, self.bare)

    def emptied(self, disk: Disk) -> Crate:
        """Return the crate as it comes in where no cloud has the image."""
        for cloud in (self.east, self.west):
            for image in cloud.images(self.project):
                cloud.delete(self.project, image.id)
        return disk.crate

    def bring(self, crate: Crate, chunks: Iterator[bytes], cloud: str | None = None) -> str:
        brought = self.disks.bring(self.ada, crate, project=None, cloud=cloud, chunks=chunks)
        assert brought.image.sha512 == SHA512
        return f"{brought.image.cloud} {'sent' if brought.sent else 'there'}"


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world)


def pieces(data: bytes = DISK) -> Iterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


def untouched() -> Iterator[bytes]:
    raise AssertionError("nobody is to read this")
    yield b""


def test_it_goes_out_with_all_that_another_cloud_must_know(bench: Bench) -> None:
    disk = bench.exported()
    assert disk.crate.image is not None
    said = disk.crate.image.document
    assert (said.sha512, said.size, said.properties) == (SHA512, len(DISK), {"os_distro": "debian"})
    assert disk.crate.image.signature.key in disk.crate.keys
    assert b"".join(bench.disks.chunks(disk)) == DISK


def test_where_one_cloud_breaks_off_the_other_goes_on(bench: Bench) -> None:
    disk = bench.exported()
    bench.east.faults.breaks = [5000, 0]
    bench.west.faults.breaks = [100]
    assert b"".join(bench.disks.chunks(disk)) == DISK
    bench.east.faults.breaks = [0] * BREAKS
    bench.west.faults.breaks = [0] * BREAKS
    with pytest.raises(Unavailable):
        list(bench.disks.chunks(disk))


def test_bytes_that_are_not_the_images_end_in_a_refusal(bench: Bench) -> None:
    disk = bench.exported()
    lying = replace(
        disk, copies=[replace(one, sha512=hashlib.sha512(b"x").hexdigest()) for one in disk.copies]
    )
    with pytest.raises(PreconditionFailed) as refused:
        list(bench.disks.chunks(lying))
    assert refused.value.code == "image_bytes_differ"


def test_an_image_that_is_gone_is_said_and_one_whose_cloud_is_silent_is_not_called_gone(bench: Bench) -> None:
    with pytest.raises(Conflict) as gone:
        bench.disks.disk(bench.ada, bench.bare)
    assert gone.value.code == "image_gone"
    bench.west.silent = True
    with pytest.raises(Unavailable):
        bench.disks.disk(bench.ada, bench.bare)


def test_only_members_take_it_and_no_credential_that_is_for_other_things(bench: Bench, world: World) -> None:
    crate = bench.exported().crate
    with pytest.raises(ArmillaryError) as stranger:
        bench.disks.disk(world.eve, bench.bare)
    assert stranger.value.code == "no_project"
    with pytest.raises(NotFound):
        bench.disks.disk(world.eve, bench.bare, project=bench.project.name)
    limited = Principal(person=bench.ada.person, scopes=frozenset({"vospace:read"}))
    with pytest.raises(Forbidden):
        bench.disks.disk(limited, bench.bare)
    reader = Principal(person=bench.ada.person, scopes=frozenset({"clouds:read"}))
    with pytest.raises(Forbidden):
        bench.disks.bring(reader, crate, project=None, cloud=None, chunks=untouched())


def test_it_comes_in_once_to_the_first_cloud_that_answers_or_the_one_that_is_named(bench: Bench) -> None:
    crate = bench.emptied(bench.exported())
    bench.east.silent = True
    assert bench.bring(crate, pieces()) == "west sent"
    bench.east.silent = False
    assert bench.bring(crate, untouched()) == "west there"
    assert bench.bring(crate, pieces(), cloud="east") == "east sent"
    (image,) = bench.east.images(bench.project)
    assert (image.name, image.properties["os_distro"], image.owner) == (
        "my-snapshot", "debian", str(bench.project.id)
    )  # fmt: skip
    with pytest.raises(NotFound, match="no cloud nowhere"):
        bench.bring(crate, untouched(), cloud="nowhere")
    with pytest.raises(NotFound) as bare:
        bench.bring(bench.bare, untouched())
    assert bare.value.code == "no_image_in_crate"


@pytest.mark.parametrize("data", [DISK[:-1], DISK[:-1] + b"!", DISK + b"!"], ids=["short", "changed", "long"])
def test_bytes_that_differ_leave_nothing(bench: Bench, data: bytes) -> None:
    crate = bench.emptied(bench.exported())
    with pytest.raises(PreconditionFailed):
        bench.bring(crate, pieces(data))
    assert bench.east.images(bench.project) == []
    assert bench.bring(crate, pieces()) == "east sent"


def test_what_we_did_not_live_to_finish_goes_with_the_next_try(bench: Bench) -> None:
    crate = bench.emptied(bench.exported())
    bench.east.faults.half_images = True
    bench.east.faults.refused_bytes = [3000]
    with pytest.raises(ArmillaryError):
        bench.bring(crate, pieces())
    (half,) = bench.east.images(bench.project)
    assert (half.status, half.properties[IMPORT_MARK]) == ("saving", SHA512)
    assert bench.bring(crate, pieces()) == "east sent"
    assert [image.status for image in bench.east.images(bench.project)] == ["active"]


def test_of_two_who_bring_the_same_the_second_is_told_to_wait(bench: Bench) -> None:
    crate = bench.emptied(bench.exported())

    def meanwhile() -> Iterator[bytes]:
        with pytest.raises(Conflict) as refused:
            bench.bring(crate, untouched())
        assert refused.value.code == "images_under_way"
        yield from pieces()

    assert bench.bring(crate, meanwhile()) == "east sent"


def test_a_person_brings_one_image_at_a_time_so_that_a_slow_sender_does_not_hold_every_place(
    bench: Bench,
) -> None:
    crate = bench.emptied(bench.exported())

    def meanwhile() -> Iterator[bytes]:
        with pytest.raises(Conflict) as refused:
            bench.bring(crate, untouched(), "west")
        assert refused.value.code == "images_under_way"
        yield from pieces()

    assert bench.bring(crate, meanwhile(), "east") == "east sent"
    assert bench.bring(crate, pieces(), "west") == "west sent"


def test_marks_by_which_we_know_our_own_images_are_not_taken_from_strangers(bench: Bench) -> None:
    crate = bench.emptied(bench.exported())
    assert crate.image is not None
    forged = crate.image.document.model_copy(update={"properties": {"armillary_project": "of-another"}})
    bench.bring(replace(crate, image=replace(crate.image, document=forged)), pieces())
    (image,) = bench.east.images(bench.project)
    assert "armillary_project" not in image.properties
