"""The cloud's tables.

Every write happens in a transaction that holds the database's write lock (see `armillary.app.database`), so a check
and the write that follows it are one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
)

from armillary.cloud.compute.model import Fault, Flavor, InstanceAction, Keypair, Server, TaskState, VmState
from armillary.cloud.network.model import (
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from armillary.cloud.records import Kept, Listed, Named, Records
from armillary.columns import Moment

metadata = MetaData()

_ID = String(64)


def resource_columns() -> list[Column[Any]]:
    """What every resource of the network service has."""
    return [
        Column("project_id", _ID, nullable=False, index=True),
        Column("name", String(255), nullable=False),
        Column("description", Text, nullable=False),
        Column("tags", Listed(), nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("updated_at", Moment, nullable=False),
        Column("revision_number", Integer, nullable=False),
    ]


flavors = Table(
    "cloud_flavors",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),
    Column("disk", Integer, nullable=False),
    Column("ephemeral", Integer, nullable=False),
    Column("swap", Integer, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("rxtx_factor", Float, nullable=False),
    Column("description", Text),
    Column("extra_specs", JSON, nullable=False),
)
flavor_access = Table(
    "cloud_flavor_access",
    metadata,
    Column("flavor_id", String(255), primary_key=True),
    Column("project_id", _ID, primary_key=True),
)
keypairs = Table(
    "cloud_keypairs",
    metadata,
    Column("person_id", _ID, primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("fingerprint", String(100), nullable=False),
    Column("created_at", Moment, nullable=False),
)
servers = Table(
    "cloud_servers",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("hostname", String(255), nullable=False),
    Column("project_id", _ID, nullable=False, index=True),
    Column("user_id", _ID, nullable=False),
    Column("image_id", _ID, nullable=False),
    Column("image_sha512", String(128), nullable=False, index=True),
    Column("image_format", String(20), nullable=False),
    Column("flavor", Kept(Flavor), nullable=False),
    Column("key_name", String(255)),
    Column("key_type", String(20), nullable=False),
    Column("public_key", Text),
    Column("user_data", Text),
    Column("config_drive", Boolean, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("tags", Listed(), nullable=False),
    Column("seed", Text, nullable=False),
    Column("reservation_id", String(20), nullable=False),
    Column("launch_index", Integer, nullable=False),
    Column("vm_state", Named(VmState), nullable=False),
    Column("task_state", Named(TaskState)),
    Column("fault", Kept(Fault)),
    Column("locked", Boolean, nullable=False),
    Column("locked_reason", Text),
    Column("charged", Boolean, nullable=False),
    Column("placed", Boolean, nullable=False),
    Column("snapshot_image_id", _ID),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("launched_at", Moment),
    Column("deleted_at", Moment, index=True),
    Column("access_ipv4", String(64)),
    Column("access_ipv6", String(64)),
    Column("disk_config", String(10), nullable=False),
    Column("availability_zone", String(255)),
    Column("group_id", _ID, index=True),
    Column("trusted_certs", Listed(), nullable=False),
    Column("admin_pass", Text),
    Column("files", Listed(), nullable=False),
    Column("resting", Named(VmState)),
    Column("old_flavor", Kept(Flavor)),
    Column("rescue_sha512", String(128), nullable=False),
    Column("rescue_format", String(20), nullable=False),
    Column("shelved_image_id", _ID),
    Column("locked_by_admin", Boolean, nullable=False),
    # the order of lists, in which pages are found without sorting
    Index("cloud_servers_of_project", "project_id", "created_at", "id"),
    Index("cloud_servers_by_age", "created_at", "id"),
)
actions = Table(
    "cloud_instance_actions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("server_id", _ID, primary_key=True),
    Column("action", String(60), primary_key=True),
    Column("project_id", _ID, nullable=False),
    Column("user_id", _ID, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("message", Text),
)
quotas = Table(
    "cloud_quotas",
    metadata,
    Column("project_id", _ID, primary_key=True),
    Column("service", String(20), primary_key=True),
    Column("resource", String(60), primary_key=True),
    Column("amount", Integer, nullable=False),
)
networks = Table(
    "cloud_networks",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("external", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("availability_zone_hints", Listed(), nullable=False),
)
subnets = Table(
    "cloud_subnets",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("network_id", _ID, nullable=False, index=True),
    Column("ip_version", Integer, nullable=False),
    Column("cidr", String(64), nullable=False),
    Column("gateway_ip", String(64)),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("allocation_pools", Listed(), nullable=False),
    Column("dns_nameservers", Listed(), nullable=False),
    Column("host_routes", Listed(), nullable=False),
    Column("ipv6_ra_mode", String(20)),
    Column("ipv6_address_mode", String(20)),
    Column("subnetpool_id", _ID, index=True),
    Column("service_types", Listed(), nullable=False),
)
ports = Table(
    "cloud_ports",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("network_id", _ID, nullable=False, index=True),
    Column("mac_address", String(20), nullable=False),
    Column("fixed_ips", Listed(FixedIp), nullable=False),
    Column("device_id", String(255), nullable=False, index=True),
    Column("device_owner", String(255), nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(20), nullable=False),
    Column("security_groups", Listed(), nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("allowed_address_pairs", Listed(), nullable=False),
    Column("extra_dhcp_opts", Listed(), nullable=False),
    Column("vnic_type", String(20), nullable=False),
    Column("host_id", String(255), nullable=False),
    Column("profile", JSON, nullable=False),
    Column("ours", Boolean, nullable=False),
    UniqueConstraint("network_id", "mac_address"),
)
addresses = Table(
    "cloud_addresses",
    metadata,
    # the primary key is the promise that no address is given out twice
    Column("subnet_id", _ID, primary_key=True),
    Column("ip_address", String(64), primary_key=True),
    Column("holder_id", _ID, nullable=False, index=True),
)
security_groups = Table(
    "cloud_security_groups",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("stateful", Boolean, nullable=False),
)
security_group_rules = Table(
    "cloud_security_group_rules",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("security_group_id", _ID, nullable=False, index=True),
    Column("direction", String(10), nullable=False),
    Column("ethertype", String(10), nullable=False),
    Column("protocol", String(20)),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("remote_ip_prefix", String(64)),
    Column("remote_group_id", _ID),
)
routers = Table(
    "cloud_routers",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("external_network_id", _ID),
    Column("enable_snat", Boolean, nullable=False),
    Column("routes", Listed(), nullable=False),
    Column("availability_zone_hints", Listed(), nullable=False),
)
floating_ips = Table(
    "cloud_floating_ips",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("network_id", _ID, nullable=False),
    Column("address", String(64), nullable=False, unique=True),
    Column("port_id", _ID, index=True),
    Column("fixed_ip_address", String(64)),
    Column("router_id", _ID),
)
furnished = Table(
    "cloud_furnished_projects",
    metadata,
    # projects that were given their first network; one that its members delete does not come back
    Column("project_id", _ID, primary_key=True),
)


def create_all(engine: Engine) -> None:
    """Make the tables that are not there."""
    metadata.create_all(engine)


FLAVORS = Records(table=flavors, kind=Flavor)
KEYPAIRS = Records(table=keypairs, kind=Keypair)
SERVERS = Records(table=servers, kind=Server)
ACTIONS = Records(table=actions, kind=InstanceAction)
NETWORKS = Records(table=networks, kind=Network)
SUBNETS = Records(table=subnets, kind=Subnet)
PORTS = Records(table=ports, kind=Port)
SECURITY_GROUPS = Records(table=security_groups, kind=SecurityGroup)
SECURITY_GROUP_RULES = Records(table=security_group_rules, kind=SecurityGroupRule)
ROUTERS = Records(table=routers, kind=Router)
FLOATING_IPS = Records(table=floating_ips, kind=FloatingIp)


def quota_overrides(connection: Connection, project_id: str, service: str) -> Mapping[str, int]:
    """What an administrator set for a project, by resource."""
    query = select(quotas.c.resource, quotas.c.amount).where(
        quotas.c.project_id == project_id, quotas.c.service == service
    )
    return {row.resource: row.amount for row in connection.execute(query)}


def set_quota_overrides(
    connection: Connection, project_id: str, service: str, amounts: Mapping[str, int]
) -> None:
    """Write quota overrides over what was there."""
    mine = (quotas.c.project_id == project_id, quotas.c.service == service)
    for resource, amount in amounts.items():
        connection.execute(delete(quotas).where(*mine, quotas.c.resource == resource))
        connection.execute(
            insert(quotas).values(project_id=project_id, service=service, resource=resource, amount=amount)
        )


def clear_quota_overrides(connection: Connection, project_id: str, service: str) -> None:
    """Return a project to the defaults."""
    connection.execute(delete(quotas).where(quotas.c.project_id == project_id, quotas.c.service == service))
