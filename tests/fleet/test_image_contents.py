"""What is in images, how they differ and where they come from, over a fleet in memory and images of a few mebibytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from test_clouds_api import ADA, OneMembership

from armillary.accounts.api import install_error_handlers
from armillary.accounts.model import Principal, Project
from armillary.base.errors import OutOfSpace
from armillary.disks.manifests import packed
from armillary.disks.reading import read_image
from armillary.fleet.contents import ImageContents
from armillary.fleet.contents_api import Inside, contents_router
from armillary.fleet.fake import FakeCloud
from armillary.fleet.lineage import Lineages
from armillary.fleet.model import FleetImage
from armillary.fleet.service import FleetService
from small_images import DEBIAN, STATUS, ext4, qcow2

LATER = {
    **DEBIAN,
    "var/lib/dpkg/status": STATUS.replace("2.28.2+ds-1", "2.28.2+ds-2")
    + "\nPackage: psfex\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.24\n",
    "usr/bin/sextractor": "finds more\n",
    "etc/motd": "welcome back\n",
    "usr/local/bin/mine": "by hand, again\n",
    "opt/new": "new\n",
    "usr/bin/bash": "#! altered\n",
}


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A base image and one with more software."""
    folder = tmp_path_factory.mktemp("disks")
    made = (ext4(folder / "a", DEBIAN), ext4(folder / "b", LATER))
    return tuple(qcow2(disk, folder / f"{disk.name}.qcow2", "-c").read_bytes() for disk in made)  # pyright: ignore[reportReturnType]


@pytest.fixture
def base(east: FakeCloud, project: Project, disks: tuple[bytes, bytes]) -> FleetImage:
    return east.add_image("base", disks[0], project=project)


@pytest.fixture
def later(east: FakeCloud, project: Project, disks: tuple[bytes, bytes], base: FleetImage) -> FleetImage:
    said = {"base_image_ref": base.id, "instance_uuid": "m1"}
    said |= {"armillary_snapshot_of": "desk", "armillary_snapshot_by": "ada"}
    return east.add_image("with-software", disks[1], project=project, properties=said)


def contents(fleet: FleetService, folder: Path, **more: Any) -> ImageContents:
    def read(path: Path, *, progress: Callable[[str], None]) -> bytes:
        return packed(read_image(path, progress=progress))

    return ImageContents(
        **{"fleet": fleet, "folder": folder, "read": read, "run": lambda work: work(), **more}
    )


def client(fleet: FleetService, project: Project, known: ImageContents, **built: Any) -> TestClient:
    inside = Inside(
        contents=known,
        lineages=Lineages(
            fleet=fleet, recipe=lambda digest: built if digest == built.get("sha512") else None
        ),
        find=fleet.find_image,
    )
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(
        contents_router(
            inside=inside, memberships=OneMembership(project), authenticate=lambda: Principal(person=ADA)
        )
    )
    return TestClient(app)


def test_packages_are_read_once_and_known_at_once_afterwards(
    fleet: FleetService, project: Project, base: FleetImage, tmp_path: Path, east: FakeCloud
) -> None:
    http = client(fleet, project, contents(fleet, tmp_path))
    found = http.get("/api/v1/images/base/packages").json()
    assert found["state"] == "ready"
    assert {(one["name"], one["version"]) for one in found["packages"]} >= {("bash", "5.2.15-2")}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    east.corrupt(base.id)  # nobody reads it again
    again = client(fleet, project, contents(fleet, tmp_path))
    assert again.get(f"/api/v1/images/{base.sha512}/packages").json()["packages"] == found["packages"]


def test_how_far_the_reading_is_stands_in_the_answer(
    fleet: FleetService, project: Project, base: FleetImage, tmp_path: Path
) -> None:
    waiting: list[Callable[[], None]] = []
    http = client(fleet, project, contents(fleet, tmp_path, run=waiting.append))
    for _ in range(2):
        reply = http.get("/api/v1/images/base/packages")
        assert (reply.status_code, reply.json()["state"]) == (202, "reading")
    assert len(waiting) == 1  # two who ask wait for one reading
    waiting.pop()()
    assert http.get("/api/v1/images/base/packages").json()["state"] == "ready"


