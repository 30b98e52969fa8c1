"""The network service's own tables; those that compute reads too are in `armillary.cloud.store`."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table, UniqueConstraint

from armillary.cloud.network.model import AddressScope, RbacPolicy, SubnetPool
from armillary.cloud.records import Listed, Records
from armillary.cloud.store import metadata, resource_columns

_ID = String(64)

subnet_pools = Table(
    "cloud_subnet_pools",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("ip_version", Integer, nullable=False),
    Column("prefixes", Listed(), nullable=False),
    Column("default_prefixlen", Integer, nullable=False),
    Column("min_prefixlen", Integer, nullable=False),
    Column("max_prefixlen", Integer, nullable=False),
    Column("default_quota", Integer),
    Column("address_scope_id", _ID, index=True),
    Column("is_default", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
)
address_scopes = Table(
    "cloud_address_scopes",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("ip_version", Integer, nullable=False),
    Column("shared", Boolean, nullable=False),
)
rbac_policies = Table(
    "cloud_network_rbac",
    metadata,
    Column("id", _ID, primary_key=True),
    *resource_columns(),
    Column("object_type", String(40), nullable=False),
    Column("object_id", _ID, nullable=False, index=True),
    Column("action", String(40), nullable=False),
    Column("target_project", String(255), nullable=False),
    UniqueConstraint("object_type", "object_id", "action", "target_project"),
)

SUBNET_POOLS = Records(table=subnet_pools, kind=SubnetPool)
ADDRESS_SCOPES = Records(table=address_scopes, kind=AddressScope)
RBAC_POLICIES = Records(table=rbac_policies, kind=RbacPolicy)
