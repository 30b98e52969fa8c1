"""Images of servers: snapshots, backups, and what a shelved server is kept in."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from armillary.base.errors import ArmillaryError
from armillary.base.ids import ImageId, ServerId
from armillary.cloud.compute.model import Server, TaskState, VmState
from armillary.cloud.compute.placing import no_place
from armillary.cloud.compute.records import save
from armillary.cloud.compute.work import Workbench, foreign_code, with_task, words

log = logging.getLogger(__name__)

_COPYING = (TaskState.IMAGE_SNAPSHOT, TaskState.IMAGE_BACKUP)
_ENDED = "the platform ended while the snapshot was being written"


class Copying:
    """Copies machines' disks into images, and records what came of it."""

    def __init__(self, *, bench: Workbench) -> None:
        self._bench = bench
        bench.directory.mkdir(parents=True, exist_ok=True)

    def snapshot(self, server_id: ServerId, *, kind: str | None = None, rotation: int = 0) -> None:
        """Copy a machine's root disk into the image that waits for it.

        Args:
            server_id: of the server.
            kind: of a backup, such as `daily`; None: an ordinary snapshot.
            rotation: how many backups of this kind are kept.
        """
        server = self._bench.task(server_id, *_COPYING)
        if server is None or server.snapshot_image_id is None:
            return
        error = self._copy(server, server.snapshot_image_id)
        if error is None and kind is not None:
            self._rotate(self._bench.images.backups(server_id, kind), rotation)
        self._bench.settle(server, server.vm_state, error=error, as_fault=False, snapshot_image_id=None)

    def _copy(self, server: Server, image_id: ImageId) -> str | None:
        """Fill an image; why that failed."""
        target = self._target(image_id)
        try:
            target.unlink(missing_ok=True)  # what an interrupted attempt left
            with foreign_code():
                self._bench.machines.snapshot(server.id, target)
                self._bench.images.commit_snapshot(image_id, target)
        except (ArmillaryError, OSError) as caught:
            self._abandon(image_id, words(caught))
            return words(caught)
        finally:
            target.unlink(missing_ok=True)
        return None

    def _rotate(self, backups: Sequence[ImageId], rotation: int) -> None:
        for image_id in backups[: max(0, len(backups) - rotation)]:
            self._bench.images.drop(image_id)

    def _target(self, image_id: ImageId) -> Path:
        return self._bench.directory / f"{image_id}.qcow2"

    def abandon(self, server_id: ServerId) -> None:
        """Give up a snapshot that was interrupted: its moment has passed."""
        server = self._bench.task(server_id, *_COPYING)
        if server is None:
            return
        if server.snapshot_image_id is not None:
            self._abandon(server.snapshot_image_id, _ENDED)
            self._target(server.snapshot_image_id).unlink(missing_ok=True)
        self._bench.settle(server, server.vm_state, error=_ENDED, as_fault=False, snapshot_image_id=None)

    def _abandon(self, image_id: ImageId, why: str) -> None:
        log.warning("snapshot %s failed: %s", image_id, why)
        self._bench.images.fail_snapshot(image_id, why)

    # shelving

    def shelve(self, server_id: ServerId) -> None:
        """Shut a machine down, copy its root disk into an image, and take the machine away.

        The machine is at rest while it is copied: interrupted half way, the copy is simply made again.
        """
        server = self._bench.task(server_id, TaskState.SHELVING)
        if server is None:
            return
        error = self._rest(server)
        image_id = server.shelved_image_id
        if error is None and image_id is not None and self._bench.images.made(image_id) is None:
            error = self._copy(server, image_id)
        if error is not None:
            self._come_back(server, error)
            return
        shelved = self._bench.advance(server, TaskState.SHELVING_OFFLOADING, vm_state=VmState.SHELVED)
        if shelved is not None:
            self.offload(server_id)

    def _rest(self, server: Server) -> str | None:
        try:
            with foreign_code():
                still = server.resting in {VmState.PAUSED, VmState.SUSPENDED}
                self._bench.machines.stop(server.id, hard=still)
        except (ArmillaryError, OSError) as error:
            return words(error)
        return None

    def _come_back(self, server: Server, error: str) -> None:
        """Run a server again that could not be shelved; one that stood still starts, its memory is gone."""
        after = VmState.STOPPED if server.resting is VmState.STOPPED else VmState.ACTIVE
        try:
            with foreign_code():
                if after is VmState.ACTIVE:
                    self._bench.machines.boot(self._bench.spec(server))
        except (ArmillaryError, OSError) as caught:
            self._bench.settle(
                server, VmState.ERROR, error=f"{error} {words(caught)}", resting=None, shelved_image_id=None
            )
            return
        self._bench.settle(server, after, error=error, as_fault=False, resting=None, shelved_image_id=None)

    def offload(self, server_id: ServerId) -> None:
        """Take a shelved server's machine away; its image, ports and volumes stay."""
        server = self._bench.task(server_id, TaskState.SHELVING_OFFLOADING)
        if server is None:
            return
        try:
            with foreign_code():
                self._bench.machines.destroy(server_id)
        except (ArmillaryError, OSError) as error:
            self._bench.settle(server, VmState.SHELVED, error=words(error), as_fault=False)
            return
        self._bench.settle(server, VmState.SHELVED_OFFLOADED, placed=False, resting=None)

    def unshelve(self, server_id: ServerId) -> None:
        """Place a shelved server again, and boot it from its image, which then goes."""
        server = self._place(server_id)
        if server is None:
            return
        try:
            with foreign_code():
                self._bench.machines.boot(self._bench.spec(server))
        except (ArmillaryError, OSError) as error:
            self._bench.machines.destroy(server_id)
            self._stay_shelved(server, words(error))
            return
        if server.shelved_image_id is not None:
            self._bench.images.drop(server.shelved_image_id)
        self._bench.settle(server, VmState.ACTIVE, shelved_image_id=None, launched_at=self._bench.clock.now())

    def _place(self, server_id: ServerId) -> Server | None:
        """Give a shelved server its place and its image's bytes; a kill later, it has them already."""
        bench = self._bench
        server = bench.task(server_id, TaskState.UNSHELVING)
        if server is None or server.placed:
            return server
        changes: dict[str, Any] = {}
        if not server.from_volume:
            image = bench.images.made(server.shelved_image_id) if server.shelved_image_id else None
            if image is None or image.sha512 is None:
                self._stay_shelved(
                    server, f"Image {server.shelved_image_id}, which the server was shelved in, is gone."
                )
                return None
            changes = {"image_sha512": image.sha512, "image_format": image.disk_format or "qcow2"}
        with bench.engine.begin() as connection:
            current = with_task(connection, server_id, TaskState.UNSHELVING)
            if current is None:
                return None
            refused = no_place(connection, bench.machines.capacity(), current)
            if refused is None:
                return save(connection, bench.clock, current, placed=True, **changes)
        self._stay_shelved(server, refused)
        return None

    def _stay_shelved(self, server: Server, error: str) -> None:
        log.warning("server %s could not be unshelved: %s", server.id, error)
        self._bench.settle(server, VmState.SHELVED_OFFLOADED, error=error, as_fault=False, placed=False)
