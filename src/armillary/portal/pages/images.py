"""Images: what is there on each cloud, by digest, and the way from a snapshot to jobs that run on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Depends
from starlette.responses import Response

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import CloudName, ImageId
from armillary.fleet.model import FleetImage
from armillary.portal.context import Portal, Services, Visiting, sent
from armillary.portal.visit import Visit


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


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of a project on all clouds that answer, and why the others do not."""

    images: Sequence[SameImage]
    errors: Sequence[ArmillaryError]

    @property
    def moving(self) -> bool:
        """Whether one is being made."""
        return any(image.first.status in ("queued", "saving", "importing") for image in self.images)


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


router = APIRouter(prefix="/images")


def own_image(portal: Portal, visit: Visit, cloud: str, image_id: str) -> FleetImage:
    image = portal.fleet.image(CloudName(cloud), visit.member(), ImageId(image_id))
    if image.visibility == "public":  # the platform's; our credential could delete it, the visitor may not
        raise NotFound("There is no such image.", code="image_not_found")
    return image


@router.get("")
def images(portal: Services, visit: Visiting) -> Response:
    return visit.page("images.html", images=all_images(portal, visit.project))


@router.get("/table")
def table(portal: Services, visit: Visiting) -> Response:
    return visit.page("_images.html", images=all_images(portal, visit.project))


@router.get("/{cloud}/{image_id}/delete")
def confirm_delete(portal: Services, visit: Visiting, cloud: str, image_id: str) -> Response:
    return visit.page("delete_image.html", image=own_image(portal, visit, cloud, image_id))


@router.post("/{cloud}/{image_id}/delete", dependencies=[Depends(sent)])
def delete(portal: Services, visit: Visiting, cloud: str, image_id: str) -> Response:
    image = own_image(portal, visit, cloud, image_id)
    portal.fleet.delete_image(image.cloud, visit.project, image.id)
    return visit.go("/images", notice="image-deleted")
