"""Neutron as a client sees it, in few words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PATHS = {
    "network": "networks", "subnet": "subnets", "port": "ports", "router": "routers", "floatingip": "floatingips",
    "security_group": "security-groups", "security_group_rule": "security-group-rules",
    "subnetpool": "subnetpools", "address_scope": "address-scopes", "rbac_policy": "rbac-policies",
}  # fmt: skip


@dataclass
class Neutron:
    """Somebody who speaks to the network service."""

    user: Any

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.user.call(method, f"/network/v2.0/{path}", body, **headers)

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.call(method, path, body, **headers)
        assert answer.status_code < 300, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def make(self, kind: str, **fields: Any) -> Any:
        return self.ok("POST", PATHS[kind], {kind: fields})[kind]

    def change(self, kind: str, identifier: str, **fields: Any) -> Any:
        return self.ok("PUT", f"{PATHS[kind]}/{identifier}", {kind: fields})[kind]

    def delete(self, kind: str, identifier: str) -> None:
        self.ok("DELETE", f"{PATHS[kind]}/{identifier}")

    def list(self, path: str) -> list[Any]:
        answer = self.ok("GET", path)
        return next(value for name, value in answer.items() if not name.endswith("_links"))

    def no(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
        """A refusal: status, type, message."""
        answer = self.call(method, path, body, **headers)
        assert answer.status_code >= 400, f"{method} {path} {body} was granted: {answer.text}"
        error = answer.json()["NeutronError"]
        return answer.status_code, error["type"], error["message"]

    def cannot_make(self, kind: str, **fields: Any) -> tuple[int, str, str]:
        return self.no("POST", PATHS[kind], {kind: fields})

    def cannot_change(self, kind: str, identifier: str, **fields: Any) -> tuple[int, str, str]:
        return self.no("PUT", f"{PATHS[kind]}/{identifier}", {kind: fields})

    def lab(self, cidr: str = "10.50.0.0/24", **subnet: Any) -> tuple[Any, Any]:
        """A network and its subnet."""
        network = self.make("network", name="lab")
        version = 6 if ":" in cidr else 4
        return network, self.make("subnet", network_id=network["id"], cidr=cidr, ip_version=version, **subnet)

    def public(self) -> str:
        return self.list("networks?router:external=True")[0]["id"]
