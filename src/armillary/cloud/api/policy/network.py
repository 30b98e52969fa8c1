"""Network's rows: what Neutron 21 allows to whom, with its new defaults (a reader never writes)."""

from __future__ import annotations

from collections.abc import Iterator

from armillary.cloud.api.policy.rows import ADMIN, ANYONE, MEMBER, READER, USER, Row


def _collection(path: str, item: str, one: str, name: str, *, tags: bool = True) -> Iterator[Row]:
    """The rows that each collection has."""
    whole, single = f"/v2.0/{path}", f"/v2.0/{path}/{{{item}}}"
    yield Row("GET", whole, f"get_{one}", READER, f"list {name}s")
    yield Row("POST", whole, f"create_{one}", MEMBER, f"make a {name}", project=True)
    yield Row("GET", single, f"get_{one}", READER, f"show a {name}", foreign=404)
    yield Row("PUT", single, f"update_{one}", MEMBER, f"change a {name}", foreign=404)
    yield Row("DELETE", single, f"delete_{one}", MEMBER, f"delete a {name}", foreign=404)
    if tags:
        tag = single + "/tags/{tag}"
        yield Row("GET", single + "/tags", f"get_{one}", READER, f"list the tags of a {name}", foreign=404)
        yield Row("PUT", single + "/tags", f"update_{one}", MEMBER, f"set the tags of a {name}", foreign=404)
        yield Row(
            "DELETE", single + "/tags", f"update_{one}", MEMBER, f"clear the tags of a {name}", foreign=404
        )
        yield Row("GET", tag, f"get_{one}", READER, f"whether a {name} has a tag", foreign=404)
        yield Row("PUT", tag, f"update_{one}", MEMBER, f"give a {name} a tag", foreign=404)
        yield Row("DELETE", tag, f"update_{one}", MEMBER, f"take a tag from a {name}", foreign=404)


_ROUTER = "/v2.0/routers/{router_id}"
_QUOTA = "/v2.0/quotas/{project_id}"

# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service"),
    Row("GET", "/openapi.json", "", ANYONE, "this service as an OpenAPI document"),
    Row("GET", "/v2.0", "", USER, "the collections"),
    Row("GET", "/v2.0/extensions", "", USER, "list extensions"),
    Row("GET", "/v2.0/extensions/{alias}", "", USER, "show an extension"),

    *_collection("networks", "network_id", "network", "network"),
    *_collection("subnets", "subnet_id", "subnet", "subnet"),
    *_collection("subnetpools", "subnetpool_id", "subnetpool", "subnet pool"),
    Row("PUT", "/v2.0/subnetpools/{subnetpool_id}/add_prefixes", "add_prefixes", MEMBER, "let a subnet pool grow", foreign=404),
    Row("PUT", "/v2.0/subnetpools/{subnetpool_id}/remove_prefixes", "remove_prefixes", MEMBER, "let a subnet pool shrink", foreign=404),
    *_collection("address-scopes", "address_scope_id", "address_scope", "address scope", tags=False),
    *_collection("rbac-policies", "rbac_policy_id", "rbac_policy", "sharing policy", tags=False),
    *_collection("ports", "port_id", "port", "port"),
    *_collection("routers", "router_id", "router", "router"),
    Row("PUT", _ROUTER + "/add_router_interface", "add_router_interface", MEMBER, "join a router to a subnet", foreign=404),
    Row("PUT", _ROUTER + "/remove_router_interface", "remove_router_interface", MEMBER, "part a router from a subnet", foreign=404),
    Row("PUT", _ROUTER + "/add_extraroutes", "add_extraroutes", MEMBER, "add routes to a router", foreign=404),
    Row("PUT", _ROUTER + "/remove_extraroutes", "remove_extraroutes", MEMBER, "take routes from a router", foreign=404),
    Row("GET", "/v2.0/floatingip_pools", "get_floatingip_pool", READER, "list where floating IPs come from"),
    *_collection("floatingips", "floating_id", "floatingip", "floating IP"),
    *_collection("security-groups", "group_id", "security_group", "security group"),
    *_collection("security-group-rules", "rule_id", "security_group_rule", "security group rule", tags=False),

    Row("GET", "/v2.0/availability_zones", "get_availability_zone", READER, "list availability zones"),
    Row("GET", "/v2.0/agents", "get_agent", READER, "list agents; there are some for administrators alone"),
    Row("GET", "/v2.0/quotas", "get_quota", ADMIN, "list quotas that were set", project=True),
    Row("GET", _QUOTA, "get_quota", READER, "show a project's quotas", foreign=403),
    Row("GET", _QUOTA + "/default", "get_quota", READER, "the quotas of a new project", foreign=403),
    Row("GET", _QUOTA + "/details", "get_quota", READER, "a project's quotas with their use", foreign=403),
    Row("GET", _QUOTA + "/details.json", "get_quota", READER, "a project's quotas with their use", foreign=403),
    Row("PUT", _QUOTA, "update_quota", ADMIN, "set a project's quotas"),
    Row("DELETE", _QUOTA, "delete_quota", ADMIN, "go back to a project's first quotas"),
    Row("GET", "/v2.0/quotas/tenant", "", READER, "one's own project", project=True),
    Row("GET", "/v2.0/quotas/project", "", READER, "one's own project", project=True),
    Row("GET", "/v2.0/service-providers", "get_service_provider", READER, "list who provides routers"),
    Row("GET", "/v2.0/network-ip-availabilities", "get_network_ip_availability", READER, "list how many addresses networks have left; there are some for administrators alone"),
    Row("GET", "/v2.0/network-ip-availabilities/{network_id}", "get_network_ip_availability", ADMIN, "how many addresses a network has left"),
    Row("GET", "/v2.0/auto-allocated-topology/{project_id}", "get_auto_allocated_topology", MEMBER, "the network of a project that names none, made if there is none", project=True, foreign=403, refuses=(409,)),
    Row("DELETE", "/v2.0/auto-allocated-topology/{project_id}", "delete_auto_allocated_topology", MEMBER, "take that network away", project=True, foreign=403),
)
