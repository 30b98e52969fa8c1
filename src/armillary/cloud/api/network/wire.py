"""What clients send to the network API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Text = Annotated[str, Field(max_length=255)]
Name = Annotated[str, BeforeValidator(lambda value: "" if value is None else value), Field(max_length=255)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    def fields(self) -> dict[str, Any]:
        """What was sent, by the name of our model's fields."""
        return self.model_dump(exclude_unset=True, exclude={"tenant_id", "availability_zone_hints"})


class _Owned(_Body):
    project_id: str | None = None
    tenant_id: str | None = None
    name: Name = ""
    description: Name = ""

    def fields(self) -> dict[str, Any]:
        sent = super().fields()
        if self.tenant_id is not None:
            sent.setdefault("project_id", self.tenant_id)
        return sent


class NetworkIn(_Owned):
    admin_state_up: bool = True
    shared: bool = False
    external: bool = Field(default=False, alias="router:external")
    mtu: Annotated[int, Field(ge=576, le=65535)] = 1500
    port_security_enabled: bool = True
    availability_zone_hints: list[str] = []


class CreateNetwork(BaseModel):
    network: NetworkIn


class NetworkChanges(_Body):
    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = Field(default=False, alias="router:external")
    mtu: Annotated[int, Field(ge=576, le=65535)] = 1500
    port_security_enabled: bool = True


class UpdateNetwork(BaseModel):
    network: NetworkChanges


class Pool(_Body):
    start: str
    end: str


class Route(_Body):
    destination: str
    nexthop: str


class SubnetIn(_Owned):
    network_id: str
    cidr: str
    ip_version: Literal[4, 6]
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    allocation_pools: list[Pool] = []
    dns_nameservers: list[str] = []
    host_routes: list[Route] = []
    ipv6_ra_mode: Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"] | None = None
    ipv6_address_mode: Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"] | None = None


class CreateSubnet(BaseModel):
    subnet: SubnetIn


class SubnetChanges(_Body):
    name: Name = ""
    description: Name = ""
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    allocation_pools: list[Pool] = []
    dns_nameservers: list[str] = []
    host_routes: list[Route] = []


class UpdateSubnet(BaseModel):
    subnet: SubnetChanges


class FixedIpWish(_Body):
    subnet_id: str | None = None
    ip_address: str | None = None


class AddressPair(_Body):
    ip_address: str
    mac_address: str | None = None


class _PortFields(_Body):
    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    device_id: Text = ""
    device_owner: Text = ""
    fixed_ips: list[FixedIpWish] = []
    security_groups: list[str] = []
    port_security_enabled: bool = True
    allowed_address_pairs: list[AddressPair] = []
    vnic_type: str = Field(default="normal", alias="binding:vnic_type")
    host_id: str | None = Field(default=None, alias="binding:host_id")
    profile: dict[str, Any] = Field(default={}, alias="binding:profile")

    def fields(self) -> dict[str, Any]:
        sent = {k: v for k, v in super().fields().items() if k not in {"vnic_type", "host_id", "profile"}}
        if "allowed_address_pairs" in sent:
            sent["allowed_address_pairs"] = tuple(sent["allowed_address_pairs"])
        if "fixed_ips" in sent:
            sent["fixed_ips"] = [{k: v for k, v in ip.items() if v} for ip in sent["fixed_ips"]]
        return sent


class PortIn(_PortFields):
    network_id: str
    project_id: str | None = None
    tenant_id: str | None = None
    mac_address: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")] | None = None


class CreatePort(BaseModel):
    port: PortIn


class UpdatePort(BaseModel):
    port: _PortFields


class SecurityGroupIn(_Body):
    name: Text
    description: Name = ""
    stateful: bool = True
    project_id: str | None = None
    tenant_id: str | None = None

    def fields(self) -> dict[str, Any]:
        sent = super().fields()
        return sent | ({"project_id": self.tenant_id} if self.tenant_id and not self.project_id else {})


class CreateSecurityGroup(BaseModel):
    security_group: SecurityGroupIn


class SecurityGroupChanges(_Body):
    name: Text = ""
    description: Name = ""
    stateful: bool = True


class UpdateSecurityGroup(BaseModel):
    security_group: SecurityGroupChanges


def _protocol(value: Any) -> Any:
    if value is None or value in {"", "any"}:
        return None
    return str(value).lower()


class RuleIn(_Body):
    security_group_id: str
    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"] = "IPv4"
    protocol: Annotated[str | None, BeforeValidator(_protocol)] = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    description: Name = ""
    project_id: str | None = None
    tenant_id: str | None = None

    def fields(self) -> dict[str, Any]:
        return {k: v for k, v in super().fields().items() if k != "project_id"}


class CreateRule(BaseModel):
    security_group_rule: RuleIn


class GatewayIn(_Body):
    network_id: str | None = None
    enable_snat: bool = True
    external_fixed_ips: list[FixedIpWish] = []


class _RouterFields(_Body):
    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    gateway: GatewayIn | None = Field(default=None, alias="external_gateway_info")
    routes: list[Route] = []
    distributed: bool | None = None
    ha: bool | None = None
    availability_zone_hints: list[str] = []

    def fields(self) -> dict[str, Any]:
        sent = {k: v for k, v in super().fields().items() if k not in {"distributed", "ha"}}
        if "routes" in sent:
            sent["routes"] = tuple(sent["routes"])
        return sent


class RouterIn(_RouterFields):
    project_id: str | None = None
    tenant_id: str | None = None


class CreateRouter(BaseModel):
    router: RouterIn


class UpdateRouter(BaseModel):
    router: _RouterFields


class RouterInterface(_Body):
    subnet_id: str | None = None
    port_id: str | None = None


class FloatingIpIn(_Body):
    network_id: str = Field(alias="floating_network_id")
    address: str | None = Field(default=None, alias="floating_ip_address")
    subnet_id: str | None = None
    port_id: str | None = None
    fixed_ip_address: str | None = None
    description: Name = ""
    project_id: str | None = None
    tenant_id: str | None = None


class CreateFloatingIp(BaseModel):
    floatingip: FloatingIpIn


class FloatingIpChanges(_Body):
    port_id: str | None = None
    fixed_ip_address: str | None = None
    description: Name = ""


class UpdateFloatingIp(BaseModel):
    floatingip: FloatingIpChanges


class UpdateQuota(BaseModel):
    quota: dict[str, int]