def test_reading_leaves_no_file_open(
    fleet: FleetService, project: Project, base: FleetImage, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    read = contents(fleet, spool)
    assert read.look(project, "base").ready
    # below our folder alone: files of tests before us are closed when Python comes to it
    opened = [os.path.realpath(one) for one in Path("/proc/self/fd").iterdir()]
    assert [file for file in opened if file.startswith(f"{spool.resolve()}/")] == []


def test_what_went_wrong_last_time_is_told_once_or_passed_over(
    fleet: FleetService, project: Project, base: FleetImage, tmp_path: Path
) -> None:
    known = contents(fleet, tmp_path, spare=1 << 60)
    known.look(project, "base")
    with pytest.raises(OutOfSpace):
        known.look(project, "base")
    known.look(project, "base")
    assert not known.look(project, "base", anew=True).ready


def test_two_images_differ_in_packages_configuration_and_files_outside_of_packages(
    fleet: FleetService, project: Project, base: FleetImage, later: FleetImage, tmp_path: Path
) -> None:
    http = client(fleet, project, contents(fleet, tmp_path))
    found = http.get(f"/api/v1/images/base/diff/{later.id}").json()
    assert [one["name"] for one in found["packages"]["added"]] == ["psfex"]
    (changed,) = found["packages"]["changed"]
    assert (changed["name"], changed["was"], changed["version"]) == (
        "sextractor",
        "2.28.2+ds-1",
        "2.28.2+ds-2",
    )
    assert found["configuration"]["changed"] == [{"path": "etc/motd", "what": ["contents"]}]
    assert "opt/new" in found["outside"]["added"]
    assert {"path": "usr/local/bin/mine", "what": ["contents"]} in found["outside"]["changed"]
    assert found["altered"]["changed"] == [{"path": "usr/bin/bash", "what": ["contents"]}]
    assert not found["same_tree"]
    assert http.get("/api/v1/images/base/diff/base").json()["same_tree"]


def test_a_copy_whose_bytes_are_others_is_refused_by_name(
    fleet: FleetService, project: Project, base: FleetImage, tmp_path: Path, east: FakeCloud
) -> None:
    east.corrupt(base.id)
    known = contents(fleet, tmp_path)
    http = client(fleet, project, known)
    assert http.get("/api/v1/images/base/packages").status_code == 202
    refused = http.get("/api/v1/images/base/packages")
    assert refused.status_code == 412
    assert refused.json()["error"]["code"] == "image_bytes_differ"
    assert refused.json()["error"]["facts"]["cloud"] == "east"
    assert not known.has(base.sha512 or "")


def test_an_image_is_not_fetched_where_it_would_fill_the_disk(
    fleet: FleetService, project: Project, base: FleetImage, tmp_path: Path
) -> None:
    known = contents(fleet, tmp_path, spare=1 << 60)
    assert not known.look(project, "base").ready
    with pytest.raises(OutOfSpace):
        known.look(project, "base")
    assert list(tmp_path.iterdir()) == []


def test_a_project_learns_nothing_of_images_that_it_may_not_use(
    fleet: FleetService, stranger: Project, base: FleetImage, tmp_path: Path
) -> None:
    http = client(fleet, stranger, contents(fleet, tmp_path))
    for path in ("base/packages", f"{base.sha512}/packages", "base/diff/base", "base/lineage"):
        assert http.get(f"/api/v1/images/{path}").status_code == 404


def test_a_lineage_goes_from_the_snapshot_by_its_machine_to_the_recipe(
    fleet: FleetService, project: Project, base: FleetImage, later: FleetImage, tmp_path: Path
) -> None:
    built = {
        "sha512": base.sha512,
        "recipe": {"name": "debian-12", "version": "1", "inputs_sha256": "c6"},
        "created": "2026-11-22T20:21:19Z",
        "snapshot": [{"suite": "bookworm", "date": "2026-11-22T02:09:05Z", "sha256": "ab" * 32}],
        "lock_sha256": "cd" * 32,
        "size": 1,
    }
    steps = (
        client(fleet, project, contents(fleet, tmp_path), **built)
        .get("/api/v1/images/with-software/lineage")
        .json()["steps"]
    )
    assert [(step["kind"], step["name"], step["by"]) for step in steps] == [
        ("image", "with-software", "ada"),
        ("machine", "desk", "ada"),
        ("image", "base", ""),
        ("recipe", "debian-12", ""),
    ]
    assert steps[-1]["facts"] == {
        "snapshot": built["snapshot"],
        "lock_sha256": built["lock_sha256"],
        "version": "1",
    }


def test_a_lineage_ends_where_an_image_is_gone_and_in_no_circle(
    fleet: FleetService, project: Project, east: FakeCloud, tmp_path: Path
) -> None:
    east.add_image("orphan", b"orphan", project=project, properties={"base_image_ref": "long-gone"})
    http = client(fleet, project, contents(fleet, tmp_path))
    orphan = http.get("/api/v1/images/orphan/lineage").json()["steps"]
    assert (orphan[-1]["id"], orphan[-1]["here"]) == ("long-gone", False)
    loop = east.add_image("loop", b"loop", project=project, properties={"image_base_sha512": ""})
    loop.properties["base_image_ref"] = loop.id  # pyright: ignore[reportIndexIssue]
    assert len(http.get("/api/v1/images/loop/lineage").json()["steps"]) == 1
