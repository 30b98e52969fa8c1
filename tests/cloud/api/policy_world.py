"""Two projects with one of each thing, and somebody of each role, for the tests of the policy."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from policy_bodies import BODIES

from armillary.accounts.model import TokenKind
from armillary.cloud.api.policy.rows import Least, Row

ROLES = ["nobody", "unscoped", "reader", "member", "manager", "auditor", "admin"]
"""Those who ask: without a token, with one for nothing, with each role in a project, and two who look after all."""
OWN, FOREIGN = "own", "foreign"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 ada@desk"
GONE_AFTER = {
    r"/v2.1/os-security-group": "2.35",
    r"/v2.1/(os-)?(images|networks|tenant-networks|floating-ips|floating-ip-pools|volumes|snapshots)\b": "2.35",
    r"/v2.1/os-hypervisors/({hypervisor_id}/uptime|statistics)": "2.87",
    r"/v2.1/os-hypervisors/{pattern}": "2.52",
    r"/v2.1/os-hosts": "2.42",
    r".* (add|remove)(FixedIp|FloatingIp)": "2.43",
    r".* os-get(VNC|SPICE|RDP|Serial)Console": "2.5",
}
"""The last microversions that have some endpoints and actions of Compute."""
_ORDER = [Least.ANYONE, Least.USER, Least.READER, Least.MEMBER, Least.MANAGER]
_MET = {
    "nobody": _ORDER[:1],
    "unscoped": _ORDER[:2],
    "reader": _ORDER[:3],
    "member": _ORDER[:4],
    "manager": _ORDER,
    "auditor": [*_ORDER[:2], Least.AUDITOR],
    "admin": list(Least),
}


def may(row: Row, role: str) -> bool:
    """Whether the row lets somebody pass."""
    scoped = role not in ("nobody", "unscoped", "auditor")
    return row.least in _MET[role] and (scoped or not row.project)


@dataclass(frozen=True, kw_only=True)
class World:
    """What the requests are made of."""

    app: Any
    secrets: Mapping[str, str]
    """by role"""
    things: Mapping[str, Mapping[str, str]]
    """ids of the two projects' things, by the name that a path's parameter has"""
    persons: Mapping[str, Mapping[str, str]]
    """ids of each role's own things, and of the stranger's and the victim's"""

    def ids(self, row: Row, role: str, whose: str) -> Mapping[str, str]:
        """What the parameters of a request stand for."""
        if whose == FOREIGN:
            # Block Storage has the token's own project in its paths
            own = {"volume:project_id": self.things[OWN]["project_id"]}
            return {**self.things[FOREIGN], **self.persons["stranger"], **own}
        # what administrators alone may do to somebody is done to somebody who does not ask again
        alone = row.least in (Least.ADMIN, Least.AUDITOR)
        return {**self.things[OWN], **self.persons["victim" if alone or role not in self.persons else role]}

    async def ask(self, service: str, row: Row, role: str, whose: str) -> tuple[int, str]:
        """Make the request of a row in somebody's name; return the status and the text of the answer."""
        ids = self.ids(row, role, whose)
        method = "GET" if row.method == "*" else row.method
        said = BODIES[service].get(f"{row.method} {row.path}")
        if row.action:
            said = {row.action: BODIES[service].get(f"{row.method} {row.path} {row.action}")}
        headers = {
            "content-type": _media_type(service, row),
            "openstack-api-version": _version(service, row),
            "x-subject-token": ids["subject"],
        }
        if role in self.secrets:
            headers["x-auth-token"] = self.secrets[role]
        body = b"" if said is None else json.dumps(_filled(said, ids)).encode()
        return await _asgi(self.app, method, _path(service, row, ids), headers, body)


