from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from armillary.accounts.model import Project
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from armillary.base.ids import ImageId, Sha512
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.fleet.model import COPY_MARK, FleetImage
from armillary.fleet.service import FleetService


def test_an_image_that_is_there_is_not_copied(fleet: FleetService, east: FakeCloud, project: Project) -> None:
    image = east.add_image("debian-12", b"disk")

    assert fleet.ensure_image(east.name, project, Sha512(str(image.sha512))) == image.id
    assert east.uploads == 0


def test_a_missing_image_is_copied_with_its_name_and_properties(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    image = east.add_image("mine", b"disk" * 5000, project=project, properties={"os_admin_user": "debian"})

    copied = fleet.ensure_image(west.name, project, Sha512(str(image.sha512)))

    copy = fleet.image(west.name, project, copied)
    assert (copy.name, copy.sha512) == (image.name, image.sha512)
    assert copy.properties == {**image.properties, COPY_MARK: image.sha512}
    assert b"".join(west.open(project, copied)) == b"disk" * 5000


def test_many_callers_at_once_make_one_copy(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    image = east.add_image("mine", b"disk" * 50000, project=project)

    with ThreadPoolExecutor(8) as pool:
        ids = set(
            pool.map(lambda _: fleet.ensure_image(west.name, project, Sha512(str(image.sha512))), range(8))
        )

    assert len(ids) == 1
    assert west.uploads == 1


def test_a_copy_that_differs_is_refused_and_leaves_nothing(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    image = east.add_image("mine", b"disk", project=project)
    east.corrupt(image.id)

    with pytest.raises(PreconditionFailed):
        fleet.ensure_image(west.name, project, Sha512(str(image.sha512)))

    assert fleet.images(west.name, project) == []


def test_an_image_of_another_project_is_not_found(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project, stranger: Project
) -> None:
    image = east.add_image("mine", b"disk", project=project)

    with pytest.raises(NotFound):
        fleet.ensure_image(west.name, stranger, Sha512(str(image.sha512)))
    with pytest.raises(NotFound):
        fleet.find_image(stranger, "mine")


def test_an_image_is_found_by_name_id_and_digest(
    fleet: FleetService, west: FakeCloud, project: Project
) -> None:
    image = west.add_image("mine", b"disk", project=project)

    for words in ("mine", image.id, str(image.sha512)):
        assert fleet.find_image(project, words) == image


def test_one_name_for_two_digests_is_ambiguous(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    east.add_image("mine", b"one", project=project)
    west.add_image("mine", b"two", project=project)

    with pytest.raises(Conflict) as refusal:
        fleet.find_image(project, "mine")
    assert refusal.value.code == "image_ambiguous"


def test_a_silent_cloud_does_not_hide_what_the_other_has(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    image = west.add_image("mine", b"disk", project=project)
    east.silent = True

    assert fleet.find_image(project, "mine") == image
    with pytest.raises(Unavailable):  # it may well be on the silent one
        fleet.find_image(project, "other")


def test_a_deleted_image_is_gone(fleet: FleetService, east: FakeCloud, project: Project) -> None:
    image = east.add_image("mine", b"disk", project=project)
    fleet.delete_image(east.name, project, image.id)
    fleet.delete_image(east.name, project, ImageId("unknown"))
    assert fleet.images(east.name, project) == []


def test_a_source_that_breaks_off_is_read_on_where_it_stopped(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    image = east.add_image("mine", b"0123456789" * 2000, project=project)
    east.faults.breaks = [5000, 3000, 8000]

    copied = fleet.ensure_image(west.name, project, Sha512(str(image.sha512)))

    assert b"".join(west.open(project, copied)) == b"0123456789" * 2000
    assert west.uploads == 1


def test_a_copy_that_the_target_broke_off_is_made_again_and_its_half_is_removed(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    image = east.add_image("mine", b"disk" * 5000, project=project)
    west.faults.refused_bytes = [4096]
    west.faults.half_images = True  # as when the platform is killed in the middle of it
    with pytest.raises(Unavailable):
        fleet.ensure_image(west.name, project, Sha512(str(image.sha512)))
    assert [one.status for one in west.images(project)] == ["saving"]

    fleet.ensure_image(west.name, project, Sha512(str(image.sha512)))

    assert [one.status for one in west.images(project)] == ["active"]


def test_a_copy_tells_how_far_it_is(
    fleet: FleetService, east: FakeCloud, west: FakeCloud, project: Project
) -> None:
    content = b"disk" * 5000
    image = east.add_image("mine", content, project=project)
    told: list[tuple[int, int]] = []
    upload = fleet.upload_image

    class Watched:
        """The west, seen from inside of an upload."""

        def __getattr__(self, name: str) -> object:
            return getattr(west, name)

        def upload(self, project: Project, like: FleetImage, chunks: Iterator[bytes]) -> FleetImage:
            def seen() -> Iterator[bytes]:
                for chunk in chunks:
                    copy = watched.copies()[west.name, Sha512(str(image.sha512))]
                    told.append((copy.done, copy.size))
                    yield chunk

            return upload(west.name, project, like=like, chunks=seen())

    watched = fake_fleet(clock=VirtualClock(), clouds=[east, cast("FakeCloud", Watched())])
    watched.ensure_image(west.name, project, Sha512(str(image.sha512)))

    assert told[0] == (4096, len(content))
    assert told[-1] == (len(content), len(content))
    assert watched.copies() == {}
