"""Images: what is there on each cloud, by digest, where each comes from, who may use it, and the way to jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import CloudName, ImageId, ProjectId
from armillary.fleet.model import FleetImage
from armillary.portal.context import Portal, Sent, Services, Visiting, sent
from armillary.portal.visit import Visit
from armillary.provenance.lineage import lineage_of

PER_PAGE = 50
JOBS_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class SameImage:
    """One machine image, wherever it is: the copies with the same digest."""

    copies: Sequence[FleetImage]

    @property
    def first(self) -> FleetImage:
        """The oldest copy; it has the name that the others took over."""
        return min(self.copies, key=lambda image: image.created_at)

    @property
    def settled(self) -> bool:
        """Whether its bytes are complete."""
        return self.first.status == "active"

    @property
    def properties(self) -> Mapping[str, str]:
        """What all copies say of it together."""
        return {key: value for copy in reversed(self.copies) for key, value in copy.properties.items()}

    @property
    def key(self) -> str:
        """What it is called in addresses."""
        return str(self.first.sha512 or self.first.id)


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of a project on all clouds that answer, and why the others do not."""

    images: Sequence[SameImage]
    errors: Sequence[ArmillaryError]

    @property
    def moving(self) -> bool:
        """Whether one is being made."""
        return any(image.first.status in ("queued", "saving", "importing") for image in self.images)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An image that another project offers to this one."""

    cloud: CloudName
    id: ImageId
    name: str


def all_images(portal: Portal, project: Project) -> Images:
    """Gather the images of all clouds, one entry for each digest, newest first."""
    groups: dict[str, list[FleetImage]] = {}
    errors: list[ArmillaryError] = []
    for cloud in portal.fleet.clouds():
        try:
            for image in portal.fleet.images(cloud, project):
                groups.setdefault(image.sha512 or image.id, []).append(image)
        except ArmillaryError as error:
            errors.append(error)
    images = [SameImage(copies=copies) for copies in groups.values()]
    images.sort(key=lambda image: image.first.created_at, reverse=True)
    return Images(images=images, errors=errors)


def filtered(images: Images, project: Project, *, q: str, whose: str) -> Images:
    """Return those that the address asks for."""
    words = q.lower()
    kept = [
        image
        for image in images.images
        if (not words or words in f"{image.first.name} {image.key}".lower())
        and (whose != "mine" or image.first.owner == project.id)
        and (whose != "public" or image.first.visibility == "public")
        and (whose != "shared" or (image.first.owner != project.id and image.first.visibility != "public"))
    ]
    return Images(images=kept, errors=images.errors)


def offers(portal: Portal, project: Project) -> list[Offer]:
    """Return what other projects offer; a silent cloud offers nothing now."""
    found: list[Offer] = []
    for cloud in portal.fleet.clouds():
        try:
            there = portal.fleet.offered_images(cloud, project)
        except ArmillaryError:
            continue  # the list of images names the cloud that does not answer
        found += [Offer(cloud=cloud, id=image_id, name=name) for image_id, name in there]
    return found


def owner_name(portal: Portal, owner: str) -> str:
    """Return the name of the project that has an image; empty for one that we do not know."""
    try:
        return portal.accounts.project(ProjectId(owner)).name
    except NotFound:
        return ""


router = APIRouter(prefix="/images")
Words = Annotated[str, Query(max_length=100)]


def same_image(portal: Portal, visit: Visit, key: str) -> SameImage:
    """Return the image that a digest or an id means, with all its copies."""
    return _same(all_images(portal, visit.project).images, key)


def _same(known: Sequence[SameImage], key: str) -> SameImage:
    for image in known:
        if key == image.key or key in [copy.id for copy in image.copies]:
            return image
    raise NotFound("There is no such image.", code="image_not_found", facts={"image": key})


def own_image(portal: Portal, visit: Visit, cloud: str, image_id: str) -> FleetImage:
    """Return an image that the visitor's project made; the platform's and others' are not there to be changed."""
    image = portal.fleet.image(CloudName(cloud), visit.member(), ImageId(image_id))
    theirs = portal.fleet.settings(image.cloud).per_project and image.owner != visit.project.id
    if image.visibility == "public" or theirs:
        raise NotFound("There is no such image.", code="image_not_found")
    return image


