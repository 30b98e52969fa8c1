"""Offers of images between the projects of a cloud in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from armillary.accounts.model import Project
from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import CloudName, ImageId, ProjectId
from armillary.fleet.model import FleetImage


class Gallery(Protocol):
    """The cloud whose images these are."""

    name: CloudName

    def images(self, project: Project) -> list[FleetImage]: ...
    def change_image(self, image: FleetImage) -> None: ...
    def any_image(self, image_id: ImageId) -> FleetImage: ...
    def answer(self) -> None: ...


class FakeSharing:
    """Implements `CloudSharing`."""

    def __init__(self, *, cloud: Gallery) -> None:
        self._cloud = cloud
        self._offers: dict[tuple[ImageId, str], str] = {}

    def share(self, project: Project, image_id: ImageId, other: ProjectId) -> None:
        """Offer it."""
        self._own_image(project, image_id)
        self._offers.setdefault((image_id, str(other)), "pending")

    def offered(self, project: Project) -> list[tuple[ImageId, str]]:
        """What is offered and not answered."""
        self._cloud.answer()
        return [
            (image_id, self._cloud.any_image(image_id).name)
            for (image_id, other), answer in self._offers.items()
            if other == project.id and answer == "pending"
        ]

    def accept(self, project: Project, image_id: ImageId, *, take: bool) -> None:
        """Answer."""
        if (image_id, str(project.id)) not in self._offers:
            raise self._no_image(image_id)
        self._offers[image_id, str(project.id)] = "accepted" if take else "rejected"

    def publish(self, project: Project, image_id: ImageId, *, public: bool) -> None:
        """Change who may use it."""
        image = self._cloud.any_image(image_id)
        self._cloud.change_image(replace(image, visibility="public" if public else "private"))

    def protect(self, project: Project, image_id: ImageId, *, protected: bool) -> None:
        """Keep it from being deleted."""
        self._own_image(project, image_id)
        self._cloud.change_image(replace(self._cloud.any_image(image_id), is_protected=protected))

    def deletable(self, image_id: ImageId) -> ImageId:
        """Return it, or refuse as Glance does."""
        if self._cloud.any_image(image_id).is_protected:
            raise Forbidden(
                f"Image {image_id} is protected and cannot be deleted.",
                code="cloud_forbidden",
                facts={"image": image_id},
            )
        return image_id

    def has_taken(self, project: Project, image_id: ImageId) -> bool:
        """Whether the project has accepted an offer of that image."""
        return self._offers.get((image_id, str(project.id))) == "accepted"

    def _own_image(self, project: Project, image_id: ImageId) -> None:
        mine = [image.id for image in self._cloud.images(project) if image.owner == project.id]
        if image_id not in mine:
            raise self._no_image(image_id)

    def _no_image(self, image_id: ImageId) -> NotFound:
        return NotFound(
            f"Cloud {self._cloud.name} has no image {image_id}.",
            code="image_not_found",
            facts={"cloud": self._cloud.name, "image": image_id},
        )
