"""From a request for servers to their records: everything is checked and written in one step."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import ProjectId, ServerId, Sha512, new_uuid
from armillary.cloud import store
from armillary.cloud.compute.flavors import check_fits, usable
from armillary.cloud.compute.model import Keypair, Server, TaskState, VmState
from armillary.cloud.compute.ports import BootImage
from armillary.cloud.compute.quotas import METADATA_ITEMS, Quotas, charged
from armillary.cloud.core.quota import amounts_of, charge
from armillary.cloud.network.desk import Desk
from armillary.cloud.network.ports import plug

MAX_USER_DATA = 65535
_TEXT = 255


@dataclass(frozen=True, kw_only=True)
class NewServers:
    """A request for one or more servers, as it came."""

    name: str
    flavor_ref: str
    image_ref: str
    key_name: str | None = None
    networks: Sequence[Mapping[str, str]] | None = None
    """Wishes (`uuid`, `fixed_ip`, `port`); None: automatic; empty: none."""
    security_groups: Sequence[str] | None = None
    user_data: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Sequence[str] = ()
    description: str | None = None
    hostname: str | None = None
    config_drive: bool = True
    """Nova's `force_config_drive` is on here, since a drive is read sooner than the network is up; but whoever says
    no gets none, and reads the metadata service."""
    count: int = 1


def check(wanted: NewServers) -> None:
    """Refuse what needs no look at the records.

    Raises:
        Invalid: in Nova's words.
    """
    check_name(wanted.name)
    check_metadata(wanted.metadata)
    if wanted.user_data is not None:
        if len(wanted.user_data) > MAX_USER_DATA:
            raise Invalid(
                f"Invalid input for field/attribute user_data. Value is too long: {len(wanted.user_data)} characters, "
                f"the maximum is {MAX_USER_DATA}.",
                code="user_data_too_large",
                facts={"length": len(wanted.user_data), "maximum": MAX_USER_DATA},
                remedy="Let the script fetch what is large.",
            )
        try:
            base64.b64decode(wanted.user_data, validate=False)
        except (binascii.Error, ValueError):
            _refuse(f"Invalid input for field/attribute user_data. Value: {wanted.user_data[:40]}. "
                    "It is not a 'base64'", "user_data_not_base64")  # fmt: skip


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
    """Writes servers with their ports in one transaction, or nothing."""

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
        image: BootImage,
    ) -> list[Server]:
        """Write the records of servers that are about to be built.

        Raises:
            Invalid: flavor, key or network is not there, or does not fit.
            QuotaExceeded: in Nova's words.
            Conflict: networks are ambiguous, or a port is in use.
        """
        try:
            flavor = usable(connection, principal, wanted.flavor_ref)
        except NotFound as error:
            raise Invalid(error.message, code=error.code) from error
        check_fits(
            flavor, min_ram=image.min_ram, min_disk=image.min_disk, virtual_size=image.virtual_size or 0
        )
        key = self._key(connection, principal, wanted.key_name)
        used = charged(connection, owner)
        charge(self._quotas.limits(connection, owner), used, amounts_of([flavor] * wanted.count))
        reservation, now = f"r-{secrets.token_hex(4)}", self._clock.now()
        servers: list[Server] = []
        for index in range(wanted.count):
            name = wanted.name if wanted.count == 1 else f"{wanted.name}-{index + 1}"
            server_id = ServerId(new_uuid())
            server = Server(
                id=server_id,
                name=name,
                description=wanted.description,
                hostname=wanted.hostname or hostname_of(name, server_id),
                project_id=owner,
                user_id=principal.person.id,
                image_id=image.id,
                image_sha512=image.sha512 or Sha512(""),
                image_format=image.disk_format or "raw",
                flavor=flavor,
                key_name=wanted.key_name,
                key_type=key.kind if key else "ssh",
                public_key=key.public_key if key else None,
                user_data=wanted.user_data,
                config_drive=wanted.config_drive,
                metadata=dict(wanted.metadata),
                tags=tuple(wanted.tags),
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
            )
            store.SERVERS.add(connection, server)
            self._plug(connection, principal, owner, server.id, wanted)
            servers.append(server)
        return servers

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
            plug(
                self._desk, connection, principal, owner, server_id,
                wishes=wanted.networks, security_groups=wanted.security_groups,
            )  # fmt: skip
        except NotFound as error:
            raise Invalid(error.message, code=error.code) from error


def _refuse(message: str, code: str) -> NoReturn:
    raise Invalid(message, code=code)
