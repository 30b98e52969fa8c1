"""What clients send to make servers, and to act on them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from armillary.cloud.api.compute.wire import AccessIPv4, AccessIPv6, GroupName, HostName, Name, Ref, Whole

_TRUE, _FALSE = {"1", "t", "true", "on", "y", "yes"}, {"0", "f", "false", "off", "n", "no"}


def _yes_or_no(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    return value


def _an_address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError as error:
        raise ValueError(f"'{value}' is not a 'ip'") from error


YesNo = Annotated[bool, BeforeValidator(_yes_or_no)]
"""Nova takes its booleans as text too."""
Address = Annotated[str, AfterValidator(_an_address)]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")]
Tag = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^,/]*$")]
Items = dict[
    Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]+$")],
    Annotated[str, Field(max_length=255)],
]
Password = Annotated[str, Field(max_length=255)]
DiskConfig = Literal["AUTO", "MANUAL"]
Certificates = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=255)]], Field(min_length=1, max_length=50)
]
Description = Annotated[str, Field(max_length=255)]


class Body(BaseModel):
    """Nothing but what is named here."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class File(Body):
    """An injected file."""

    path: Annotated[str, Field(min_length=1)]
    contents: str


class Card(Body):
    """A wish for a network card."""

    uuid: str | None = None
    port: Uuid | None = None
    fixed_ip: Address | None = None
    tag: Tag | None = None


class Device(Body):
    """A block device, in the form of today or the older one."""

    source_type: Literal["volume", "image", "snapshot", "blank"] | None = None
    destination_type: Literal["local", "volume"] | None = None
    uuid: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._-]*$")] | None = None
    image_id: str | None = None
    volume_id: Uuid | None = None
    snapshot_id: str | None = None
    boot_index: Whole | None = None
    volume_size: Annotated[Whole, Field(ge=1)] | Literal[""] | None = None
    delete_on_termination: YesNo = False
    device_name: (
        Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._\-/]*$")] | None
    ) = None
    guest_format: Annotated[str, Field(max_length=255)] | None = None
    device_type: Annotated[str, Field(max_length=255)] | None = None
    disk_bus: Annotated[str, Field(max_length=255)] | None = None
    volume_type: Annotated[str, Field(max_length=255)] | None = None
    tag: Tag | None = None
    virtual_name: Annotated[str, Field(max_length=255)] | None = None
    no_device: Any = None
    connection_info: str | None = None


class ServerIn(Body):
    """A wish for servers."""

    name: Name
    flavor_ref: Ref = Field(alias="flavorRef")
    image_ref: str | None = Field(default=None, alias="imageRef")
    key_name: Name | None = None
    networks: Literal["auto", "none"] | list[Card] | None = None
    security_groups: list[GroupName] | None = None
    user_data: str | None = None
    metadata: Items = {}
    tags: Annotated[list[Tag], Field(max_length=50)] = []
    description: Description | None = None
    hostname: HostName | None = None
    config_drive: YesNo | None = None
    min_count: Annotated[Whole, Field(ge=1)] = 1
    max_count: Annotated[Whole, Field(ge=1)] | None = None
    return_reservation_id: YesNo = False
    block_device_mapping: list[Device] = []
    block_device_mapping_v2: list[Device] = []
    availability_zone: Name | None = None
    admin_pass: Password | None = Field(default=None, alias="adminPass")
    access_ipv4: AccessIPv4 = Field(default="", alias="accessIPv4")
    access_ipv6: AccessIPv6 = Field(default="", alias="accessIPv6")
    disk_config: DiskConfig = Field(default="MANUAL", alias="OS-DCF:diskConfig")
    personality: list[File] = []
    trusted_image_certificates: Certificates | None = None
    host: Name | None = None
    hypervisor_hostname: Name | None = None


class Hints(BaseModel):
    """What a client says of the place; all but the group names hosts, and there is one."""

    group: Uuid | None = None
    different_host: Uuid | list[Uuid] | None = None
    same_host: Uuid | list[Uuid] | None = None


