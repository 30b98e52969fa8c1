"""The cloud's image service: what Image v2 promises, without HTTP."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.base.ids import ImageId, Sha512, new_uuid
from armillary.base.units import Bytes
from armillary.cloud.access import allow_writing
from armillary.cloud.images.blobs import Arrival, Blobs, Content
from armillary.cloud.images.examining import FROM_OTHER_CONTENT, look_at, merged, noted_digests
from armillary.cloud.images.model import Declared, Image, Status, Task, Visibility
from armillary.cloud.images.reading import ImageReading
from armillary.cloud.images.rules import BASE, Change, apply, check_properties, check_writable, checked
from armillary.cloud.images.sharing import ImageSharing
from armillary.cloud.images.store import IMAGES, MEMBERS, TASKS, create_all, images, members, tasks

LARGEST = Bytes(256 * 2**30)
TASKS_KEPT = timedelta(hours=48)


class ImageService(ImageReading):
    """Images of one cloud: their records in a database, their contents in a folder.

    A content is visible whole, with the digests that were counted here, or not at all. Call `recover` once
    before the first request: it clears away what a crash interrupted.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        directory: Path,
        clock: Clock,
        in_use: Callable[[Sha512], bool] = lambda _: False,
        largest: Bytes = LARGEST,
    ) -> None:
        """Take over a folder.

        Args:
            engine: the cloud's database.
            directory: of the contents; made if it is not there.
            clock: tells the time of changes.
            in_use: whether a machine still needs a content, so that it outlives its image.
            largest: no image may have more bytes.
        """
        super().__init__(engine=engine, blobs=Blobs(directory=directory))
        self._clock = clock
        self.in_use = in_use
        self._largest = largest
        # between a content's arrival at its place and the record that names it, no sweep may see it as unused
        self._contents = threading.Lock()
        create_all(engine)
        self.sharing = ImageSharing(engine=engine, blobs=self._blobs, clock=clock)

    # changing

    def create(self, principal: Principal, attributes: Mapping[str, Any]) -> Image:
        """Register an image without content, from the attributes that Image v2 knows and properties.

        Raises:
            Invalid, Forbidden, Conflict: in Glance's words.
        """
        project = allow_writing(principal, "add_image")
        attributes = dict(attributes)
        image_id = attributes.pop("id", None) or new_uuid()
        if not isinstance(image_id, str) or not _is_uuid(image_id):
            raise Invalid(f"Provided object does not match schema 'image': {image_id!r} is not an image's id")
        owner = attributes.pop("owner", None) or project.id
        if owner != project.id and not principal.is_cloud_admin:
            raise Forbidden(f"You are not permitted to create images owned by '{owner}'.")
        for name in attributes:
            check_writable(name, is_admin=principal.is_cloud_admin)
        values = {name: checked(name, value) for name, value in attributes.items()}
        properties = {name: values.pop(name) for name in list(values) if name not in BASE}
        check_properties(properties)
        now = self._clock.now()
        defaults: dict[str, Any] = {
            "name": None, "visibility": Visibility.SHARED, "disk_format": None, "container_format": None,
            "min_disk": 0, "min_ram": 0, "protected": False, "os_hidden": False,
        }  # fmt: skip
        image = Image(
            id=ImageId(image_id),
            project_id=checked("owner", owner),
            owner_person=principal.person.id,
            status=Status.QUEUED,
            created_at=now,
            updated_at=now,
            properties=properties,
            **{**defaults, **values},
        )
        self._check_publicity(principal, image.visibility)
        with self._engine.begin() as connection:
            if IMAGES.get(connection, image.id) is not None:
                raise Conflict(f"Image ID {image.id} already exists!", code="image_exists")
            return IMAGES.add(connection, image)

    def update(self, principal: Principal, image_id: str, changes: Sequence[Change]) -> Image:
        """Change attributes, properties and tags, all as asked or none.

        Raises:
            NotFound, Forbidden, Conflict, Invalid: in Glance's words.
        """
        with self._engine.begin() as connection:
            image = self._owned(connection, principal, image_id, "modify_image")
            changed = apply(image, changes, is_admin=principal.is_cloud_admin)
            if changed.visibility is not image.visibility:
                self._check_publicity(principal, changed.visibility)
            return self._save(connection, changed)

    def delete(self, principal: Principal, image_id: str) -> None:
        """Remove an image; its content goes when no other image and no machine needs it.

        Raises:
            NotFound, Forbidden: also when it is protected.
        """
        with self._contents:
            with self._engine.begin() as connection:
                image = self._owned(connection, principal, image_id, "delete_image")
                if image.protected:
                    raise Forbidden(
                        f"Image {image.id} is protected and cannot be deleted.",
                        code="image_protected",
                        remedy="Clear its attribute protected first.",
                    )
                MEMBERS.remove(connection, members.c.image_id == image.id)
                IMAGES.remove(connection, images.c.id == image.id)
            # the content goes only when the record is surely gone
            if image.sha512 is not None:
                self._drop_unneeded([image.sha512])

    def set_active(self, principal: Principal, image_id: str, active: bool) -> None:
        """Withdraw an active image from use, or give it back.

        Raises:
            Forbidden: it is in another state.
        """
        with self._engine.begin() as connection:
            image = self._owned(connection, principal, image_id, "reactivate" if active else "deactivate")
            if image.status not in (Status.ACTIVE, Status.DEACTIVATED):
                raise Forbidden(
                    f"Not allowed to {'re' if active else 'de'}activate image in status '{image.status}'"
                )
            self._save(connection, replace(image, status=Status.ACTIVE if active else Status.DEACTIVATED))

    # content

    @contextmanager
    def receiving(
        self, principal: Principal, image_id: str, declared: Declared, *, into: Status = Status.SAVING
    ) -> Generator[Arrival]:
        """Receive the content of a queued image: write to what you get; then `complete` it.

        With `into` UPLOADING the content only waits beside the image: then `complete` stages it, and
        `import_staged` makes the image active.

        If that does not come, for whatever reason, the image is queued again and no bytes are left.

        Raises:
            Conflict: the image has its content, or another upload runs.
            TooLarge, OutOfSpace: before or while bytes arrive.
        """
        with self._engine.begin() as connection:
            image = self._owned(connection, principal, image_id, "upload_image")
            if image.status is not Status.QUEUED:
                raise Conflict(
                    f"Image status transition from {image.status.value} to {into.value} is not allowed",
                    code="image_not_queued",
                )
            missing = [name for name in ("disk_format", "container_format") if getattr(image, name) is None]
            if missing:
                raise Invalid(
                    f"Propert{'y' if len(missing) == 1 else 'ies'} {', '.join(missing)} must be set prior to "
                    "saving data.",
                    code="image_format_missing",
                )
            noted = noted_digests(image.properties)
            arrival = self._blobs.arrival(declared=merged(declared, noted), limit=self._largest)
            self._save(connection, replace(image, status=into, fault=""))
        try:
            with arrival:
                yield arrival
        finally:
            with self._engine.begin() as connection:
                left = IMAGES.get(connection, image_id)
                if left is not None and left.status is into and left.sha512 is None:
                    self._save(connection, replace(left, status=Status.QUEUED))

    def complete(self, image_id: str, arrival: Arrival) -> Image:
        """Make the image active with what arrived, or stage it.

        Raises:
            PreconditionFailed: bytes are missing or differ from what was declared.
            Invalid: they are no image of the declared format, or not a safe one.
            NotFound: the image was deleted meanwhile.
        """
        content = arrival.finish()
        before = frozenset({Status.SAVING, Status.UPLOADING})
        return self._activate(image_id, arrival.path, content, before)

    def import_staged(self, principal: Principal, image_id: str, *, request_id: str = "") -> Image:
        """Make an image active with the content that was staged for it, and note that as a task.

        Raises:
            Conflict: nothing was staged, or the image has its content.
        """
        with self._engine.begin() as connection:
            image = self._owned(connection, principal, image_id, "modify_image")
            if image.status is Status.UPLOADING and image.sha512 is not None:
                now = self._clock.now()
                TASKS.remove(connection, tasks.c.created_at < now - TASKS_KEPT)
                done = Task(
                    id=new_uuid(), image_id=image.id, project_id=image.project_id,
                    person_id=principal.person.id, method="glance-direct", request_id=request_id, created_at=now,
                )  # fmt: skip
                TASKS.add(connection, done)
                return self._save(connection, replace(image, status=Status.ACTIVE))
        raise Conflict(
            "Image needs to be staged before 'glance-direct' method can be used"
            if image.status in (Status.QUEUED, Status.UPLOADING)
            else f"Image with status {image.status.value} cannot be target for import",
            code="image_not_staged",
        )

    def _activate(self, image_id: str, file: Path, content: Content, before: frozenset[Status]) -> Image:
        with self._reading() as connection:
            image = IMAGES.get(connection, image_id)
        if image is None or image.status not in before:
            raise NotFound(f"No image found with ID {image_id}", code="image_not_found")
        virtual_size, unfit = look_at(image.disk_format, content)
        with self._contents:
            self._blobs.keep(file, content.sha512)
            with self._engine.begin() as connection:
                image = IMAGES.get(connection, image_id)
                if image is not None and image.status in before:
                    staged = image.status is Status.UPLOADING
                    return self._save(
                        connection,
                        replace(
                            image,
                            status=Status.UPLOADING if staged else Status.ACTIVE,
                            checksum=content.md5,
                            sha512=content.sha512,
                            size=content.length,
                            virtual_size=virtual_size,
                            fault=unfit,
                        ),
                    )
            self._drop_unneeded([content.sha512])
        raise NotFound(f"No image found with ID {image_id}", code="image_not_found")

    # snapshots

    def begin_snapshot(
        self, principal: Principal, name: str, properties: Mapping[str, str], *, min_disk: int = 0
    ) -> Image:
        """Register the image that a snapshot will fill: private, and queued until then."""
        kept = {key: value for key, value in properties.items() if not key.startswith(FROM_OTHER_CONTENT)}
        attributes: dict[str, Any] = {
            "name": name, "disk_format": "qcow2", "container_format": "bare", "min_disk": min_disk,
            "visibility": "private",
        }  # fmt: skip
        return self.create(principal, {**kept, **attributes})

    def commit_snapshot(self, image_id: str, file: Path) -> Image:
        """Take over a complete file of the image's format, which is moved, and make the image active with it.

        Raises:
            NotFound: the image was deleted meanwhile.
            Invalid: the file is not what it should be.
        """
        content = self._blobs.take(file, limit=self._largest)
        with self._reading() as connection:
            image = IMAGES.get(connection, image_id)
        _, unfit = look_at(image.disk_format if image else None, content)
        if unfit:
            raise Invalid(f"The image is refused: {unfit}", code="image_refused", facts={"reason": unfit})
        return self._activate(image_id, file, content, frozenset({Status.QUEUED, Status.SAVING}))

    def fail_snapshot(self, image_id: str, why: str) -> None:
        """Give an unfinished image up, and say why; one that is active or gone is left alone."""
        with self._engine.begin() as connection:
            image = IMAGES.get(connection, image_id)
            if image is not None and image.status in (Status.QUEUED, Status.SAVING):
                self._save(connection, replace(image, status=Status.KILLED, fault=why))

    def commit_bytes_less(self, image_id: str, properties: Mapping[str, str]) -> None:
        """Make an unfinished image active that has no bytes, only properties: of a server that boots from a volume."""
        with self._engine.begin() as connection:
            image = IMAGES.get(connection, image_id)
            if image is None or image.status not in (Status.QUEUED, Status.SAVING):
                raise NotFound(f"No image found with ID {image_id}", code="image_not_found")
            merged = {**image.properties, **properties}
            self._save(connection, replace(image, status=Status.ACTIVE, size=0, properties=merged))

    def made(self, image_id: str) -> Image | None:
        """An active image, whoever asks; None if there is none."""
        with self._reading() as connection:
            image = IMAGES.get(connection, image_id)
        return image if image is not None and image.status is Status.ACTIVE else None

    def backups(self, server_id: str, kind: str) -> Sequence[ImageId]:
        """The active backups of a server with this `backup_type`, oldest first."""
        with self._reading() as connection:
            active = IMAGES.find(connection, images.c.status == Status.ACTIVE)
        wanted = {"image_type": "backup", "instance_uuid": server_id, "backup_type": kind}
        return [image.id for image in active if wanted.items() <= image.properties.items()]

    def drop(self, image_id: str) -> None:
        """Remove an image that compute made, unless it is protected; one that is gone is fine."""
        with self._contents:
            with self._engine.begin() as connection:
                image = IMAGES.get(connection, image_id)
                if image is None or image.protected:
                    return
                MEMBERS.remove(connection, members.c.image_id == image.id)
                IMAGES.remove(connection, images.c.id == image.id)
            if image.sha512 is not None:
                self._drop_unneeded([image.sha512])

    # tidying

    def recover(self) -> None:
        """Clear away what a crash interrupted: uploads begin anew, and contents that nobody needs go."""
        self._blobs.clear_arrivals()
        with self._engine.begin() as connection:
            unfinished = images.c.status.in_((Status.SAVING, Status.UPLOADING))
            for image in IMAGES.find(connection, unfinished & images.c.sha512.is_(None)):
                self._save(connection, replace(image, status=Status.QUEUED))
        self.sweep()

    def sweep(self) -> None:
        """Remove the contents that neither an image nor a machine needs any more."""
        with self._contents:
            self._drop_unneeded(self._blobs.all())

    def _drop_unneeded(self, contents: Iterable[Sha512]) -> None:
        """Remove those of the contents that nobody needs. The caller holds the lock on contents."""
        with self._reading() as connection:
            for sha512 in list(contents):
                if not IMAGES.find(connection, images.c.sha512 == sha512) and not self.in_use(sha512):
                    self._blobs.remove(sha512)

    def _check_publicity(self, principal: Principal, visibility: Visibility) -> None:
        if visibility is Visibility.PUBLIC and not principal.is_cloud_admin:
            raise Forbidden(
                "You are not authorized to complete publicize_image action.",
                code="policy_not_authorized",
                remedy="Share the image with projects (members), or ask an administrator.",
            )

    def _save(self, connection: Connection, image: Image) -> Image:
        changed = replace(image, updated_at=self._clock.now())
        IMAGES.save(connection, changed)
        return changed


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
