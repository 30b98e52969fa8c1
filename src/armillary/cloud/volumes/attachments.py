"""Cinder's records of attachments, for those who work with them directly; servers' own are compute's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import NotFound
from armillary.base.ids import ServerId, new_uuid
from armillary.cloud.access import project_of, sees
from armillary.cloud.volumes.actions import check_not_of_compute
from armillary.cloud.volumes.model import Attachment, VolumeStatus
from armillary.cloud.volumes.paging import Page, page_of
from armillary.cloud.volumes.records import attachments_of, refuse, save, volume_seen
from armillary.cloud.volumes.store import ATTACHMENTS, VOLUMES, attachments


class Attachments:
    """Who has a volume, by record."""

    def __init__(self, *, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def list(
        self,
        principal: Principal,
        page: Page,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        all_projects: bool = False,
    ) -> list[Attachment]:
        """A project's attachments in a page; all projects' are for administrators."""
        everything = all_projects and principal.is_cloud_admin
        mine: list[Any] = [] if everything else [attachments.c.project_id == project_of(principal).id]
        with self._reading() as connection:
            return page_of(connection, ATTACHMENTS, [*mine, *where], page, what="Attachment")

    def show(self, principal: Principal, attachment_id: str) -> Attachment:
        """An attachment; NotFound if there is none for the principal."""
        with self._reading() as connection:
            return self._seen(connection, principal, attachment_id)

    def create(self, principal: Principal, volume_id: str, *, server_id: str | None, mode: str) -> Attachment:
        """Reserve an available volume.

        Raises:
            NotFound, Invalid: there is none, or it is not available.
        """
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if volume.status is not VolumeStatus.AVAILABLE:
                raise refuse(
                    f"Volume {volume_id} status must be available or downloading to reserve, but the current "
                    f"status is {volume.status}."
                )
            attachment = Attachment(
                id=new_uuid(),
                volume_id=volume.id,
                project_id=volume.project_id,
                server_id=ServerId(server_id) if server_id else None,
                host_name=None,
                device=None,
                mode="ro" if volume.readonly else mode,
                status="reserved",
                created_at=self._clock.now(),
            )
            save(connection, self._clock, volume, status=VolumeStatus.RESERVED)
            return ATTACHMENTS.add(connection, attachment)

    def delete(self, principal: Principal, attachment_id: str) -> list[Attachment]:
        """End an attachment; return what is left of its volume's.

        Raises:
            NotFound: there is none.
            Conflict: a server has the volume truly.
        """
        with self._engine.begin() as connection:
            attachment = self._seen(connection, principal, attachment_id)
            check_not_of_compute([attachment])
            ATTACHMENTS.remove(connection, attachments.c.id == attachment_id)
            left = attachments_of(connection, attachment.volume_id)
            volume = VOLUMES.get(connection, attachment.volume_id)
            given = (
                VolumeStatus.RESERVED,
                VolumeStatus.ATTACHING,
                VolumeStatus.IN_USE,
                VolumeStatus.DETACHING,
            )
            if volume is not None and not left and volume.status in given:
                save(connection, self._clock, volume, status=VolumeStatus.AVAILABLE)
            return left

    @staticmethod
    def _seen(connection: Connection, principal: Principal, attachment_id: str) -> Attachment:
        attachment = ATTACHMENTS.get(connection, attachment_id)
        if attachment is None or not sees(principal, attachment.project_id):
            raise NotFound(
                f"Volume attachment could not be found with filter: attachment_id = {attachment_id}.",
                code="attachment_not_found",
            )
        return attachment

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()
