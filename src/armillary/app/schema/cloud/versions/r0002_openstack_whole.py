"""What the wider OpenStack APIs keep of servers, networks and ports."""

from alembic import op
from sqlalchemy import JSON, Boolean, Column, String, Text, inspect

from armillary.app.schema.changing import add_columns, add_index

revision = "0002"
down_revision = "0001"


def _json(name: str, empty: str) -> Column[object]:
    return Column(name, JSON, nullable=False, server_default=empty)


def _text(name: str, length: int, value: str = "") -> Column[str]:
    return Column(name, String(length), nullable=False, server_default=value)


def upgrade() -> None:
    """Add columns with the values that servers and networks made before had in effect."""
    add_columns(
        "cloud_servers",
        [
            Column("access_ipv4", String(64)),
            Column("access_ipv6", String(64)),
            _text("disk_config", 10, "MANUAL"),
            Column("availability_zone", String(255)),
            Column("group_id", String(64)),
            _json("trusted_certs", "[]"),
            Column("admin_pass", Text),
            _json("files", "[]"),
            Column("resting", String(40)),
            Column("old_flavor", JSON),
            _text("rescue_sha512", 128),
            _text("rescue_format", 20),
            Column("shelved_image_id", String(64)),
            Column("locked_by_admin", Boolean, nullable=False, server_default="0"),
        ],
    )
    add_index("cloud_servers_by_age", "cloud_servers", ["created_at", "id"])
    add_index("cloud_servers_of_project", "cloud_servers", ["project_id", "created_at", "id"])
    add_index("ix_cloud_servers_group_id", "cloud_servers", ["group_id"])
    add_columns(
        "cloud_networks",
        [
            Column("is_default", Boolean, nullable=False, server_default="0"),
            _json("availability_zone_hints", "[]"),
        ],
    )
    add_columns("cloud_routers", [_json("availability_zone_hints", "[]")])
    add_columns("cloud_subnets", [Column("subnetpool_id", String(64)), _json("service_types", "[]")])
    add_index("ix_cloud_subnets_subnetpool_id", "cloud_subnets", ["subnetpool_id"])
    add_columns(
        "cloud_ports",
        [
            _json("extra_dhcp_opts", "[]"),
            _text("vnic_type", 20, "normal"),
            _text("host_id", 255),
            _json("profile", "{}"),
        ],
    )
    _one_mac_to_a_network()


def _one_mac_to_a_network() -> None:
    """As in Neutron, a hardware address is unique in its network; it was unique in the cloud."""
    found = inspect(op.get_bind())
    if not found.has_table("cloud_ports"):
        return
    names = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
    with op.batch_alter_table("cloud_ports", naming_convention=names) as ports:
        ports.drop_constraint("uq_cloud_ports_mac_address", type_="unique")
        ports.create_unique_constraint("cloud_ports_mac_in_network", ["network_id", "mac_address"])