def _path(service: str, row: Row, ids: Mapping[str, str]) -> str:
    def named(match: re.Match[str]) -> str:
        name = match[1].partition(":")[0]
        place = row.path[: match.start()].rstrip("/").rsplit("/", 1)[-1]
        for key in (f"{service}:{place}/{name}", f"{service}:{name}", name):
            if key in ids:
                return ids[key]
        raise AssertionError(f"{service}, {row.method} {row.path}: say in policy_world.py what {name} is")

    return f"/{service}" + re.sub(r"{([^}]+)}", named, row.path)


def _media_type(service: str, row: Row) -> str:
    if service == "image" and row.method == "PATCH":
        return "application/openstack-images-v2.1-json-patch"
    if service == "image" and row.method == "PUT" and row.path.endswith(("/file", "/stage")):
        return "application/octet-stream"
    return "application/json"


def _version(service: str, row: Row) -> str:
    """The last microversion that has the endpoint."""
    if service == "volume":
        return "volume 3.70"
    name = f"{row.path} {row.action}"
    return f"compute {next((last for gone, last in GONE_AFTER.items() if re.match(gone, name)), '2.93')}"


def _filled(said: Any, ids: Mapping[str, str]) -> Any:
    """A body with the ids in the place of their names, such as `<network_id>`."""
    if isinstance(said, dict):
        return {key: _filled(value, ids) for key, value in said.items()}
    if isinstance(said, list):
        return [_filled(value, ids) for value in said]
    if isinstance(said, str) and said.startswith("<"):
        return ids[said.strip("<>")]
    return said


