"""From a request for servers to their records: everything is checked and written in one step."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid, NotFound, QuotaExceeded
from armillary.base.ids import ImageId, ProjectId, ServerId, Sha512, VolumeId, new_uuid
from armillary.base.units import GiB
from armillary.cloud import store
from armillary.cloud.compute.flavors import check_fits, usable
from armillary.cloud.compute.model import (
    BlockDevice,
    DeviceState,
    Flavor,
    Interface,
    Keypair,
    Server,
    TaskState,
    VmState,
)
from armillary.cloud.compute.ports import BootImage
from armillary.cloud.compute.quotas import METADATA_ITEMS, Quotas, charged
from armillary.cloud.compute.server_groups import count_members, group_of
from armillary.cloud.compute.store import BLOCK_DEVICES, INTERFACES, block_devices, interfaces
from armillary.cloud.core.block_devices import ROOT_DEVICE, DeviceWish, Disks, check_local, next_name
from armillary.cloud.core.metadata import AVAILABILITY_ZONE
from armillary.cloud.core.quota import amounts_of, charge
from armillary.cloud.network.desk import Desk
from armillary.cloud.network.ports import plug, unplug

MAX_USER_DATA = 65535
MAX_FILES, MAX_FILE_PATH, MAX_FILE_BYTES = 5, 255, 10240
"""of injected files: Nova's default quotas"""
_TEXT = 255


@dataclass(frozen=True, kw_only=True)
class NewServers:
    """A request for one or more servers, as it came."""

    name: str
    flavor_ref: str
    image_ref: str | None
    devices: Sequence[DeviceWish] = ()
    """`block_device_mapping_v2`"""
    key_name: str | None = None
    networks: Sequence[Mapping[str, str]] | None = None
    """Wishes (`uuid`, `fixed_ip`, `port`, `tag`); None: automatic; empty: none."""
    security_groups: Sequence[str] | None = None
    user_data: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Sequence[str] = ()
    description: str | None = None
    hostname: str | None = None
    config_drive: bool = True
    """Nova's `force_config_drive` is on here, since a drive is read sooner than the network is up; but whoever says
    no gets none, and reads the metadata service."""
    least: int = 1
    most: int = 1
    """How many servers: as many as the quota allows, but no fewer than `least`."""
    admin_pass: str | None = None
    files: Sequence[Mapping[str, str]] = ()
    """Injected files: `path`, and `contents` in base64."""
    availability_zone: str | None = None
    group_id: str | None = None
    access_ipv4: str | None = None
    access_ipv6: str | None = None
    disk_config: str = "MANUAL"
    trusted_certs: Sequence[str] = ()


def check(wanted: NewServers) -> None:
    """Refuse what needs no look at the records.

    Raises:
        Invalid: in Nova's words.
    """
    check_name(wanted.name)
    check_metadata(wanted.metadata)
    check_files(wanted.files)
    if wanted.user_data is not None:
        check_user_data(wanted.user_data)
    if wanted.availability_zone not in {None, AVAILABILITY_ZONE}:
        _refuse("The requested availability zone is not available", "availability_zone_unknown")
    several = wanted.most > 1
    if several and any("port" in wish for wish in wanted.networks or ()):
        _refuse(
            "Failed to launch instances: Unable to launch multiple instances with a single configured port ID. Please "
            "launch your instance one by one with different ports.",
            "port_shared",
        )
    if several and any("fixed_ip" in wish for wish in wanted.networks or ()):
        _refuse(
            "Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified.",
            "fixed_ip_shared",
        )
    if several and wanted.hostname is not None:
        _refuse("Unable to allocate a single hostname to multiple instances", "hostname_shared")


def check_user_data(user_data: str) -> None:
    """Refuse user data that is too long, or not base64."""
    if len(user_data) > MAX_USER_DATA:
        raise Invalid(
            f"Invalid input for field/attribute user_data. Value is too long: {len(user_data)} characters, "
            f"the maximum is {MAX_USER_DATA}.",
            code="user_data_too_large",
            facts={"length": len(user_data), "maximum": MAX_USER_DATA},
            remedy="Let the script fetch what is large.",
        )
    try:
        base64.b64decode(user_data, validate=False)
    except (binascii.Error, ValueError):
        _refuse(f"Invalid input for field/attribute user_data. Value: {user_data[:40]}. "
                "It is not a 'base64'", "user_data_not_base64")  # fmt: skip


