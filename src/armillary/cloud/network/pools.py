"""Subnet pools, from which subnets take their ranges, and address scopes, in which no range is twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ProjectId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import project_of
from armillary.cloud.network import store as own_store
from armillary.cloud.network.desk import bad, need_admin, not_found
from armillary.cloud.network.model import AddressScope, SubnetPool
from armillary.cloud.network.sharing import forget, granted, share_with_all
from armillary.cloud.network.shelf import Shelf

Prefix = IPv4Network | IPv6Network
_MINIMUM = {4: 8, 6: 64}
_MAXIMUM = {4: 32, 6: 128}


class AddressScopes(Shelf[AddressScope]):
    """One's project's scopes and those shared with it."""

    records = own_store.ADDRESS_SCOPES
    singular = "address_scope"
    follows = False

    def missing(self, identifier: str) -> NotFound:
        return not_found("Address scope", identifier)

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        own, columns = project_of(who).id, own_store.address_scopes.c
        return or_(columns.project_id == own, granted("address_scope", columns.id, own))

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> AddressScope:
        if fields.get("shared"):
            need_admin(who, "create_address_scope", "shared")
        stamps = self._desk.stamps(owner, name=fields.pop("name", ""))
        scope = AddressScope(id=new_uuid(), **stamps, **fields)
        share_with_all(self._desk, connection, "address_scope", scope)
        return own_store.ADDRESS_SCOPES.add(connection, scope)

    def _change(
        self, connection: Connection, who: Principal, item: AddressScope, changes: dict[str, Any]
    ) -> AddressScope:
        if "shared" in changes:
            need_admin(who, "update_address_scope", "shared")
            if item.shared and not changes["shared"]:
                raise bad(
                    f"Unable to update address scope {item.id} : Shared address scope can't be unshared.",
                    code="address_scope_update_error",
                )
        changed = self._desk.touch(item, **changes)
        share_with_all(self._desk, connection, "address_scope", changed, item)
        return changed

    def _remove(self, connection: Connection, who: Principal, item: AddressScope) -> None:
        if own_store.SUBNET_POOLS.find(connection, own_store.subnet_pools.c.address_scope_id == item.id):
            raise Conflict(
                f"Unable to complete operation on address scope {item.id}. There are one or more subnet pools in "
                "use on the address scope.",
                code="address_scope_in_use",
            )
        forget(connection, item.id)


class SubnetPools(Shelf[SubnetPool]):
    """One's project's pools and those shared with it."""

    records = own_store.SUBNET_POOLS
    singular = "subnetpool"
    quota = "subnetpool"
    follows = False

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Subnet pool {identifier} could not be found.", code="subnet_pool_not_found")

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        own, columns = project_of(who).id, own_store.subnet_pools.c
        return or_(columns.project_id == own, granted("subnetpool", columns.id, own))

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> SubnetPool:
        for name in ("shared", "is_default"):
            if fields.get(name):
                need_admin(who, "create_subnetpool", name)
        prefixes = _merged(fields.pop("prefixes"))
        version = prefixes[0].version
        smallest = fields.pop("min_prefixlen", None)
        low = _MINIMUM[version] if smallest is None else smallest
        high = fields.pop("max_prefixlen", None)
        default = fields.pop("default_prefixlen", None)
        stamps = self._desk.stamps(owner, name=fields.pop("name"), description=fields.pop("description", ""))
        pool = SubnetPool(
            id=new_uuid(), ip_version=version, prefixes=_texts(prefixes), min_prefixlen=low,
            max_prefixlen=_MAXIMUM[version] if high is None else high,
            default_prefixlen=low if default is None else default, **stamps, **fields,
        )  # fmt: skip
        self._check(connection, who, pool)
        share_with_all(self._desk, connection, "subnetpool", pool)
        return own_store.SUBNET_POOLS.add(connection, pool)

    def _change(
        self, connection: Connection, who: Principal, item: SubnetPool, changes: dict[str, Any]
    ) -> SubnetPool:
        for name in ("shared", "is_default"):
            if name in changes:
                need_admin(who, "update_subnetpool", name)
        if "prefixes" in changes:
            wanted = _merged(changes["prefixes"])
            if not all(_covered(ip_network(prefix), wanted) for prefix in item.prefixes):
                raise bad(
                    "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.",
                    code="illegal_subnet_pool_prefix_update",
                )
            changes["prefixes"] = _texts(wanted)
        changed = self._desk.touch(item, **changes)
        self._check(connection, who, changed)
        share_with_all(self._desk, connection, "subnetpool", changed, item)
        return changed

    def _remove(self, connection: Connection, who: Principal, item: SubnetPool) -> None:
        if store.SUBNETS.find(connection, store.subnets.c.subnetpool_id == item.id):
            raise bad(
                "Unable to delete subnet pool: Subnet pool has existing allocations.",
                code="subnet_pool_delete_error",
            )
        forget(connection, item.id)

    def add_prefixes(self, who: Principal, pool_id: str, prefixes: Sequence[str]) -> SubnetPool:
        """Let a pool grow."""
        known = self.get(who, pool_id).prefixes
        return self.update(who, pool_id, {"prefixes": [*known, *prefixes]})

    def remove_prefixes(self, who: Principal, pool_id: str, prefixes: Sequence[str]) -> SubnetPool:
        """Let a pool shrink.

        Raises:
            Conflict: a subnet has addresses of it.
        """
        with self._desk.writing() as connection:
            pool = self.own(connection, who, pool_id, "update")
            left: list[Prefix] = [ip_network(prefix) for prefix in pool.prefixes]
            for prefix in _merged(prefixes):
                if any(_overlaps(prefix, other) for other in _allocated(connection, pool.id)):
                    raise Conflict(
                        f"Subnet pool prefix {prefix} is in use by a subnet.", code="prefix_in_use"
                    )
                left = [part for whole in left for part in _without(whole, prefix)]
            changed = self._desk.touch(pool, prefixes=_texts(left))
            own_store.SUBNET_POOLS.save(connection, changed)
        return changed

    def _check(self, connection: Connection, who: Principal, pool: SubnetPool) -> None:
        low, default, high = pool.min_prefixlen, pool.default_prefixlen, pool.max_prefixlen
        for first, one, second, two in (
            ("min_prefixlen", low, "max_prefixlen", high),
            ("default_prefixlen", default, "max_prefixlen", high),
        ):
            if one > two:
                raise _bounds(first, one, second, two)
        if default < low:
            raise _bounds("default_prefixlen", default, "min_prefixlen", low)
        if high > _MAXIMUM[pool.ip_version]:
            raise _bounds("max_prefixlen", high, "ip_version", pool.ip_version)
        pools = own_store.subnet_pools.c
        if pool.is_default and own_store.SUBNET_POOLS.find(
            connection, pools.is_default, pools.ip_version == pool.ip_version, pools.id != pool.id
        ):
            raise bad(f"A default subnetpool for IPv{pool.ip_version} has already been set.")
        if pool.address_scope_id is not None:
            self._check_scope(connection, who, pool)

    def _check_scope(self, connection: Connection, who: Principal, pool: SubnetPool) -> None:
        scope = own_store.ADDRESS_SCOPES.get(connection, pool.address_scope_id or "")
        usable = own_store.ADDRESS_SCOPES.find(
            connection,
            own_store.address_scopes.c.id == pool.address_scope_id,
            or_(
                own_store.address_scopes.c.project_id == pool.project_id,
                granted("address_scope", own_store.address_scopes.c.id, pool.project_id),
            ),
        )
        if scope is None or not (usable or who.is_cloud_admin):
            raise not_found("Address scope", str(pool.address_scope_id))
        if scope.ip_version != pool.ip_version:
            raise bad(
                f"Illegal subnetpool association: subnetpool {pool.id} cannot associate with address scope {scope.id} "
                f"because subnetpool ip_version is not {scope.ip_version}.",
                code="illegal_subnet_pool_ip_version_association_to_address_scope",
            )
        pools = own_store.subnet_pools.c
        for other in own_store.SUBNET_POOLS.find(
            connection, pools.address_scope_id == scope.id, pools.id != pool.id
        ):
            if any(_overlaps(ip_network(a), ip_network(b)) for a in other.prefixes for b in pool.prefixes):
                raise Conflict(
                    "Failed to associate address scope: subnetpools within an address scope must have unique "
                    "prefixes.",
                    code="address_scope_prefix_conflict",
                )


def _bounds(first: str, one: int, second: str, two: int) -> Invalid:
    return bad(
        f"Illegal prefix bounds: {first}={one}, {second}={two}.", code="illegal_subnet_pool_prefix_bounds"
    )


def _merged(prefixes: Sequence[str]) -> list[Prefix]:
    if not prefixes:
        raise bad("Empty subnet pool prefix list.", code="empty_subnet_pool_prefix_list")
    read: list[Prefix] = [ip_network(prefix, strict=False) for prefix in prefixes]
    if len({prefix.version for prefix in read}) > 1:
        raise bad("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", code="prefix_version_mismatch")
    anything: Any = read  # of one version, as was just seen
    return list(collapse_addresses(anything))


def _texts(prefixes: Iterable[Prefix]) -> tuple[str, ...]:
    return tuple(str(prefix) for prefix in prefixes)


def _overlaps(one: Prefix, other: Prefix) -> bool:
    return one.version == other.version and one.overlaps(other)


def _covered(prefix: Prefix, wanted: Sequence[Prefix]) -> bool:
    return any(_within(prefix, whole) for whole in wanted)


def _within(part: Prefix, whole: Prefix) -> bool:
    return (
        part.version == whole.version
        and int(whole.network_address) <= int(part.network_address)
        and int(part.broadcast_address) <= int(whole.broadcast_address)
    )


def _without(whole: Prefix, part: Prefix) -> list[Prefix]:
    if _within(whole, part):
        return []
    if not _within(part, whole):
        return [whole]
    anything: Any = whole  # of one version with the part, as was just seen
    return list(anything.address_exclude(part))


def _allocated(connection: Connection, pool_id: str) -> list[Prefix]:
    return [
        ip_network(subnet.cidr)
        for subnet in store.SUBNETS.find(connection, store.subnets.c.subnetpool_id == pool_id)
    ]


def take_prefix(
    connection: Connection,
    who: Principal,
    owner: ProjectId,
    *,
    pool_id: str | None,
    version: int,
    cidr: str | None,
    prefixlen: int | None,
    gateway: str | None,
) -> tuple[str, str]:
    """Choose a range of a pool for a subnet: this one, or the first free one of a size.

    Returns:
        The range, and the pool's id.

    Raises:
        Invalid: in Neutron's words.
        NotFound: there is no such pool.
        Conflict: the project has had its share.
    """
    pools = own_store.subnet_pools.c
    if pool_id is None:
        found = own_store.SUBNET_POOLS.find(connection, pools.is_default, pools.ip_version == version)
        if not found:
            raise bad(
                f"Bad subnets request: No default subnetpool found for IPv{version}.", code="bad_request"
            )
    else:
        allowed = or_(pools.project_id == owner, granted("subnetpool", pools.id, owner))
        extra = () if who.is_cloud_admin else (allowed,)
        found = own_store.SUBNET_POOLS.find(connection, pools.id == pool_id, *extra)
        if not found:
            raise NotFound(f"Subnet pool {pool_id} could not be found.", code="subnet_pool_not_found")
    pool = found[0]
    if pool.ip_version != version:
        raise bad(
            f"Bad subnets request: Cannot allocate IPv{version} subnet from IPv{pool.ip_version} subnet pool.",
            code="bad_request",
        )
    if cidr is not None and prefixlen is not None:
        raise bad(
            "Bad subnets request: cidr and prefixlen must not be supplied together.", code="bad_request"
        )
    length = ip_network(cidr, strict=False).prefixlen if cidr else prefixlen or pool.default_prefixlen
    _check_length(pool, length)
    _check_share(connection, pool, owner, length)
    used, parts = _allocated(connection, pool.id), [ip_network(prefix) for prefix in pool.prefixes]
    if cidr is not None:
        chosen = ip_network(cidr, strict=False)
        if not _covered(chosen, parts) or any(_overlaps(chosen, other) for other in used):
            raise _no_prefix("Cannot allocate requested subnet from the available set of prefixes.")
        return str(chosen), pool.id
    free = _first_free(parts, used, length, gateway)
    if free is None:
        raise _no_prefix(f"Insufficient prefix space to allocate subnet size /{length}")
    return free, pool.id


def _no_prefix(reason: str) -> Invalid:
    # Neutron answers 500 here, which is its bug: nothing is wrong with the server
    return bad(f"Failed to allocate subnet: {reason}", code="subnet_allocation_error")


def _check_length(pool: SubnetPool, length: int) -> None:
    if length < pool.min_prefixlen:
        raise bad(
            f"Unable to allocate subnet with prefix length {length}, minimum allowed prefix is "
            f"{pool.min_prefixlen}.",
            code="min_prefix_subnet_allocation_error",
        )
    if length > pool.max_prefixlen:
        raise bad(
            f"Unable to allocate subnet with prefix length {length}, maximum allowed prefix is "
            f"{pool.max_prefixlen}.",
            code="max_prefix_subnet_allocation_error",
        )


def _check_share(connection: Connection, pool: SubnetPool, owner: str, length: int) -> None:
    if pool.default_quota is None:
        return
    unit = 32 if pool.ip_version == 4 else 64
    columns = store.subnets.c
    mine = store.SUBNETS.find(connection, columns.subnetpool_id == pool.id, columns.project_id == owner)
    used = sum(2 ** max(0, unit - ip_network(subnet.cidr).prefixlen) for subnet in mine)
    if used + 2 ** max(0, unit - length) > pool.default_quota:
        raise Conflict("Per-tenant subnet pool prefix quota exceeded.", code="subnet_pool_quota_exceeded")


def _first_free(
    parts: Sequence[Prefix], used: Sequence[Prefix], length: int, gateway: str | None
) -> str | None:
    """The first range of a size that nobody has; with a gateway, the one that holds it."""
    for part in parts:
        if length < part.prefixlen:
            continue
        step = 2 ** (part.max_prefixlen - length)
        start, end = int(part.network_address), int(part.broadcast_address)
        if gateway is not None and ip_address(gateway) in part:
            start = int(ip_address(gateway)) // step * step
        while start + step - 1 <= end:
            candidate = (IPv4Network if part.version == 4 else IPv6Network)((start, length))
            taken = [other for other in used if _overlaps(candidate, other)]
            if not taken:
                return str(candidate)
            # behind the furthest that is in the way: no range is looked at twice
            beyond = max(int(other.broadcast_address) for other in taken) + 1
            start = max(start + step, -(-beyond // step) * step)
    return None


def check_affinity(connection: Connection, network_id: str, version: int, pool_id: str | None) -> None:
    """Refuse a subnet of another pool than the network's others have.

    Raises:
        Invalid: in Neutron's words.
    """
    columns = store.subnets.c
    for other in store.SUBNETS.find(
        connection, columns.network_id == network_id, columns.ip_version == version
    ):
        if other.subnetpool_id != pool_id:
            raise bad(
                "Subnets hosted on the same network must be allocated from the same subnet pool.",
                code="network_subnet_pool_affinity_error",
            )
