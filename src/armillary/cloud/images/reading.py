"""Looking images up: what a principal may see, and where contents are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid, NotFound
from armillary.base.ids import Sha512
from armillary.cloud.access import allow_writing, sees
from armillary.cloud.images.blobs import Blobs
from armillary.cloud.images.model import (
    BOOTABLE_DISK_FORMATS,
    PACKED_CONTAINER_FORMATS,
    Image,
    Query,
    Status,
    Task,
    Visibility,
)
from armillary.cloud.images.store import IMAGES, MEMBERS, TASKS, listed, tasks


def _unfit(image: Image) -> str:
    """Why no machine can be made from an image's content; empty if one can."""
    if image.disk_format not in BOOTABLE_DISK_FORMATS:
        return f"its disk format is {image.disk_format}"
    if image.container_format in PACKED_CONTAINER_FORMATS:
        return f"its container format is {image.container_format}"
    return image.fault


class ImageReading:
    """The reading half of the image service."""

    def __init__(self, *, engine: Engine, blobs: Blobs) -> None:
        """Read records and contents from these."""
        self._engine = engine
        self._blobs = blobs

    def show(self, principal: Principal, image_id: str) -> Image:
        """Return an image that the principal may know of.

        Raises:
            NotFound: there is none, for this principal.
        """
        with self._reading() as connection:
            return self._seen(connection, principal, image_id)

    def list(self, principal: Principal, query: Query) -> tuple[list[Image], bool]:
        """Return one page of images in order, and whether there are more.

        Raises:
            Invalid: the marker is not an image that the principal sees.
        """
        with self._reading() as connection:
            after = None
            if query.marker is not None:
                try:
                    after = self._seen(connection, principal, query.marker)
                except NotFound as error:
                    raise Invalid(error.message, code="marker_not_found") from error
            found = list(islice(listed(connection, principal, query, after=after), query.limit + 1))
        return found[: query.limit], len(found) > query.limit

    def open(self, principal: Principal, image_id: str) -> tuple[Image, Path | None]:
        """Return an image and the file of its content, None while it has none.

        Raises:
            Forbidden: it was deactivated.
        """
        image = self.show(principal, image_id)
        if image.status is Status.DEACTIVATED and not principal.is_cloud_admin:
            raise Forbidden(
                "The requested image has been deactivated. Image data download is forbidden.",
                code="image_deactivated",
            )
        whole = image.status in (Status.ACTIVE, Status.DEACTIVATED) and image.sha512 is not None
        return image, self._blobs.path(image.sha512) if whole and image.sha512 else None

    def tasks(self, *, image_id: str | None = None) -> Sequence[Task]:
        """Return the imports of an image, or of all, that were done lately, the newest first."""
        with self._reading() as connection:
            wanted = () if image_id is None else (tasks.c.image_id == image_id,)
            found = TASKS.find(connection, *wanted)
        return sorted(found, key=lambda task: (task.created_at, task.id), reverse=True)

    def resolve_bootable(self, principal: Principal, image_id: str) -> Image:
        """Return an image that a machine may be made from.

        Raises:
            NotFound: there is none, for this principal.
            Invalid: it is not active, or nothing that a machine can be made from.
        """
        image = self.show(principal, image_id)
        # an image of a server that boots from a volume has no bytes: it says which volumes to make
        something = image.sha512 is not None or "block_device_mapping" in image.properties
        if image.sha512 is not None and (unfit := _unfit(image)):
            raise Invalid(
                f"Image {image.id} is unacceptable: {unfit}.",
                code="image_not_bootable",
                facts={"image": image.id, "reason": unfit},
                remedy="Convert it with qemu-img to qcow2 or raw, and upload that.",
            )
        if image.status is not Status.ACTIVE or not something:
            raise Invalid(
                f"Image {image.id} is not active.",
                code="image_not_active",
                facts={"image": image.id, "status": image.status.value},
            )
        return image

    def blob(self, sha512: Sha512) -> Path:
        """Return the file with this digest; nothing ever writes to it."""
        return self._blobs.path(sha512)

    def path(self, image: Image) -> Path:
        """Return the file of an active image."""
        assert image.sha512 is not None, "only an active image has a content"
        return self._blobs.path(image.sha512)

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).begin()

    def _seen(self, connection: Connection, principal: Principal, image_id: str) -> Image:
        image = IMAGES.get(connection, image_id)
        if image is None or not self._may_see(connection, principal, image):
            raise NotFound(f"No image found with ID {image_id}", code="image_not_found")
        return image

    def _may_see(self, connection: Connection, principal: Principal, image: Image) -> bool:
        if sees(principal, image.project_id) or image.visibility in (Visibility.PUBLIC, Visibility.COMMUNITY):
            return True
        project = principal.project.id if principal.project else ""
        return (
            image.visibility is Visibility.SHARED and MEMBERS.get(connection, image.id, project) is not None
        )

    def _owned(self, connection: Connection, principal: Principal, image_id: str, action: str) -> Image:
        image = self._seen(connection, principal, image_id)
        allow_writing(principal, action)
        if not sees(principal, image.project_id):
            raise Forbidden(
                f"You are not authorized to complete {action} action.",
                code="image_of_another_project",
                remedy="Ask the project that owns it.",
            )
        return image
