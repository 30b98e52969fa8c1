"""What the rooms of the network service share: transactions, stamps, quotas, refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, func, select

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.base.ids import ProjectId
from armillary.cloud import store
from armillary.cloud.network import store as own_store
from armillary.cloud.network.model import Network, Resource

R = TypeVar("R", bound=Resource)

QUOTAS: Mapping[str, int] = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "rbac_policy": 10,
    "security_group": 100,
    "security_group_rule": 500,
}
_COUNTED: Mapping[str, Table] = {
    "network": store.networks,
    "subnet": store.subnets,
    "subnetpool": own_store.subnet_pools,
    "rbac_policy": own_store.rbac_policies,
    "port": store.ports,
    "router": store.routers,
    "floatingip": store.floating_ips,
    "security_group": store.security_groups,
    "security_group_rule": store.security_group_rules,
}


def not_found(kind: str, identifier: str) -> NotFound:
    """Neutron's refusal for a thing that is not there or not the caller's; `kind` as in `Security group`."""
    code = f"{kind.lower().replace(' ', '_')}_not_found"
    return NotFound(f"{kind} {identifier} could not be found.", code=code)


def bad(message: str, *, code: str = "invalid_input", remedy: str = "") -> Invalid:
    """Neutron's refusal of an input; the one without a type of its own says that it is one."""
    if code == "invalid_input":
        message = f"Invalid input for operation: {message}"
    return Invalid(message, code=code, remedy=remedy)


def forbid(rule: str) -> Forbidden:
    """Neutron's refusal of what the policy does not grant, such as `update_network`."""
    return Forbidden(f"rule:{rule} is disallowed by policy", code="policy_not_authorized")


def need_admin(who: Principal, rule: str, attribute: str) -> None:
    """Let administrators set an attribute, such as `shared` of `create_network`.

    Raises:
        Forbidden: for everybody else, in the words of Neutron's policy.
    """
    if not who.is_cloud_admin:
        raise Forbidden(
            f"(rule:{rule} and rule:{rule}:{attribute}) is disallowed by policy", code="policy_not_authorized"
        )


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Records of the network service, one transaction at a time."""

    engine: Engine
    clock: Clock
    changed: Callable[[], None]
    """Called after a commit that the fabric should follow."""
    topology: Callable[[Connection, ProjectId], Network]
    """Gives a project that has no network one with a way out."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads and never waits."""
        return self.engine.execution_options(readonly=True).connect()

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that holds the write lock from its start."""
        return self.engine.begin()

    def stamps(self, project_id: ProjectId, *, name: str = "", description: str = "") -> dict[str, Any]:
        """The common fields of a new resource."""
        now = self.clock.now()
        return {
            "project_id": project_id,
            "name": name,
            "description": description,
            "created_at": now,
            "updated_at": now,
        }

    @staticmethod
    def replaced(item: R, **changes: Any) -> R:
        """A resource that is not written yet, with changes."""
        return replace(item, **changes)

    def touch(self, item: R, **changes: Any) -> R:
        """A resource with changes and its next revision."""
        revision = item.revision_number + 1
        return replace(item, **changes, updated_at=self.clock.now(), revision_number=revision)

    def owner(self, who: Principal, own: ProjectId, wanted: str | None) -> ProjectId:
        """The project that a new resource belongs to; another than one's own takes an administrator.

        Raises:
            Invalid: for everybody else.
        """
        if wanted is None or wanted == own:
            return own
        if not who.is_cloud_admin:
            raise Invalid(
                "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires "
                "admin or advsvc privileges",
                code="http_bad_request",
            )
        return ProjectId(wanted)

    def limits(self, connection: Connection, project_id: str) -> dict[str, int]:
        """A project's quotas by resource; -1 means none."""
        return {**QUOTAS, **store.quota_overrides(connection, project_id, "network")}

    def used(self, connection: Connection, project_id: str) -> dict[str, int]:
        """How much of its quotas a project uses."""
        return {name: self._count(connection, name, project_id) for name in QUOTAS}

    def charge(self, connection: Connection, project_id: str, resource: str, count: int = 1) -> None:
        """Let `count` more of `resource` pass if they fit.

        Raises:
            Conflict: in Neutron's words (it answers 409 where Nova answers 403).
        """
        limit = self.limits(connection, project_id)[resource]
        used = self._count(connection, resource, project_id)
        if 0 <= limit < used + count:
            raise Conflict(
                f"Quota exceeded for resources: ['{resource}'].",
                code="over_quota",
                facts={resource: {"limit": limit, "used": used}},
            )

    def _count(self, connection: Connection, resource: str, project_id: str) -> int:
        table = _COUNTED.get(resource)
        if table is None:
            return 0
        query = select(func.count()).select_from(table).where(table.c.project_id == project_id)
        return connection.execute(query).scalar_one()