class CreateServer(Body):
    """The body of POST /servers."""

    server: ServerIn
    hints: Hints | None = Field(default=None, alias="os:scheduler_hints")
    older_hints: Hints | None = Field(default=None, alias="OS-SCH-HNT:scheduler_hints")


# what is done to a server that is there


class Snapshot(Body):
    name: Name
    metadata: Items = {}


class Backup(Body):
    name: Name
    backup_type: Annotated[str, Field()]
    rotation: Annotated[Whole, Field(ge=0)]
    metadata: Items = {}


class Reboot(Body):
    type: Literal["SOFT", "HARD", "soft", "hard", "Soft", "Hard"]


class ConsoleOutput(BaseModel):
    length: Annotated[Whole, Field(ge=-1)] | None = None


class Lock(Body):
    locked_reason: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Rescue(Body):
    admin_pass: Password | None = Field(default=None, alias="adminPass")
    rescue_image_ref: Annotated[str, Field(min_length=1)] | None = None


class Rebuild(Body):
    image_ref: Annotated[str, Field(min_length=1)] = Field(alias="imageRef")
    name: Name = ""
    admin_pass: Password | None = Field(default=None, alias="adminPass")
    metadata: Items = {}
    preserve_ephemeral: YesNo = False
    personality: list[File] = []
    disk_config: DiskConfig = Field(default="MANUAL", alias="OS-DCF:diskConfig")
    access_ipv4: AccessIPv4 = Field(default="", alias="accessIPv4")
    access_ipv6: AccessIPv6 = Field(default="", alias="accessIPv6")
    description: Description | None = None
    key_name: Name | None = None
    user_data: str | None = None
    trusted_image_certificates: Certificates | None = None
    hostname: HostName = ""


class Resize(Body):
    flavor_ref: Ref = Field(alias="flavorRef")
    disk_config: DiskConfig | None = Field(default=None, alias="OS-DCF:diskConfig")


class Unshelve(Body):
    availability_zone: Name | None = None
    host: Name | None = None


class ResetState(Body):
    state: Literal["active", "error"]


class NewPassword(Body):
    admin_pass: Password = Field(alias="adminPass")


class FixedIp(Body):
    network_id: Ref = Field(alias="networkId")


class OldFixedIp(Body):
    address: Address


class FloatingIp(Body):
    address: Address
    fixed_address: Address | None = None


class OldFloatingIp(Body):
    address: Address


class ConsoleKind(Body):
    type: str


class RemoteConsole(Body):
    protocol: Literal["vnc", "spice", "rdp", "serial", "mks"]
    type: Literal["novnc", "xvpvnc", "spice-html5", "rdp-html5", "serial", "webmks"]


class CreateRemoteConsole(Body):
    remote_console: RemoteConsole


# what is attached to it


class VolumeAttachment(Body):
    volume_id: Uuid = Field(alias="volumeId")
    device: Annotated[str, Field(pattern=r"(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$")] | None = None
    tag: Tag | None = None
    delete_on_termination: YesNo = False


class AttachVolume(Body):
    volume_attachment: VolumeAttachment = Field(alias="volumeAttachment")


class VolumeAttachmentChanges(Body):
    volume_id: Uuid = Field(alias="volumeId")
    id: Uuid | None = None
    server_id: Uuid | None = Field(default=None, alias="serverId")
    device: str | None = None
    tag: Tag | None = None
    delete_on_termination: YesNo = False


class UpdateVolumeAttachment(Body):
    volume_attachment: VolumeAttachmentChanges = Field(alias="volumeAttachment")


class InterfaceAddress(Body):
    ip_address: Address


class InterfaceAttachment(Body):
    net_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ips: Annotated[list[InterfaceAddress], Field(min_length=1, max_length=1)] | None = None
    tag: Tag | None = None


class AttachInterface(Body):
    interface_attachment: InterfaceAttachment = Field(
        default_factory=InterfaceAttachment, alias="interfaceAttachment"
    )