@router.get("")
def images(portal: Services, visit: Visiting, q: Words = "", whose: Words = "") -> Response:
    found = filtered(all_images(portal, visit.project), visit.project, q=q, whose=whose)
    return visit.page("images.html", images=found, offers=offers(portal, visit.project), q=q, whose=whose)


@router.get("/table")
def table(portal: Services, visit: Visiting, q: Words = "", whose: Words = "") -> Response:
    found = filtered(all_images(portal, visit.project), visit.project, q=q, whose=whose)
    return visit.page("_images.html", images=found, q=q, whose=whose)


@router.get("/{key}")
def image(portal: Services, visit: Visiting, key: str) -> Response:
    known = all_images(portal, visit.project).images
    found = _same(known, key)
    said = found.properties
    base = said.get("base_image_ref") or said.get("image_base_sha512") or ""
    copies = sorted((copy for one in known for copy in one.copies), key=lambda copy: copy.created_at)
    parent = next((i for i in known if base and (base == i.key or base in [c.id for c in i.copies])), None)
    jobs = portal.batch.clusters(visit.who, image=found.key, limit=JOBS_SHOWN)
    return visit.page(
        "image.html",
        image=found,
        owner=owner_name(portal, found.first.owner),
        base=base,
        parent=parent,
        lineage_here={one.key for one in known},
        lineage=lineage_of(portal.machinery.inside.lineages.among(found.first, copies)),
        children=[i for i in known if i.properties.get("base_image_ref") in [c.id for c in found.copies]],
        inside=portal.machinery.inside.contents.packages(found.key),
        reading=portal.machinery.inside.contents.told(found.key),
        packages=portal.machinery.packages(found.key),
        parent_packages=portal.machinery.packages(parent.key) if parent else {},
        jobs=jobs,
        is_own=found.first.owner == visit.project.id,
        error=None,
    )


@router.post("/{cloud}/{image_id}/share")
def share(portal: Services, visit: Visiting, form: Sent, cloud: str, image_id: str) -> Response:
    """Offer an image to another project; whether there is one of that name is told by the refusal alone."""
    image = own_image(portal, visit, cloud, image_id)
    other = portal.accounts.project_named(form.text("project"))
    portal.fleet.share_image(image.cloud, visit.project, image.id, other=other.id)
    return visit.go(f"/images/{image.sha512 or image.id}", notice="image-shared")


@router.post("/{cloud}/{image_id}/answer")
def answer(portal: Services, visit: Visiting, form: Sent, cloud: str, image_id: str) -> Response:
    take = form.text("take") == "yes"
    portal.fleet.accept_image(CloudName(cloud), visit.member(), ImageId(image_id), take=take)
    return visit.go("/images", notice="accepted" if take else "turned-down")


@router.post("/{cloud}/{image_id}/publish")
def publish(portal: Services, visit: Visiting, form: Sent, cloud: str, image_id: str) -> Response:
    visit.need_admin()
    image = portal.fleet.image(CloudName(cloud), visit.project, ImageId(image_id))
    public = form.text("public") == "yes"
    portal.fleet.publish_image(image.cloud, visit.project, image.id, public=public)
    return visit.go(f"/images/{image.sha512 or image.id}", notice="published" if public else "unpublished")


@router.get("/{cloud}/{image_id}/delete")
def confirm_delete(portal: Services, visit: Visiting, cloud: str, image_id: str) -> Response:
    return visit.page("delete_image.html", image=own_image(portal, visit, cloud, image_id))


@router.post("/{cloud}/{image_id}/delete", dependencies=[Depends(sent)])
def delete(portal: Services, visit: Visiting, cloud: str, image_id: str) -> Response:
    image = own_image(portal, visit, cloud, image_id)
    portal.fleet.delete_image(image.cloud, visit.project, image.id)
    return visit.go("/images", notice="image-deleted")
