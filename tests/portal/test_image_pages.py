from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from portal_visitor import ALLOCATION, KEY, PASSWORD, Browser

from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetImage
from small_images import DEBIAN, STATUS, ext4


@pytest.fixture
def snapshot(ada: Browser, clouds: list[FakeCloud], project: Project) -> FleetImage:
    """An image of ada's machine."""
    ada.post("/machines/launch", {"image": "debian-12", "flavor": "c1-1gb-5", "name": "first", "key": KEY})
    server = clouds[0].servers(project)[0]
    ada.post(f"/machines/east/{server.id}/snapshot", {"name": "with-software"})
    [image] = [image for image in clouds[0].images(project) if image.name == "with-software"]
    return image


def test_an_image_tells_who_made_it_from_what_and_what_is_inside(ada: Browser, snapshot: FleetImage) -> None:
    page = ada.get(f"/images/{snapshot.sha512}")
    assert "a snapshot of machine first" in page
    assert str(snapshot.sha512) in page
    assert f'href="/jobs/submit?image={snapshot.sha512}"' in page
    assert "It has no manifest" in page


def test_a_base_image_shows_the_packages_of_its_manifest(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    [base] = [image for image in clouds[0].images(project) if image.name == "debian-12"]
    page = ada.get(f"/images/{base.sha512}")
    assert "2 packages" in page
    assert "22.4.2-1" in page


def test_the_catalogue_is_filtered_by_its_address(ada: Browser, snapshot: FleetImage) -> None:
    mine = ada.get("/images?whose=mine")
    assert "with-software" in mine
    assert "debian-12" not in mine
    assert "debian-12" in ada.get("/images?whose=public&q=DEB")
    assert "No image is like that." in ada.get("/images?q=nothing")


def test_an_image_is_offered_to_a_project_that_takes_it(
    ada: Browser,
    accounts: AccountsService,
    clouds: list[FakeCloud],
    snapshot: FleetImage,
) -> None:
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    theirs = accounts.create_project("others", "", ALLOCATION)
    accounts.set_role(theirs.id, eve.id, Role.MEMBER)
    share = f"/images/east/{snapshot.id}/share"
    assert "offered" in ada.post(share, {"project": "others"})
    ada.post(share, {"project": "nobodys"}, status=404)
    ada.post("/sign-out")
    ada.sign_in("eve")
    ada.get(f"/images/{snapshot.sha512}", status=404)
    assert "with-software" in ada.get("/images")
    ada.post(f"/images/east/{snapshot.id}/delete", status=404)
    ada.post(f"/images/east/{snapshot.id}/answer", {"take": "yes"})
    assert "Run jobs with this image" in ada.get(f"/images/{snapshot.sha512}")
    ada.post(f"/images/east/{snapshot.id}/delete", status=404)
    ada.post(f"/images/east/{snapshot.id}/share", {"project": "galaxies"}, status=404)


def test_only_an_administrator_makes_an_image_public(
    ada: Browser, accounts: AccountsService, clouds: list[FakeCloud], project: Project, snapshot: FleetImage
) -> None:
    publish = f"/images/east/{snapshot.id}/publish"
    ada.post(publish, {"public": "yes"}, status=404)
    ada.post("/sign-out")
    ada.sign_in("admin")
    accounts.set_role(project.id, accounts.person_named("admin").id, Role.MEMBER)
    ada.post("/project", {"project": "galaxies"})
    ada.post(publish, {"public": "yes"})
    assert clouds[0].any_image(snapshot.id).visibility == "public"
    ada.post(publish, {"public": "no"})
    assert clouds[0].any_image(snapshot.id).visibility == "private"


def test_downloads_carry_a_credential_of_their_own_and_no_password(
    ada: Browser, accounts: AccountsService, project: Project
) -> None:
    told = yaml.safe_load(ada.post("/access/clouds.yaml", {"days": "7"}))["clouds"]["east"]
    assert told["auth_type"] == "v3applicationcredential"
    [credential] = accounts.application_credentials_of(accounts.person_named("ada").id)
    assert told["auth"]["application_credential_id"] == credential.id
    assert credential.project_id == project.id
    assert credential.expires_at
    longer = ada.client.post("/access/clouds.yaml", data={"csrf": ada.token(), "days": "0030999999"})
    assert longer.status_code == 200
    ends = [one.expires_at for one in accounts.application_credentials_of(credential.person_id)]
    assert all(end and end - credential.created_at < timedelta(days=31) for end in ends)
    openrc = ada.post("/access/openrc/east", {"days": "30"})
    assert "export OS_APPLICATION_CREDENTIAL_SECRET=" in openrc
    assert PASSWORD not in openrc
    ada.post("/access/openrc/nowhere", status=404)
    assert credential.name in ada.get("/access")
    ada.post(f"/access/{credential.id}/delete")
    assert credential.name not in ada.get("/access")
    ada.post(f"/access/{credential.id}/delete", status=404)


def test_an_image_is_looked_into_and_compared_with_another(
    ada: Browser, clouds: list[FakeCloud], project: Project, tmp_path: Path
) -> None:
    disks = [
        ext4(tmp_path / "a", DEBIAN),
        ext4(
            tmp_path / "b",
            {**DEBIAN, "var/lib/dpkg/status": STATUS.replace("5.2.15-2", "5.2.15-3"), "opt/<b>": ""},
        ),
    ]
    first, second = (
        clouds[0].add_image(name, disk.read_bytes(), project=project)
        for name, disk in zip(("plain", "changed"), disks, strict=True)
    )
    assert "Look inside" in ada.get(f"/images/{first.sha512}")
    ada.post(f"/images/{first.sha512}/read")
    page = ada.get(f"/images/{first.sha512}")
    assert "Debian GNU/Linux 12 (bookworm)" in page
    assert "phot-utils" in page
    assert "changed" in ada.get(f"/images/{first.sha512}/compare")
    ada.get(f"/images/{first.sha512}/compare?to={second.sha512}")  # reads the other one
    compared = ada.get(f"/images/{first.sha512}/compare?to={second.sha512}")
    assert "<code>5.2.15-2</code></td><td><code>5.2.15-3</code>" in compared
    assert "/opt/&lt;b&gt;" in compared
    assert f"armillary image diff {first.sha512} {second.sha512}" in compared
    same = ada.get(f"/images/{first.sha512}/compare?to={first.sha512}")
    assert "Every file is the same in both." in same


def test_an_image_that_cannot_be_read_says_why(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    clouds[0].add_image("other", b"other", project=project)
    odd = clouds[0].add_image("odd", b"no disk at all", project=project)
    page = ada.get(f"/images/{odd.sha512}/compare?to={odd.sha512}")
    page = ada.get(f"/images/{odd.sha512}/compare?to={odd.sha512}")
    assert "neither a file system that we know nor a partition table" in page


def test_a_snapshot_shows_what_it_goes_back_to(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    base = clouds[0].images(project)[0]
    said = {
        "base_image_ref": base.id,
        "instance_uuid": "7f3c",
        "armillary_snapshot_of": "<b>bench</b>",
        "armillary_snapshot_by": "ada",
    }
    made = clouds[0].add_image("with-software", b"disk with more", project=project, properties=said)
    page = ada.get(f"/images/{made.sha512}")
    row = page.partition('<ol class="flow"')[2].partition("</ol>")[0]
    places = [row.index(word) for word in ("debian-12", "&lt;b&gt;bench", "with-software")]
    assert places == sorted(places)
    assert f'href="/images/{base.sha512}"' in row
