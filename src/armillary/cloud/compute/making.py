"""From a request for servers to servers that are being built: their disks, their records, their volumes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, cast

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ImageId, ServerId, VolumeId, new_uuid
from armillary.cloud.access import project_of
from armillary.cloud.compute.acting import Ledger
from armillary.cloud.compute.creation import Creation, NewServers, check
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.ports import BootImage, Images, Volumes
from armillary.cloud.compute.records import note_action
from armillary.cloud.compute.strands import Strands
from armillary.cloud.core.block_devices import DeviceWish, Disks, arrange
from armillary.cloud.model import VolumeDisk
from armillary.cloud.network.service import NetworkService


class Making:
    """Makes servers, all that were asked for or none."""

    def __init__(
        self, *, ledger: Ledger, creation: Creation, images: Images, volumes: Volumes, network: NetworkService,
        strands: Strands,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._creation = creation
        self._images = images
        self._volumes = volumes
        self._network = network
        self._strands = strands

    def create(self, principal: Principal, wanted: NewServers, *, request_id: str) -> list[Server]:
        """See `ComputeService.create`."""
        project = project_of(principal)
        check(wanted)

        self._network.furnish(project)
        disks, image = self._resolve(principal, wanted)
        ids = [ServerId(new_uuid()) for _ in range(wanted.most)]
        with ExitStack() as stack:
            if disks.devices:
                for server_id in ids:
                    # until its volumes are reserved, nobody may take a server up
                    stack.enter_context(self._strands.holding(server_id))
            with self._ledger.engine.begin() as connection:
                servers = self._creation.write(
                    connection, principal, project.id, wanted, disks, image, ids=ids
                )
                for server in servers:
                    note_action(connection, self._ledger.clock, principal, server, "create", request_id)
            self._reserve(principal, servers, disks)
            for server in servers:
                self._ledger.lifecycle.pursue(server)
        return servers

    def _resolve(self, principal: Principal, wanted: NewServers) -> tuple[Disks, BootImage | None]:
        """What a request's disks are, and the image of the root disk; an image of volumes brings its own."""
        image = self._image(principal, wanted.image_ref) if wanted.image_ref else None
        wishes = list(wanted.devices)
        mapping = (
            image.properties.get("block_device_mapping") if image is not None and not image.sha512 else None
        )
        if mapping:
            from_image = [w for w in wishes if w.source_type == "image" and w.source_id == wanted.image_ref]
            wishes = [*wishes_of_image(mapping), *(w for w in wishes if w not in from_image)]
        disks = arrange(None if mapping else wanted.image_ref, wishes, count=wanted.most)
        self._check_images(principal, disks)
        if disks.image_id is None:
            return disks, None
        if image is None or image.id != disks.image_id:
            image = self._image(principal, disks.image_id)
        if not image.sha512:
            raise Invalid(f"Image {image.id} is unacceptable: it has no bytes.", code="image_without_bytes")
        return disks, image

    def _check_images(self, principal: Principal, disks: Disks) -> None:
        for wish in disks.devices:
            if wish.source_type == "image":
                try:
                    self._images.resolve_bootable(principal, ImageId(wish.source_id or ""))
                except (Invalid, NotFound) as error:
                    raise Invalid(
                        f"Block Device Mapping is Invalid: failed to get image {wish.source_id}.",
                        code="block_device_image",
                    ) from error

    def _image(self, principal: Principal, image_ref: str) -> BootImage:
        try:
            return self._images.resolve_bootable(principal, ImageId(image_ref))
        except NotFound as error:
            raise Invalid("Can not find requested image", code="image_not_found") from error

    def _reserve(self, principal: Principal, servers: Sequence[Server], disks: Disks) -> None:
        """Take the volumes that new servers were promised; if one cannot be had, no server was recorded."""
        volumes = [VolumeId(w.source_id) for w in disks.devices if w.source_type == "volume" and w.source_id]
        taken: list[VolumeId] = []
        try:
            for volume_id in volumes:
                self._check_boots(self._volumes.reserve(principal, volume_id), disks)
                taken.append(volume_id)
        except (Invalid, Conflict, NotFound) as error:
            for volume_id in taken:
                self._volumes.detached(volume_id)
            with self._ledger.engine.begin() as connection:
                for server in servers:
                    self._creation.unwrite(connection, server)
            if isinstance(error, NotFound):
                raise Invalid(
                    f"Block Device Mapping is Invalid: failed to get volume {volumes[len(taken)]}.",
                    code="block_device_volume",
                ) from error
            raise

    def _check_boots(self, volume: VolumeDisk, disks: Disks) -> None:
        root = any(w.boot_index == 0 and w.source_id == volume.id for w in disks.devices)
        if root and not volume.bootable:
            self._volumes.detached(volume.id)
            raise Invalid(f"Block Device {volume.id} is not bootable.", code="volume_not_bootable")


def wishes_of_image(mapping: str) -> list[DeviceWish]:
    """The volumes that an image without bytes asks for: what `image_mapping` wrote."""
    entries = cast("list[dict[str, Any]]", json.loads(mapping))
    return [
        DeviceWish(
            source_type=entry["source_type"],
            destination_type=entry["destination_type"],
            source_id=entry.get("snapshot_id"),
            boot_index=entry.get("boot_index"),
            size=entry.get("volume_size"),
            delete_on_termination=bool(entry.get("delete_on_termination")),
            device_name=entry.get("device_name"),
            tag=entry.get("tag"),
        )
        for entry in entries
    ]
