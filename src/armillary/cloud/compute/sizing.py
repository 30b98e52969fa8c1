"""What a server is made of: rebuilt from an image, or resized to another flavor, as people ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import new_uuid
from armillary.cloud import store
from armillary.cloud.compute.acting import Doing, Ledger, bare_id
from armillary.cloud.compute.creation import check_files, check_metadata, check_name, check_user_data
from armillary.cloud.compute.flavors import check_fits, usable
from armillary.cloud.compute.model import Flavor, Migration, Server, TaskState, VmState
from armillary.cloud.compute.placing import no_place
from armillary.cloud.compute.ports import BootImage, Images, Volumes
from armillary.cloud.compute.quotas import Quotas, charged
from armillary.cloud.compute.records import own
from armillary.cloud.compute.store import MIGRATIONS, devices_of, next_migration
from armillary.cloud.core.quota import Amounts, charge
from armillary.cloud.ports import Machines


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """A wish for a server made anew; what is not in `changes` stays."""

    image_ref: str
    admin_pass: str | None = None
    preserve_ephemeral: bool = False
    files: tuple[Mapping[str, str], ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the record: `name`, `metadata`, `description`, `user_data`, `hostname`, `access_ipv4`, …"""
    key_name: str | None = None
    new_key: bool = False
    """`key_name` was given; None takes the key away."""


