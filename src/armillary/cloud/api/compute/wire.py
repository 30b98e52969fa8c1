"""What clients send to the compute API."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    field_validator,
)

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


class GroupName(_Body):
    name: Name


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
    name: Name
    public_key: str | None = None
    type: Literal["ssh", "x509"] = "ssh"
    user_id: str | None = None


class CreateKeypair(_Body):
    keypair: KeypairIn


FlavorId = Annotated[
    str,
    BeforeValidator(_text),
    Field(max_length=255, pattern=r"^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$"),
]
FlavorDescription = Annotated[str, Field(max_length=65535)] | None


class FlavorIn(_Body):
    name: Annotated[str, Field(min_length=1, max_length=255, pattern=r"\S")]
    ram: Annotated[Whole, Field(ge=1)]
    vcpus: Annotated[Whole, Field(ge=1)]
    disk: Annotated[Whole, Field(ge=0)]
    id: FlavorId | None = None
    swap: Annotated[Whole, Field(ge=0)] = 0
    ephemeral: Annotated[Whole, Field(ge=0)] = Field(default=0, alias="OS-FLV-EXT-DATA:ephemeral")
    is_public: bool = Field(default=True, alias="os-flavor-access:is_public")
    rxtx_factor: Annotated[float, Field(gt=0, le=3.40282e38)] = 1.0
    description: FlavorDescription = None


class CreateFlavor(_Body):
    flavor: FlavorIn


class FlavorChanges(_Body):
    description: FlavorDescription


class UpdateFlavor(_Body):
    flavor: FlavorChanges


_Spec = Annotated[str, BeforeValidator(_text), Field(max_length=255)]


class ExtraSpecs(_Body):
    extra_specs: dict[str, _Spec]


class ExtraSpec(RootModel[dict[str, _Spec]]):
    """One, by its name."""

    root: Annotated[dict[str, _Spec], Field(min_length=1, max_length=1)]


class Tenant(_Body):
    tenant: Annotated[str, Field(min_length=1, max_length=255)]


class FlavorAction(_Body):
    add: Tenant | None = Field(default=None, alias="addTenantAccess")
    remove: Tenant | None = Field(default=None, alias="removeTenantAccess")


class QuotaChanges(_Body):
    quota_set: dict[str, Any]

    @field_validator("quota_set")
    @classmethod
    def _force(cls, value: dict[str, Any]) -> dict[str, Any]:
        TypeAdapter(bool).validate_python(value.get("force", False))
        return value

    @property
    def force(self) -> bool:
        """Whether quotas below what is in use are fine."""
        return TypeAdapter(bool).validate_python(self.quota_set.get("force", False))


class QuotaClassChanges(_Body):
    quota_class_set: dict[str, Any]


class GroupRules(_Body):
    max_server_per_host: Annotated[Whole, Field(ge=1)] | None = None


class ServerGroupIn(_Body):
    name: Name
    policies: (
        Annotated[
            list[Literal["anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity"]],
            Field(min_length=1, max_length=1),
        ]
        | None
    ) = None
    policy: Literal["anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity"] | None = None
    rules: GroupRules | None = None


class CreateServerGroup(_Body):
    server_group: ServerGroupIn


class SecurityGroupIn(_Body):
    name: str | None = None
    description: str | None = None


class CreateSecurityGroup(_Body):
    security_group: SecurityGroupIn


class GroupRuleIn(_Body):
    parent_group_id: str
    ip_protocol: str | int | None = None
    from_port: Whole | None = None
    to_port: Whole | None = None
    cidr: str | None = None
    group_id: str | None = None


class CreateGroupRule(_Body):
    security_group_rule: GroupRuleIn


class ImageMetadata(_Body):
    metadata: dict[Annotated[str, Field(min_length=1, max_length=255)], Annotated[str, Field(max_length=255)]]


class FloatingIpIn(_Body):
    pool: str | None = None


class OldVolumeIn(BaseModel):
    size: Whole | None = None
    display_name: str | None = None
    display_description: str | None = None
    volume_type: str | None = None
    metadata: dict[str, str] | None = None
    snapshot_id: str | None = None
    availability_zone: str | None = None


class CreateOldVolume(_Body):
    volume: OldVolumeIn


class ExternalEvent(_Body):
    name: Literal[
        "network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted", "volume-extended",
        "power-update", "accelerator-request-bound", "volume-reimaged",
    ]  # fmt: skip
    server_uuid: str
    status: Literal["failed", "completed", "in-progress"] = "completed"
    tag: Annotated[str, Field(max_length=255)] | None = None


class ExternalEvents(_Body):
    events: Annotated[list[ExternalEvent], Field(min_length=1, max_length=1000)]


class ServiceChanges(_Body):
    status: Literal["enabled", "disabled"] | None = None
    disabled_reason: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    forced_down: bool | None = None
    host: str | None = None
    binary: str | None = None


class AggregateIn(_Body):
    name: Name
    availability_zone: Name | None = None


class CreateAggregate(_Body):
    aggregate: AggregateIn


class AggregateChanges(_Body):
    name: Name | None = None
    availability_zone: Name | None = None


class UpdateAggregate(_Body):
    aggregate: AggregateChanges


class AggregateMetadata(_Body):
    metadata: dict[
        Annotated[str, Field(min_length=1, max_length=255)], Annotated[str, Field(max_length=255)] | None
    ]


class HostRef(_Body):
    host: Name


class AggregateAction(_Body):
    set_metadata: AggregateMetadata | None = None
    add_host: HostRef | None = None
    remove_host: HostRef | None = None
