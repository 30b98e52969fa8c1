"""Images of servers, as people ask for them: snapshots, also of servers with volumes, and backups."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ImageId
from armillary.cloud.compute.acting import Doing, Ledger, snapshot_properties
from armillary.cloud.compute.creation import check_metadata, check_name
from armillary.cloud.compute.model import BlockDevice, DeviceState, Server, TaskState
from armillary.cloud.compute.ports import BootImage, Images, Volumes
from armillary.cloud.compute.records import check_action, own
from armillary.cloud.compute.store import devices_of
from armillary.cloud.core.block_devices import ROOT_DEVICE, image_mapping


class Imaging:
    """Begins snapshots and backups; the image that is returned becomes active when it is whole."""

    def __init__(self, *, ledger: Ledger, images: Images, volumes: Volumes) -> None:
        self._ledger = ledger
        self._images = images
        self._volumes = volumes

    def snapshot(self, doing: Doing, name: str, metadata: Mapping[str, str]) -> BootImage:
        """Begin an image of a server's root disk, and of its volumes' snapshots if it boots from one."""
        check_name(name)
        check_metadata(metadata)
        server, devices = self._look(doing, "createImage")
        properties = {**snapshot_properties(doing.principal, server), **metadata}
        if server.from_volume:
            return self._of_volumes(doing, server, devices, name, properties)
        return self._begin(doing, server, name, properties, "createImage", TaskState.IMAGE_SNAPSHOT)

    def back_up(
        self, doing: Doing, name: str, *, kind: str, rotation: int, metadata: Mapping[str, str]
    ) -> BootImage:
        """Begin an image of a server's root disk, after which all but `rotation` of its kind go."""
        check_name(name)
        check_metadata(metadata)
        server, _ = self._look(doing, "createBackup")
        if server.from_volume:
            raise Invalid(
                "Backup is not supported for volume-backed instances.",
                code="backup_from_volume",
                remedy="Make backups of its volumes (openstack volume backup create).",
            )
        properties = {
            **snapshot_properties(doing.principal, server), **metadata, "image_type": "backup", "backup_type": kind,
        }  # fmt: skip
        return self._begin(
            doing,
            server,
            name,
            properties,
            "createBackup",
            TaskState.IMAGE_BACKUP,
            kind=kind,
            rotation=rotation,
        )

    def _look(self, doing: Doing, action: str) -> tuple[Server, Sequence[BlockDevice]]:
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_action(doing.principal, server, action)
            return server, devices_of(connection, server.id)

    def _begin(
        self, doing: Doing, server: Server, name: str, properties: Mapping[str, str], action: str, task: TaskState,
        *, kind: str | None = None, rotation: int = 0,
    ) -> BootImage:  # fmt: skip
        image = self._images.begin_snapshot(doing.principal, name, properties, min_disk=server.flavor.disk)

        def change(_connection: Connection, _server: Server) -> Mapping[str, Any]:
            return {"snapshot_image_id": image.id}

        try:
            if kind is None:
                self._ledger.begin(doing, action, task, change)
            else:
                with self._ledger.strands.holding(server.id):
                    self._ledger.write(doing, action, task, change)
                    self._ledger.lifecycle.back_up(server.id, kind=kind, rotation=rotation)
        except (Conflict, NotFound):
            self._images.fail_snapshot(image.id, "the server was busy or gone")
            raise
        return image

    def _of_volumes(
        self,
        doing: Doing,
        server: Server,
        devices: Sequence[BlockDevice],
        name: str,
        properties: Mapping[str, str],
    ) -> BootImage:
        """An image without bytes: a snapshot of each volume, and what to boot from them."""
        image = self._images.begin_snapshot(doing.principal, name, properties)
        volumes = [d for d in devices if d.volume_id is not None and d.state is DeviceState.ATTACHED]
        try:
            made = [(device, self._snapshot(doing, device, name)) for device in volumes]
            mapping = json.dumps(image_mapping(made))
            self._images.commit_bytes_less(
                image.id, {"block_device_mapping": mapping, "bdm_v2": "True", "root_device_name": ROOT_DEVICE}
            )
        except (Conflict, Invalid, NotFound) as error:
            self._images.fail_snapshot(ImageId(image.id), error.message)
            raise
        self._ledger.write(doing, "createImage", None)
        return image

    def _snapshot(self, doing: Doing, device: BlockDevice, name: str) -> str:
        assert device.volume_id is not None, "only volumes are chosen"
        return self._volumes.snapshot(doing.principal, device.volume_id, name=f"snapshot for {name}")
