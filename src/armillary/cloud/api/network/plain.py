"""/v2.0/networks, subnets, subnetpools, address-scopes, ports, rbac-policies"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body

from armillary.accounts.model import Principal
from armillary.cloud.api.network import bodies, views
from armillary.cloud.api.network.attributes import JSON, listed, pool_prefix
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.network.kinds import Kind, routes_of
from armillary.cloud.network.desk import bad
from armillary.cloud.network.model import Network as NetworkRecord
from armillary.cloud.network.service import NetworkService

router = APIRouter()


def _networks(network: NetworkService, who: Principal, found: Sequence[NetworkRecord]) -> list[JSON]:
    ids = [item.id for item in found]
    subnets, scopes = network.networks.subnets_of(ids), network.networks.scopes_of(ids)
    shared = network.networks.shared_with(who, ids)
    return [
        views.network(
            item, subnets[item.id], scopes=[scopes.get((item.id, 4)), scopes.get((item.id, 6))],
            shared=item.id in shared, as_admin=who.is_cloud_admin,
        )
        for item in found
    ]  # fmt: skip


KINDS = (
    Kind(
        path="networks", item="network_id", singular="network", plural="networks",
        attributes=bodies.NETWORK, shelf=lambda network: network.networks, shown=_networks,
    ),
    Kind(
        path="subnets", item="subnet_id", singular="subnet", plural="subnets",
        attributes=bodies.SUBNET, shelf=lambda network: network.subnets,
        shown=lambda _network, _who, found: [views.subnet(item) for item in found],
    ),
    Kind(
        path="subnetpools", item="subnetpool_id", singular="subnetpool", plural="subnetpools",
        attributes=bodies.SUBNET_POOL, shelf=lambda network: network.subnet_pools,
        shown=lambda _network, _who, found: [views.subnet_pool(item) for item in found],
    ),
    Kind(
        path="address-scopes", item="address_scope_id", singular="address_scope", plural="address_scopes",
        attributes=bodies.ADDRESS_SCOPE, shelf=lambda network: network.address_scopes, tagged=False,
        shown=lambda _network, _who, found: [views.address_scope(item) for item in found],
    ),
    Kind(
        path="ports", item="port_id", singular="port", plural="ports",
        attributes=bodies.PORT, shelf=lambda network: network.ports,
        shown=lambda _network, who, found: [views.port(item, as_admin=who.is_cloud_admin) for item in found],
    ),
    Kind(
        path="rbac-policies", item="rbac_policy_id", singular="rbac_policy", plural="rbac_policies",
        attributes=bodies.RBAC_POLICY, shelf=lambda network: network.sharing, tagged=False,
        shown=lambda _network, _who, found: [views.rbac_policy(item) for item in found],
    ),
)  # fmt: skip
for _kind in KINDS:
    router.include_router(routes_of(_kind))


def _prefixes(body: Any) -> list[str]:
    sent = cast("JSON", body).get("prefixes") if isinstance(body, dict) else None
    if not sent:
        raise bad("Unable to find 'prefixes' in request body", code="http_bad_request")
    return listed(pool_prefix)("prefixes", sent)


@router.put("/subnetpools/{subnetpool_id}/add_prefixes")
def add_prefixes(subnetpool_id: str, body: Annotated[Any, Body()], who: Member, network: Network) -> JSON:
    pool = network.subnet_pools.add_prefixes(who, subnetpool_id, _prefixes(body))
    return {"prefixes": list(pool.prefixes)}


@router.put("/subnetpools/{subnetpool_id}/remove_prefixes")
def remove_prefixes(subnetpool_id: str, body: Annotated[Any, Body()], who: Member, network: Network) -> JSON:
    pool = network.subnet_pools.remove_prefixes(who, subnetpool_id, _prefixes(body))
    return {"prefixes": list(pool.prefixes)}