async def _asgi(app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """One request straight into the application: thousands of them would take a client minutes."""
    status, parts = 0, list[bytes]()

    rest = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(rest, None) or await asyncio.Future()  # who waits for us to hang up waits for good

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        parts.append(message.get("body", b""))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("cloud.test", 9101), "client": ("127.0.0.1", 1), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return status, b"".join(parts).decode(errors="replace")


def things_of(user: Any) -> dict[str, str]:
    """Make one of each thing in somebody's project, and return their ids by the names of the parameters.

    A name may be told apart by the service, and by the part of the path before it.
    """
    server = user.up(metadata={"k": "v"}, tags=["t"])
    console = user.ok(
        "POST",
        f"/compute/v2.1/servers/{server}/remote-consoles",
        {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    )["remote_console"]
    deeds = user.ok("GET", f"/compute/v2.1/servers/{server}/os-instance-actions")["instanceActions"]
    group = {"name": "together", "policy": "soft-affinity"}
    image = user.image(tags=["t"], visibility="shared", k="v")
    user.ok("POST", f"/image/v2/images/{image}/members", {"member": "somebody"})
    return {
        "project_id": user.project.id,
        "wanted": user.project.id,
        "server_id": server,
        "token": console["url"].rpartition("token%3D")[2] or console["url"].rpartition("token=")[2],
        "key": "k",
        "tag": "t",
        "action_id": deeds[0]["request_id"],
        "compute:os-server-groups/group_id": user.ok(
            "POST", "/compute/v2.1/os-server-groups", {"server_group": group}
        )["server_group"]["id"],
        "image_id": image,
        "image:action": "deactivate",
        "image:name": "image",
        "image:metadefs/name": "namespace",
        "task_id": "none",
        "member_id": "somebody",
        **_networks_of(user, server),
        **_volumes_of(user, server),
        "compute:alias": "os-keypairs",
        "migration_id": "1",
        "message_id": "none",
        "item_id": "none",
        "network:alias": "router",
        "network:collection": "flavors",
        "rest": "nowhere",
    }


def _networks_of(user: Any, server: str) -> dict[str, str]:
    url = "/network/v2.0"
    port = user.ok("GET", f"{url}/ports?device_id={server}")["ports"][0]
    network = user.ok("GET", f"{url}/networks/{port['network_id']}")["network"]
    public = user.ok("GET", f"{url}/networks?router:external=True")["networks"][0]["id"]
    router = user.ok("GET", f"{url}/routers")["routers"][0]["id"]

    def make(collection: str, kind: str, **wish: Any) -> dict[str, Any]:
        return user.ok("POST", f"{url}/{collection}", {kind: wish})[kind]

    group = make("security-groups", "security_group", name="mine")
    found = {
        "network_id": network["id"],
        "subnet_id": port["fixed_ips"][0]["subnet_id"],
        "port_id": port["id"],
        "router_id": router,
        "floating_id": make("floatingips", "floatingip", floating_network_id=public, port_id=port["id"])[
            "id"
        ],
        "group_id": group["id"],
        "network:rule_id": group["security_group_rules"][0]["id"],
        "compute:rule_id": group["security_group_rules"][0]["id"],
        "subnetpool_id": make("subnetpools", "subnetpool", name="pool", prefixes=["10.99.0.0/16"])["id"],
        "address_scope_id": make("address-scopes", "address_scope", name="scope", ip_version=4)["id"],
    }
    shared = {"object_type": "network", "object_id": network["id"], "action": "access_as_shared"}
    found["rbac_policy_id"] = make("rbac-policies", "rbac_policy", **shared, target_tenant="f" * 32)["id"]
    for collection, name in (
        ("networks", "network_id"), ("subnets", "subnet_id"), ("ports", "port_id"), ("routers", "router_id"),
        ("floatingips", "floating_id"), ("security-groups", "group_id"), ("subnetpools", "subnetpool_id"),
    ):  # fmt: skip
        user.ok("PUT", f"{url}/{collection}/{found[name]}/tags", {"tags": ["t"]})
    return {**found, "label": network["name"], "public": public}


def _lately(user: Any, method: str, path: str, body: Any = None) -> Any:
    """Ask Block Storage for what only later microversions have."""
    answer = user.call(method, path, body, **{"OpenStack-API-Version": "volume 3.70"})
    assert answer.status_code < 300, answer.text
    return answer.json()


def _volumes_of(user: Any, server: str) -> dict[str, str]:
    url = f"/volume/v3/{user.project.id}"

    def make(**wish: Any) -> str:
        return user.ok("POST", f"{url}/volumes", {"volume": {"size": 1, "metadata": {"k": "v"}, **wish}})[
            "volume"
        ]["id"]

    volume, attached, offered = make(), make(), make()
    user.stage.settle()
    wish = {"volume_id": volume, "metadata": {"k": "v"}}
    snapshot = user.ok("POST", f"{url}/snapshots", {"snapshot": wish})["snapshot"]["id"]
    wish = {"volume_id": offered}
    transfer = user.ok("POST", f"{url}/os-volume-transfer", {"transfer": wish})["transfer"]
    wish = {"volumeId": attached}
    user.ok("POST", f"/compute/v2.1/servers/{server}/os-volume_attachments", {"volumeAttachment": wish})
    user.stage.settle()
    attachments = _lately(user, "GET", f"{url}/attachments")["attachments"]
    return {
        "volume_id": volume,
        "backup_id": user.ok("POST", f"{url}/backups", {"backup": {"volume_id": volume}})["backup"]["id"],
        "transfer_id": transfer["id"],
        "compute:os-volume_attachments/volume_id": attached,
        "snapshot_id": snapshot,
        "attachment_id": attachments[0]["id"],
        "volume:alias": "OS-SCH-HNT",
        "volume:host": "nova",
        "volume:action": "disable",
        "volume:encryption/key": "encryption_key_id",
        "volume:name": "default",
    }


def things_by(root: Any, project_id: str) -> dict[str, str]:
    """Make what only an administrator can make, and find what nobody makes."""
    wish = {
        "name": f"for-{project_id}",
        "ram": 64,
        "vcpus": 1,
        "disk": 1,
        "os-flavor-access:is_public": False,
    }
    flavor = root.ok("POST", "/compute/v2.1/flavors", {"flavor": wish})["flavor"]["id"]
    url = f"/compute/v2.1/flavors/{flavor}"
    root.ok("POST", f"{url}/action", {"addTenantAccess": {"tenant": project_id}})
    root.ok("POST", f"{url}/os-extra_specs", {"extra_specs": {"hw:cpu_policy": "shared"}})

    def first(path: str, kind: str) -> str:
        return root.ok("GET", path)[kind][0]["id"]

    host = root.ok("GET", "/compute/v2.1/os-hypervisors")["hypervisors"][0]["hypervisor_hostname"]
    roles = root.ok("GET", "/identity/v3/roles")["roles"]
    aggregate = root.ok("POST", "/compute/v2.1/os-aggregates", {"aggregate": {"name": project_id}})[
        "aggregate"
    ]
    root.ok("PUT", f"/identity/v3/projects/{project_id}/tags", {"tags": ["t"]})
    url = f"/volume/v3/{root.project.id}"
    wish = {"name": project_id, "extra_specs": {"RESKEY:availability_zones": "nova"}}
    wish["os-volume-type-access:is_public"] = False
    kind = root.ok("POST", f"{url}/types", {"volume_type": wish})["volume_type"]["id"]
    root.ok("POST", f"{url}/types/{kind}/action", {"addProjectAccess": {"project": project_id}})
    qos = root.ok("POST", f"{url}/qos-specs", {"qos_specs": {"name": project_id, "k": "v"}})["qos_specs"][
        "id"
    ]
    _lately(root, "PUT", f"{url}/default-types/{root.project.id}", {"default_type": {"volume_type": kind}})
    return {
        "type_id": kind,
        "volume:extra_specs/key": "RESKEY:availability_zones",
        "qos_id": qos,
        "aggregate_id": str(aggregate["id"]),
        "flavor_id": flavor,
        "compute:os-extra_specs/key": "hw:cpu_policy",
        "hypervisor_id": first("/compute/v2.1/os-hypervisors", "hypervisors"),
        "pattern": host,
        "compute:host": host,
        "compute:service_id": first("/compute/v2.1/os-services", "services"),
        "compute:what": first("/compute/v2.1/os-services", "services"),
        "domain_id": "default",
        "role_id": next(role["id"] for role in roles if role["name"] == "reader"),
        "region_id": first("/identity/v3/regions", "regions"),
        "identity:service_id": first("/identity/v3/services", "services"),
        "endpoint_id": first("/identity/v3/endpoints", "endpoints"),
    }


def group_with(root: Any, person: Any, role_id: str) -> str:
    """Make a group of somebody, with a role in each place."""
    url = "/identity/v3"
    root.ok("PUT", f"{url}/projects/{person.project.id}/tags", {"tags": ["t"]})
    group = root.ok("POST", f"{url}/groups", {"group": {"name": "some"}})["group"]["id"]
    root.ok("PUT", f"{url}/groups/{group}/users/{person.person.id}")
    for place in (f"projects/{person.project.id}", "domains/default", "system"):
        root.ok("PUT", f"{url}/{place}/groups/{group}/roles/{role_id}")
    return group


def persons_things(user: Any) -> dict[str, str]:
    """Make what belongs to a person and not to a project."""
    accounts = user.stage.accounts
    url = f"/identity/v3/users/{user.person.id}"
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
    wish = {"application_credential": {"name": "mine", "access_rules": [rule]}}
    credential = user.ok("POST", f"{url}/application_credentials", wish)["application_credential"]
    keys = user.ok("POST", f"{url}/credentials/OS-EC2", {"tenant_id": user.project.id})["credential"]
    pair = {"name": f"of-{user.person.user_name}", "public_key": PUBLIC_KEY}
    user.ok("POST", "/compute/v2.1/os-keypairs", {"keypair": pair})
    subject = accounts.issue_token(
        user.person.id, kind=TokenKind.KEYSTONE, lifetime=timedelta(days=1), project_id=user.project.id
    )
    return {
        "user_id": user.person.id,
        "identity:project_id": user.project.id,
        "compute:name": pair["name"],
        "credential_id": credential["id"],
        "identity:rule_id": credential["access_rules"][0]["id"],
        "access": keys["access"],
        "subject": subject.secret,
    }
