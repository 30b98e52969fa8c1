"""Who else may use an image of one OpenStack cloud (Glance's members and visibility)."""

from __future__ import annotations

import contextlib
from typing import Any

from armillary.accounts.model import Project
from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.base.ids import ImageId, ProjectId
from armillary.fleet.model import FleetCloud
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.sdk.errors import refusals


class SdkSharing:
    """Implements `CloudSharing` with openstacksdk."""

    def __init__(self, *, cloud: FleetCloud, connections: Connections) -> None:
        self._cloud = cloud
        self._connections = connections

    def share(self, project: Project, image_id: ImageId, other: ProjectId) -> None:
        """Offer the project's image to another."""
        self._need_projects()
        with refusals(self._cloud.name):
            glance = self._glance(project)
            image = glance.get_image(str(image_id))
            if str(image.owner_id) != str(project.id):
                raise _no_image(self._cloud, image_id)
            if image.visibility == "private":
                glance.update_image(image, visibility="shared")
            with contextlib.suppress(Conflict), refusals(self._cloud.name):
                glance.add_member(str(image_id), member_id=str(other))

    def offered(self, project: Project) -> list[tuple[ImageId, str]]:
        """What others offer to the project and it has not answered."""
        if not self._cloud.per_project:
            return []
        with refusals(self._cloud.name):
            found = self._glance(project).images(visibility="shared", member_status="pending")
            return [
                (ImageId(str(image.id)), str(image.name or ""))
                for image in found
                if str(image.owner_id) != str(project.id) and self._offer(image.id, project) == "pending"
            ]

    def accept(self, project: Project, image_id: ImageId, *, take: bool) -> None:
        """Take what is offered, or turn it down."""
        self._need_projects()
        with refusals(self._cloud.name):
            if self._offer(str(image_id), project) is None:
                raise _no_image(self._cloud, image_id)
            self._glance(project).update_member(
                str(project.id), str(image_id), status="accepted" if take else "rejected"
            )

    def publish(self, project: Project, image_id: ImageId, *, public: bool) -> None:
        """Let everybody use it, or only its project again."""
        with refusals(self._cloud.name):
            glance = self._glance(project)
            glance.update_image(str(image_id), visibility="public" if public else "private")

    def protect(self, project: Project, image_id: ImageId, *, protected: bool) -> None:
        """Have it refuse to be deleted, or not any more."""
        with refusals(self._cloud.name):
            self._glance(project).update_image(str(image_id), is_protected=protected)

    def _offer(self, image_id: str, project: Project) -> str | None:
        """How an offer of the image to the project stands; None when there is none."""
        for member in self._glance(project).members(image_id):
            if str(member.member_id or member.id) == str(project.id):
                return str(member.status)
        return None

    def _glance(self, project: Project) -> Any:
        return self._connections.get(self._cloud, project).image

    def _need_projects(self) -> None:
        if not self._cloud.per_project:
            raise Forbidden(
                f"All projects share one account on cloud {self._cloud.name}: images cannot be shared between them there.",
                code="shared_account",
                facts={"cloud": self._cloud.name},
                remedy="Share the image where it was made; it is copied to other clouds when it is needed.",
            )


def _no_image(cloud: FleetCloud, image_id: ImageId) -> NotFound:
    return NotFound(
        f"Cloud {cloud.name} has no image {image_id}.",
        code="image_not_found",
        facts={"cloud": cloud.name, "image": image_id},
        remedy="List the images.",
    )
