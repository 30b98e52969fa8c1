from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from armillary.accounts.model import Project
from armillary.base.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from armillary.base.ids import ImageId, Sha512
from armillary.fleet.fake import FakeCloud
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
    assert (copy.name, copy.sha512, copy.properties) == (image.name, image.sha512, image.properties)
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