def check_files(files: Sequence[Mapping[str, str]]) -> None:
    """Refuse injected files that are over Nova's limits, or not base64.

    Raises:
        QuotaExceeded: in Nova's words.
        Invalid: the contents cannot be decoded.
    """
    if len(files) > MAX_FILES:
        raise QuotaExceeded(
            "Personality file limit exceeded",
            code="too_many_files",
            facts={"files": len(files), "limit": MAX_FILES},
        )
    for file in files:
        if len(file["path"]) > MAX_FILE_PATH:
            raise QuotaExceeded("Personality file path exceeds maximum", code="file_path_too_long")
        try:
            contents = base64.b64decode(file["contents"], validate=True)
        except (binascii.Error, ValueError):
            _refuse(f"Personality content for {file['path'][:_TEXT]} cannot be decoded", "file_not_base64")
        if len(contents) > MAX_FILE_BYTES:
            raise QuotaExceeded("Personality file content exceeds maximum", code="file_too_large")


def check_name(name: str) -> None:
    """Refuse a name that is empty or too long."""
    if not name.strip() or len(name) > _TEXT:
        _refuse(f"Invalid input for field/attribute name. Value: {name[:_TEXT]}. It must have 1 to 255 characters.",
                "invalid_name")  # fmt: skip


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse metadata that Nova would refuse."""
    if len(metadata) > METADATA_ITEMS:
        raise Invalid(
            f"Maximum number of metadata items exceeds {METADATA_ITEMS}",
            code="metadata_limit",
            facts={"items": len(metadata)},
        )
    for key, value in metadata.items():
        if not 1 <= len(key) <= _TEXT or len(value) > _TEXT:
            _refuse(f"Invalid metadata: key and value of '{key[:_TEXT]}' must have at most 255 characters, "
                    "the key at least one.", "invalid_metadata")  # fmt: skip


def hostname_of(name: str, server_id: str) -> str:
    """A host name out of a server's name, as Nova makes it."""
    text = re.sub(r"[ _]", "-", name.encode("ascii", "ignore").decode())
    text = re.sub(r"[^\w.-]+", "", text).lower().strip(".-")[:63].rstrip(".-")
    return text or f"server-{server_id}"