class Sizing:
    """Rebuilds and resizes, with the checks that they take."""

    def __init__(
        self, *, ledger: Ledger, images: Images, volumes: Volumes, quotas: Quotas, machines: Machines
    ) -> None:
        self._ledger = ledger
        self._images = images
        self._volumes = volumes
        self._quotas = quotas
        self._machines = machines

    # rebuild

    def rebuild(self, doing: Doing, wanted: Rebuild) -> Server:
        """Begin to make a server anew from an image; its addresses, volumes and id stay.

        Raises:
            Invalid: the image does not do or does not fit, or something that was asked for cannot be had.
        """
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            own(connection, doing.principal, doing.server_id)
        changes = dict(wanted.changes)
        if "name" in changes:
            check_name(changes["name"])
        if "metadata" in changes:
            check_metadata(changes["metadata"])
        if changes.get("user_data") is not None:
            check_user_data(changes["user_data"])
        check_files(wanted.files)
        if wanted.preserve_ephemeral:
            raise Invalid(
                "The current driver does not support preserving ephemeral partitions.",
                code="preserve_ephemeral_unsupported",
            )
        image = self._image(doing.principal, wanted.image_ref)

        def change(connection: Connection, server: Server) -> Mapping[str, Any]:
            if wanted.new_key:
                changes.update(_key(connection, doing.principal, wanted.key_name))
            if wanted.files:
                changes["files"] = wanted.files
            stopped = server.vm_state is VmState.STOPPED
            return {
                **changes, **self._new_root(connection, server, image),
                "admin_pass": wanted.admin_pass, "resting": VmState.STOPPED if stopped else None,
            }  # fmt: skip

        return self._ledger.begin(doing, "rebuild", TaskState.REBUILDING, change)

    def _image(self, principal: Principal, image_ref: str) -> BootImage:
        try:
            return self._images.resolve_bootable(principal, bare_id(image_ref))
        except NotFound as error:
            raise Invalid("Cannot find image for rebuild", code="image_not_found") from error

    def _new_root(self, connection: Connection, server: Server, image: BootImage) -> Mapping[str, Any]:
        if server.from_volume:
            roots = [
                d.volume_id for d in devices_of(connection, server.id) if d.boot_index == 0 and d.volume_id
            ]
            if not roots or self._volumes.disk(roots[0]).image_metadata.get("image_id") != image.id:
                raise Invalid(
                    f"Image {image.id} is unacceptable: Unable to rebuild with a different image for a volume-backed "
                    "server.",
                    code="rebuild_from_volume",
                )
            return {}
        if image.sha512 is None:
            raise Invalid(f"Image {image.id} is unacceptable: it has no bytes.", code="image_without_bytes")
        check_fits(
            server.flavor,
            min_ram=image.min_ram,
            min_disk=image.min_disk,
            virtual_size=image.virtual_size or 0,
        )
        return {
            "image_id": image.id,
            "image_sha512": image.sha512,
            "image_format": image.disk_format or "raw",
        }

    # resize

    def resize(self, doing: Doing, flavor_ref: str, *, disk_config: str | None = None) -> None:
        """Begin to give a server another flavor; it waits for `confirm` or `revert` then.

        Raises:
            Invalid: the flavor is not there, the same, too small, or does not fit on this cloud.
            QuotaExceeded: in Nova's words.
        """

        def change(connection: Connection, server: Server) -> Mapping[str, Any]:
            flavor = self._new_flavor(connection, doing.principal, server, bare_id(flavor_ref))
            self._charge(connection, server, flavor)
            changes: dict[str, Any] = {
                "flavor": flavor, "old_flavor": server.flavor, "resting": server.vm_state,
            } | ({"disk_config": disk_config} if disk_config else {})  # fmt: skip
            refused = no_place(connection, self._machines.capacity(), replace(server, **changes))
            if refused is not None:
                raise Invalid(refused, code="no_valid_host")
            self._note(connection, doing, server, flavor)
            return changes

        self._ledger.begin(doing, "resize", TaskState.RESIZE_PREP, change)

    def _new_flavor(
        self, connection: Connection, principal: Principal, server: Server, flavor_id: str
    ) -> Flavor:
        try:
            flavor = usable(connection, principal, flavor_id)
        except NotFound as error:
            raise Invalid(error.message, code=error.code) from error
        if flavor.id == server.flavor.id:
            raise Invalid("When resizing, instances must change flavor!", code="same_flavor")
        if not server.from_volume and flavor.disk == 0 and server.flavor.disk != 0:
            raise Invalid(
                "Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.",
                code="cannot_resize_disk",
            )
        smaller = not server.from_volume and flavor.disk < server.flavor.disk
        if smaller or flavor.ephemeral < server.flavor.ephemeral:
            raise Invalid(
                "Server disk was unable to be resized because: Unable to resize disk down.",
                code="cannot_resize_disk",
                facts={"disk": server.flavor.disk, "asked": flavor.disk},
                remedy="Choose a flavor with disks that are at least as large.",
            )
        return flavor

    def _charge(self, connection: Connection, server: Server, flavor: Flavor) -> None:
        """Let the growth pass if it fits; shrinking always does."""
        more = Amounts(
            cores=max(0, flavor.vcpus - server.flavor.vcpus), ram=max(0, flavor.ram - server.flavor.ram)
        )
        limits = self._quotas.limits(connection, server.project_id)
        used = charged(connection, server.project_id)
        unlimited = {name: -1 for name in vars(more) if getattr(more, name) == 0}
        charge(Amounts(**{**vars(limits), **unlimited}), used, more)

    def _note(self, connection: Connection, doing: Doing, server: Server, flavor: Flavor) -> None:
        now = self._ledger.clock.now()
        MIGRATIONS.add(
            connection,
            Migration(
                number=next_migration(connection), id=new_uuid(), server_id=server.id, project_id=server.project_id,
                user_id=doing.principal.person.id, old_flavor_id=server.flavor.id, new_flavor_id=flavor.id,
                status="migrating", created_at=now, updated_at=now,
            ),
        )  # fmt: skip

    def confirm(self, doing: Doing) -> None:
        """Keep the new size."""
        self._ledger.begin(doing, "confirmResize", TaskState.RESIZE_CONFIRMING)

    def revert(self, doing: Doing) -> None:
        """Go back to the old size and the old disk; what was written since is lost."""
        self._ledger.begin(doing, "revertResize", TaskState.RESIZE_REVERTING)


def _key(connection: Connection, principal: Principal, name: str | None) -> Mapping[str, Any]:
    if name is None:
        return {"key_name": None, "public_key": None}
    key = store.KEYPAIRS.get(connection, principal.person.id, name)
    if key is None:
        raise Invalid("Invalid key_name provided.", code="invalid_key_name")
    return {"key_name": name, "key_type": key.kind, "public_key": key.public_key}
