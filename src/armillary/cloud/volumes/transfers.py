"""Transfers: a volume is offered to whoever knows a key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, update

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import new_hex, new_uuid
from armillary.cloud.access import project_of, sees
from armillary.cloud.volumes.model import Transfer, VolumeStatus
from armillary.cloud.volumes.paging import Page, page_of
from armillary.cloud.volumes.quotas import VolumeQuotas
from armillary.cloud.volumes.records import refuse, save, volume_seen
from armillary.cloud.volumes.store import SNAPSHOTS, TRANSFERS, VOLUMES, snapshots, transfers
from armillary.cloud.volumes.types import Types

_KEY_LENGTH = 16


class Transfers:
    """Offers volumes, and hands them over."""

    def __init__(self, *, engine: Engine, clock: Clock, quotas: VolumeQuotas, types: Types) -> None:
        self._engine = engine
        self._clock = clock
        self._quotas = quotas
        self._types = types

    def list(
        self,
        principal: Principal,
        page: Page,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        all_projects: bool = False,
    ) -> list[Transfer]:
        """A project's offers in a page; all projects' are for administrators."""
        everything = all_projects and principal.is_cloud_admin
        mine: list[Any] = [] if everything else [transfers.c.project_id == project_of(principal).id]
        with self._reading() as connection:
            return page_of(connection, TRANSFERS, [*mine, *where], page, what="Transfer")

    def show(self, principal: Principal, transfer_id: str) -> Transfer:
        """One's own offer; NotFound otherwise."""
        with self._reading() as connection:
            return self._seen(connection, principal, transfer_id)

    def create(
        self, principal: Principal, volume_id: str, *, name: str | None, no_snapshots: bool
    ) -> tuple[Transfer, str]:
        """Offer a volume; return the offer, and the key, which is shown this once.

        Raises:
            NotFound, Invalid: there is no such volume, or it is not available.
        """
        key = new_hex()[:_KEY_LENGTH]
        salt = new_hex()
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if volume.status is not VolumeStatus.AVAILABLE:
                raise refuse("status must be available")
            transfer = Transfer(
                id=new_uuid(),
                project_id=volume.project_id,
                volume_id=volume.id,
                name=name,
                salt=salt,
                key_hash=_hash(salt, key),
                created_at=self._clock.now(),
                no_snapshots=no_snapshots,
            )
            TRANSFERS.add(connection, transfer)
            save(connection, self._clock, volume, status=VolumeStatus.AWAITING_TRANSFER)
        return transfer, key

    def delete(self, principal: Principal, transfer_id: str) -> None:
        """Withdraw an offer."""
        with self._engine.begin() as connection:
            transfer = self._seen(connection, principal, transfer_id)
            volume = VOLUMES.get(connection, transfer.volume_id)
            if volume is not None and volume.status is VolumeStatus.AWAITING_TRANSFER:
                save(connection, self._clock, volume, status=VolumeStatus.AVAILABLE)
            TRANSFERS.remove(connection, transfers.c.id == transfer_id)

    def accept(self, principal: Principal, transfer_id: str, key: str) -> Transfer:
        """Take an offered volume over, with its snapshots unless they were left out.

        Raises:
            NotFound: there is no such offer.
            Invalid: the key is another one.
            OverLimit: there is no quota for it.
        """
        project = project_of(principal)
        with self._engine.begin() as connection:
            transfer = TRANSFERS.get(connection, transfer_id)
            volume = VOLUMES.get(connection, transfer.volume_id) if transfer else None
            if transfer is None or volume is None:
                raise _no_transfer(transfer_id)
            if not hmac.compare_digest(_hash(transfer.salt, key), transfer.key_hash):
                raise Invalid(
                    f"Invalid auth key: Attempt to transfer {transfer_id} with invalid auth key.",
                    code="bad_transfer_key",
                )
            if volume.status is not VolumeStatus.AWAITING_TRANSFER:
                raise refuse("Volume must be awaiting transfer")
            kind = self._types.default(connection, project.id, inherited=volume.volume_type_id)
            shots = (
                []
                if transfer.no_snapshots
                else SNAPSHOTS.find(connection, snapshots.c.volume_id == volume.id)
            )
            size = volume.size + sum(shot.size for shot in shots)
            if project.id != volume.project_id:
                self._quotas.charge_volume(connection, project.id, size=size, type_name=kind.name)
            save(
                connection, self._clock, volume, status=VolumeStatus.AVAILABLE, project_id=project.id,
                user_id=principal.person.id,
            )  # fmt: skip
            if shots:
                owner = {"project_id": project.id, "user_id": principal.person.id}
                connection.execute(update(snapshots).where(snapshots.c.volume_id == volume.id).values(owner))
            TRANSFERS.remove(connection, transfers.c.id == transfer_id)
        return transfer

    @staticmethod
    def _seen(connection: Connection, principal: Principal, transfer_id: str) -> Transfer:
        transfer = TRANSFERS.get(connection, transfer_id)
        if transfer is None or not sees(principal, transfer.project_id):
            raise _no_transfer(transfer_id)
        return transfer

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()


def _no_transfer(transfer_id: str) -> NotFound:
    return NotFound(f"Transfer {transfer_id} could not be found.", code="transfer_not_found")


def _hash(salt: str, key: str) -> str:
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()