class Creation:
    """Writes servers with their ports and disks in one transaction, or nothing."""

    def __init__(self, *, clock: Clock, desk: Desk, quotas: Quotas) -> None:
        self._clock = clock
        self._desk = desk
        self._quotas = quotas

    def write(
        self,
        connection: Connection,
        principal: Principal,
        owner: ProjectId,
        wanted: NewServers,
        disks: Disks,
        image: BootImage | None,
        *,
        ids: Sequence[ServerId],
    ) -> list[Server]:
        """Write the records of servers that are about to be built.

        Args:
            connection: of the caller's transaction.
            principal: who asks.
            owner: whose servers they will be.
            wanted: the request.
            disks: what it says of disks.
            image: what the root disk is made from; None if they boot from a volume.
            ids: for as many servers as are wanted at the most.

        Raises:
            Invalid: flavor, key or network is not there, or does not fit.
            QuotaExceeded: in Nova's words.
            Conflict: networks are ambiguous, or a port is in use.
        """
        try:
            flavor = usable(connection, principal, wanted.flavor_ref)
        except NotFound as error:
            raise Invalid(error.message, code=error.code) from error
        if image is not None:
            check_fits(
                flavor, min_ram=image.min_ram, min_disk=image.min_disk, virtual_size=image.virtual_size or 0
            )
        check_local(flavor, disks.devices)
        if wanted.group_id is not None:
            self._join(connection, principal, wanted)
        key = self._key(connection, principal, wanted.key_name)
        count = self._affordable(connection, owner, flavor, wanted)
        reservation, now = f"r-{secrets.token_hex(4)}", self._clock.now()
        servers: list[Server] = []
        for index, server_id in enumerate(ids[:count]):
            name = wanted.name if count == 1 else f"{wanted.name}-{index + 1}"
            server = Server(
                id=server_id,
                name=name,
                description=wanted.description,
                hostname=wanted.hostname or hostname_of(name, server_id),
                project_id=owner,
                user_id=principal.person.id,
                image_id=image.id if image else ImageId(""),
                image_sha512=(image.sha512 if image else None) or Sha512(""),
                image_format=(image.disk_format if image else None) or "raw",
                flavor=flavor,
                key_name=wanted.key_name,
                key_type=key.kind if key else "ssh",
                public_key=key.public_key if key else None,
                user_data=wanted.user_data,
                config_drive=wanted.config_drive,
                metadata=dict(wanted.metadata),
                tags=tuple(dict.fromkeys(wanted.tags)),
                seed=base64.b64encode(secrets.token_bytes(64)).decode(),
                reservation_id=reservation,
                launch_index=index,
                vm_state=VmState.BUILDING,
                task_state=TaskState.SCHEDULING,
                fault=None,
                locked=False,
                locked_reason=None,
                charged=True,
                placed=False,
                snapshot_image_id=None,
                created_at=now,
                updated_at=now,
                launched_at=None,
                deleted_at=None,
                access_ipv4=wanted.access_ipv4,
                access_ipv6=wanted.access_ipv6,
                disk_config=wanted.disk_config,
                availability_zone=wanted.availability_zone,
                group_id=wanted.group_id,
                trusted_certs=tuple(wanted.trusted_certs),
                admin_pass=wanted.admin_pass,
                files=tuple(wanted.files),
            )
            store.SERVERS.add(connection, server)
            self._plug(connection, principal, owner, server.id, wanted)
            self._add_disks(connection, server, disks)
            servers.append(server)
        return servers

    def unwrite(self, connection: Connection, server: Server) -> None:
        """Take a server back that nobody was told of."""
        unplug(self._desk, connection, server.id)
        INTERFACES.remove(connection, interfaces.c.server_id == server.id)
        BLOCK_DEVICES.remove(connection, block_devices.c.server_id == server.id)
        store.ACTIONS.remove(connection, store.actions.c.server_id == server.id)
        store.SERVERS.remove(connection, store.servers.c.id == server.id)

    def _join(self, connection: Connection, principal: Principal, wanted: NewServers) -> None:
        try:
            group = group_of(connection, principal, wanted.group_id or "")
        except NotFound as error:
            raise Invalid(error.message, code=error.code) from error
        most = self._quotas.limit(connection, group.project_id, "server_group_members")
        if 0 <= most < count_members(connection, group.id) + wanted.least:
            raise QuotaExceeded("Quota exceeded, too many servers in group", facts={"limit": most})

    def _affordable(
        self, connection: Connection, owner: ProjectId, flavor: Flavor, wanted: NewServers
    ) -> int:
        limits, used = self._quotas.limits(connection, owner), charged(connection, owner)
        for count in range(wanted.most, wanted.least, -1):
            try:
                charge(limits, used, amounts_of([flavor] * count))
            except QuotaExceeded:
                continue
            return count
        charge(limits, used, amounts_of([flavor] * wanted.least))
        return wanted.least

    def _key(self, connection: Connection, principal: Principal, name: str | None) -> Keypair | None:
        if name is None:
            return None
        key = store.KEYPAIRS.get(connection, principal.person.id, name)
        if key is None:
            _refuse("Invalid key_name provided.", "invalid_key_name")
        return key

    def _plug(
        self,
        connection: Connection,
        principal: Principal,
        owner: ProjectId,
        server_id: ServerId,
        wanted: NewServers,
    ) -> None:
        try:
            ports = plug(
                self._desk, connection, principal, owner, server_id,
                wishes=wanted.networks, security_groups=wanted.security_groups,
            )  # fmt: skip
        except NotFound as error:
            raise Invalid(error.message, code=error.code) from error
        for port, wish in zip(ports, wanted.networks or (), strict=False):
            if wish.get("tag"):
                card = Interface(
                    port_id=port.id, server_id=server_id, tag=wish["tag"], state=DeviceState.ATTACHED
                )
                INTERFACES.add(connection, card)

    def _add_disks(self, connection: Connection, server: Server, disks: Disks) -> None:
        made: list[BlockDevice] = []
        for wish in sorted(disks.devices, key=lambda wish: wish.boot_index != 0):
            root = wish.is_volume and wish.boot_index == 0
            device = BlockDevice(
                id=new_uuid(),
                server_id=server.id,
                source_type=wish.source_type,
                destination_type=wish.destination_type,
                source_id=wish.source_id,
                volume_id=VolumeId(wish.source_id or "") if wish.source_type == "volume" else None,
                size=GiB(wish.size) if wish.size is not None else None,
                volume_type=wish.volume_type,
                guest_format=wish.guest_format,
                device_name=ROOT_DEVICE if root else "",
                boot_index=wish.boot_index,
                delete_on_termination=wish.delete_on_termination,
                tag=wish.tag,
                attachment_id=new_uuid(),
                state=DeviceState.WANTED if wish.is_volume else DeviceState.ATTACHED,
                created_at=server.created_at,
            )
            if wish.is_volume and not root:
                name = next_name(
                    server.flavor, made, config_drive=server.config_drive, wanted=wish.device_name
                )
                device = replace(device, device_name=name)
            made.append(BLOCK_DEVICES.add(connection, device))


def _refuse(message: str, code: str) -> NoReturn:
    raise Invalid(message, code=code)
