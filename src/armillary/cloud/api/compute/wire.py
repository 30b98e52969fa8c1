"""What clients send to the compute API."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=255)]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""Nova takes numbers as text too."""
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")]
Ref = Annotated[str, BeforeValidator(_text), Field(min_length=1)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class NetworkWish(_Body):
    uuid: str | None = None
    port: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class GroupName(_Body):
    name: Name


class ServerIn(_Body):
    name: Name
    flavor_ref: Ref = Field(alias="flavorRef")
    image_ref: str | None = Field(default=None, alias="imageRef")
    key_name: Name | None = None
    networks: Literal["auto", "none"] | list[NetworkWish] | None = None
    security_groups: list[GroupName] | None = None
    user_data: str | None = None
    metadata: dict[str, str] = {}
    tags: list[Annotated[str, Field(min_length=1, max_length=60)]] = []
    description: str | None = None
    hostname: HostName | None = None
    config_drive: bool | str | None = None
    min_count: Annotated[Whole, Field(ge=1)] = 1
    max_count: Annotated[Whole, Field(ge=1)] | None = None
    return_reservation_id: bool | str = False
    block_device_mapping_v2: list[dict[str, Any]] = []
    availability_zone: str | None = None
    admin_pass: str | None = Field(default=None, alias="adminPass")
    access_ipv4: str | None = Field(default=None, alias="accessIPv4")
    access_ipv6: str | None = Field(default=None, alias="accessIPv6")
    disk_config: Literal["AUTO", "MANUAL"] = Field(default="MANUAL", alias="OS-DCF:diskConfig")
    personality: list[dict[str, Any]] = []
    trusted_image_certificates: list[str] | None = None


class CreateServer(BaseModel):
    server: ServerIn
    hints: dict[str, Any] | None = Field(default=None, alias="os:scheduler_hints")
    older_hints: dict[str, Any] | None = Field(default=None, alias="OS-SCH-HNT:scheduler_hints")


def _address(version: int) -> AfterValidator:
    """An address of this version, or nothing."""

    def check(value: str) -> str | None:
        if not value:
            return None
        try:
            return str((IPv4Address if version == 4 else IPv6Address)(value))
        except ValueError as error:
            raise ValueError(f"'{value}' is not a 'ipv{version}'") from error

    return AfterValidator(check)


AccessIPv4 = Annotated[str, _address(4)]
AccessIPv6 = Annotated[str, _address(6)]


class ServerChanges(_Body):
    name: Name = ""
    description: Annotated[str, Field(max_length=255)] | None = None
    hostname: HostName = ""
    access_ipv4: AccessIPv4 = Field(default="", alias="accessIPv4")
    access_ipv6: AccessIPv6 = Field(default="", alias="accessIPv6")
    disk_config: Literal["AUTO", "MANUAL"] = Field(default="MANUAL", alias="OS-DCF:diskConfig")


class UpdateServer(_Body):
    server: ServerChanges


class Metadata(_Body):
    metadata: dict[Annotated[str, Field(min_length=1, max_length=255)], Annotated[str, Field(max_length=255)]]


class MetadataItem(_Body):
    meta: Annotated[dict[str, str], Field(min_length=1, max_length=1)]


class Tags(_Body):
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^,/]*$")]], Field(max_length=50)
    ]


class KeypairIn(_Body):
    name: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\w @._\-()+:]+$")]
    public_key: str | None = None
    type: Literal["ssh", "x509"] = "ssh"
    user_id: str | None = None


class CreateKeypair(_Body):
    keypair: KeypairIn


class FlavorIn(_Body):
    name: Name
    ram: Annotated[Whole, Field(ge=1)]
    vcpus: Annotated[Whole, Field(ge=1)]
    disk: Annotated[Whole, Field(ge=0)]
    id: Ref | None = None
    swap: Annotated[Whole, Field(ge=0)] = 0
    ephemeral: Annotated[Whole, Field(ge=0)] = Field(default=0, alias="OS-FLV-EXT-DATA:ephemeral")
    is_public: bool = Field(default=True, alias="os-flavor-access:is_public")
    rxtx_factor: float = 1.0
    description: str | None = None


class CreateFlavor(_Body):
    flavor: FlavorIn


class FlavorChanges(_Body):
    description: str | None


class UpdateFlavor(_Body):
    flavor: FlavorChanges


class ExtraSpecs(_Body):
    extra_specs: dict[str, str]


class QuotaChanges(_Body):
    quota_set: dict[str, Whole | bool | str | None]


class SnapshotIn(BaseModel):
    name: Name
    metadata: dict[str, str] = {}


class RebootIn(BaseModel):
    type: Literal["SOFT", "HARD", "soft", "hard", "Soft", "Hard"]


class ConsoleIn(BaseModel):
    length: Whole | None = None


class LockIn(BaseModel):
    locked_reason: Annotated[str, Field(min_length=1, max_length=255)] | None = None
