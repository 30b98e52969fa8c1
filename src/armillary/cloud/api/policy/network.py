"""Network's rows: what Neutron 21 allows to whom, with its new defaults (a reader never writes)."""

from __future__ import annotations

from collections.abc import Iterator

from armillary.cloud.api.policy.rows import ADMIN, ANYONE, MEMBER, READER, USER, Row


def _collection(path: str, item: str, one: str, name: str, *, update: bool = True) -> Iterator[Row]:
    """The five rows that each collection has."""
    whole, single = f"/v2.0/{path}", f"/v2.0/{path}/{{{item}}}"
    yield Row("GET", whole, f"get_{one}", READER, f"list {name}s")
    yield Row("POST", whole, f"create_{one}", MEMBER, f"make a {name}", project=True)
    yield Row("GET", single, f"get_{one}", READER, f"show a {name}", foreign=404)
    if update:
        yield Row("PUT", single, f"update_{one}", MEMBER, f"change a {name}", foreign=404)
    yield Row("DELETE", single, f"delete_{one}", MEMBER, f"delete a {name}", foreign=404)


_ROUTER = "/v2.0/routers/{router_id}"
_QUOTA = "/v2.0/quotas/{project_id}"

# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service"),
    Row("GET", "/v2.0", "", USER, "the collections"),
    Row("GET", "/v2.0/extensions", "", USER, "list extensions"),
    Row("GET", "/v2.0/extensions/{alias}", "", USER, "show an extension"),

    *_collection("networks", "network_id", "network", "network"),
    *_collection("subnets", "subnet_id", "subnet", "subnet"),
    *_collection("ports", "port_id", "port", "port"),
    *_collection("routers", "router_id", "router", "router"),
    Row("PUT", _ROUTER + "/add_router_interface", "add_router_interface", MEMBER, "join a router to a subnet", foreign=404),
    Row("PUT", _ROUTER + "/remove_router_interface", "remove_router_interface", MEMBER, "part a router from a subnet", foreign=404),
    *_collection("floatingips", "floating_id", "floatingip", "floating IP"),
    *_collection("security-groups", "group_id", "security_group", "security group"),
    *_collection("security-group-rules", "rule_id", "security_group_rule", "security group rule", update=False),

    Row("GET", "/v2.0/availability_zones", "get_availability_zone", READER, "list availability zones"),
    Row("GET", "/v2.0/agents", "get_agent", READER, "list agents; there are some for administrators alone"),
    Row("GET", "/v2.0/quotas", "get_quota", ADMIN, "list quotas that were set", project=True),
    Row("GET", _QUOTA, "get_quota", READER, "show a project's quotas", foreign=403),
    Row("GET", _QUOTA + "/default", "get_quota", READER, "the quotas of a new project", foreign=403),
    Row("GET", _QUOTA + "/details", "get_quota", READER, "a project's quotas with their use", foreign=403),
    Row("GET", _QUOTA + "/details.json", "get_quota", READER, "a project's quotas with their use", foreign=403),
    Row("PUT", _QUOTA, "update_quota", ADMIN, "set a project's quotas"),
    Row("DELETE", _QUOTA, "delete_quota", ADMIN, "go back to a project's first quotas"),
    Row("GET", "/v2.0/{collection}", "", USER, "collections that are empty here"),
)
