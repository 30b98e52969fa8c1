"""Sharing between projects: role-based access control of networks, subnet pools, address scopes, security groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.base.ids import ProjectId, new_uuid
from armillary.cloud import store
from armillary.cloud.network import store as own_store
from armillary.cloud.network.desk import Desk, bad
from armillary.cloud.network.listing import Facet
from armillary.cloud.network.model import PROVIDER, RbacPolicy, Resource
from armillary.cloud.network.shelf import Shelf
from armillary.cloud.records import Records

SHARED, EXTERNAL = "access_as_shared", "access_as_external"
EVERYBODY = "*"
_KINDS: Mapping[str, tuple[Records[Any], tuple[str, ...]]] = {
    "network": (store.NETWORKS, (SHARED, EXTERNAL)),
    "security_group": (store.SECURITY_GROUPS, (SHARED,)),
    "subnetpool": (own_store.SUBNET_POOLS, (SHARED,)),
    "address_scope": (own_store.ADDRESS_SCOPES, (SHARED,)),
}
_COLUMNS = {SHARED: "shared", EXTERNAL: "external"}


def granted(kind: str, identifier: ColumnElement[Any], project_id: str, *actions: str) -> ColumnElement[bool]:
    """Whether a row is shared with a project, as a condition."""
    policies = own_store.rbac_policies.c
    query = select(policies.object_id).where(
        policies.object_type == kind,
        policies.target_project.in_((project_id, EVERYBODY)),
        policies.action.in_(actions or (SHARED,)),
    )
    return identifier.in_(query)


def shared_ids(
    connection: Connection, kind: str, project_id: str, identifiers: Sequence[str]
) -> frozenset[str]:
    """Which of these are shared with a project."""
    policies = own_store.rbac_policies.c
    query = select(policies.object_id).where(
        granted(kind, policies.object_id, project_id), policies.object_id.in_(identifiers)
    )
    return frozenset(connection.execute(query).scalars())


def share_with_all(desk: Desk, connection: Connection, kind: str, item: Any, before: Any = None) -> None:
    """Keep the policies for everybody in step with the attributes `shared` and `external` of a resource."""
    for action, name in _COLUMNS.items():
        now, then = bool(getattr(item, name, False)), bool(getattr(before, name, False))
        if now and not then:
            policy = RbacPolicy(
                id=new_uuid(), object_type=kind, object_id=item.id, action=action, target_project=EVERYBODY,
                **desk.stamps(item.project_id),
            )  # fmt: skip
            own_store.RBAC_POLICIES.add(connection, policy)
        elif then and not now:
            forget(connection, item.id, action=action, target=EVERYBODY)


def bring_up_to_date(desk: Desk, connection: Connection) -> None:
    """Write the policies that networks of an older version have as attributes alone: without them nobody sees those."""
    networks, policies = store.networks.c, own_store.rbac_policies.c
    known = select(policies.object_id).where(policies.target_project == EVERYBODY)
    for network in store.NETWORKS.find(
        connection, or_(networks.external, networks.shared), networks.id.not_in(known)
    ):
        share_with_all(desk, connection, "network", network)
    if not store.NETWORKS.find(connection, networks.is_default):
        for network in store.NETWORKS.find(connection, networks.external, networks.project_id == PROVIDER):
            store.NETWORKS.save(connection, desk.touch(network, is_default=True))


def forget(connection: Connection, object_id: str, *, action: str = "", target: str = "") -> None:
    """Remove the policies of a resource, or those of one action and target."""
    policies = own_store.rbac_policies.c
    conditions = [policies.object_id == object_id]
    if action:
        conditions += [policies.action == action, policies.target_project == target]
    own_store.RBAC_POLICIES.remove(connection, *conditions)


class Sharing(Shelf[RbacPolicy]):
    """Policies, each of which lets one project, or everybody, use one resource."""

    records = own_store.RBAC_POLICIES
    singular = "rbac_policy"
    quota = "rbac_policy"
    follows = False

    def missing(self, identifier: str) -> NotFound:
        message = f"RBAC policy of type unknown with ID {identifier} not found"
        return NotFound(message, code="rbac_policy_not_found")

    def _facets(self) -> dict[str, Facet]:
        found = super()._facets()
        return found | {"target_tenant": found["target_project"]}

    def _columns(self) -> dict[str, ColumnElement[Any]]:
        found = super()._columns()
        return found | {"target_tenant": found["target_project"]}

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> RbacPolicy:
        kind, action, target = fields["object_type"], fields["action"], fields["target_project"]
        if kind not in _KINDS:
            raise bad(f"'{kind}' is not a valid RBAC object type.")
        records, actions = _KINDS[kind]
        if action not in actions:
            raise bad(
                f"Invalid action '{action}' for object type '{kind}'. Valid actions: {actions}",
                code="invalid_action_for_type",
            )
        item = self._object(connection, who, records, fields["object_id"])
        if target == EVERYBODY:
            _admins_only(who, "create")
        policies = own_store.rbac_policies.c
        if own_store.RBAC_POLICIES.find(
            connection, policies.object_type == kind, policies.object_id == item.id,
            policies.action == action, policies.target_project == target,
        ):  # fmt: skip
            raise Conflict("An RBAC policy already exists with those values.", code="duplicate_rbac_policy")
        policy = RbacPolicy(
            id=new_uuid(), object_type=kind, object_id=item.id, action=action, target_project=target,
            **self._desk.stamps(owner),
        )  # fmt: skip
        self._mark(connection, policy, value=True)
        return own_store.RBAC_POLICIES.add(connection, policy)

    def _object(self, connection: Connection, who: Principal, records: Records[Any], identifier: str) -> Any:
        item: Resource | None = records.get(connection, identifier)
        if item is None or not (who.is_cloud_admin or (who.project and who.project.id == item.project_id)):
            raise bad(f"Resource {identifier} could not be found.")
        return item

    def _mark(self, connection: Connection, policy: RbacPolicy, *, value: bool) -> None:
        """Keep `shared` and `external` of the resource in step with a policy for everybody."""
        records, _ = _KINDS[policy.object_type]
        name, item = _COLUMNS[policy.action], records.get(connection, policy.object_id)
        if item is not None and policy.target_project == EVERYBODY and name in records.table.c:
            records.save(connection, self._desk.touch(item, **{name: value}))

    def _change(
        self, connection: Connection, who: Principal, item: RbacPolicy, changes: dict[str, Any]
    ) -> RbacPolicy:
        if changes.get("target_project") == EVERYBODY:
            _admins_only(who, "update")
        self._check_use(connection, item)
        self._mark(connection, item, value=False)
        changed = self._desk.touch(item, **changes)
        self._mark(connection, changed, value=True)
        return changed

    def _remove(self, connection: Connection, who: Principal, item: RbacPolicy) -> None:
        self._check_use(connection, item)
        self._mark(connection, item, value=False)

    def _check_use(self, connection: Connection, policy: RbacPolicy) -> None:
        """Refuse to take a network from a project that has ports on it by this policy alone."""
        if policy.object_type != "network" or policy.action != SHARED:
            return
        policies, ports = own_store.rbac_policies.c, store.ports.c
        network = store.NETWORKS.get(connection, policy.object_id)
        others = own_store.RBAC_POLICIES.find(
            connection, policies.object_id == policy.object_id, policies.action == SHARED,
            policies.id != policy.id,
        )  # fmt: skip
        still = {other.target_project for other in others} | {network.project_id if network else ""}
        users = {
            port.project_id for port in store.PORTS.find(connection, ports.network_id == policy.object_id)
        }
        if policy.target_project != EVERYBODY:
            users &= {ProjectId(policy.target_project)}
        if EVERYBODY not in still and users - still:
            raise Conflict(
                f"RBAC policy on object {policy.object_id} cannot be removed because other objects depend on it.",
                code="rbac_policy_in_use",
            )


def _admins_only(who: Principal, verb: str) -> None:
    if not who.is_cloud_admin:
        raise Forbidden(
            f"(rule:{verb}_rbac_policy and rule:{verb}_rbac_policy:target_tenant) is disallowed by policy",
            code="policy_not_authorized",
        )
