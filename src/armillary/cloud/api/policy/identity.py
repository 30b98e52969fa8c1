"""Identity's rows: what Keystone 22 allows to whom.

Almost all of Keystone is for administrators, and readers of the system, or for a user's own things: whose those are,
the routes ask themselves.
"""

from __future__ import annotations

from armillary.cloud.api.policy.rows import ADMIN, ANYONE, AUDITOR, USER, Row

_I = "identity:"
_USER = "/v3/users/{user_id}"
_APP = _USER + "/application_credentials"
_EC2 = _USER + "/credentials/OS-EC2"
_PROJECT = "/v3/projects/{project_id}"
_TAGS = _PROJECT + "/tags"
_GROUP = "/v3/groups/{group_id}"


def _grants(place: str, where: str, *, system: bool = False) -> list[Row]:
    """The rows of the roles that users and groups have in a place."""
    rows: list[Row] = []
    for who in ("user", "group"):
        path = f"{place}/{who}s/{{{who}_id}}/roles"
        rule = _I + "{}_" + (f"system_grant{{}}_for_{who}" if system else "grant{}")
        rows += [
            Row("GET", path, rule.format("list", "s"), AUDITOR, f"a {who}'s roles in {where}"),
            Row(
                "PUT",
                path + "/{role_id}",
                rule.format("create", ""),
                ADMIN,
                f"give a {who} a role in {where}",
            ),
            Row(
                "GET",
                path + "/{role_id}",
                rule.format("check", ""),
                AUDITOR,
                f"ask whether a {who} has a role in {where}",
            ),
            Row(
                "DELETE",
                path + "/{role_id}",
                rule.format("revoke", ""),
                ADMIN,
                f"take a role of a {who} in {where}",
            ),
        ]
    return rows


# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service", gives=(300,)),
    Row("GET", "/openapi.json", "", ANYONE, "this service as an OpenAPI document"),
    Row("GET", "/v3", "", ANYONE, "the version"),

    Row("POST", "/v3/auth/tokens", "", ANYONE, "sign in", refuses=(401, 403)),
    Row("GET", "/v3/auth/tokens", _I + "validate_token", USER, "show a token of one's own", foreign=403, refuses=(404,)),
    Row("DELETE", "/v3/auth/tokens", _I + "revoke_token", USER, "revoke a token of one's own", foreign=403, refuses=(404,)),
    Row("GET", "/v3/auth/catalog", _I + "get_auth_catalog", USER, "the catalog of a token's project"),
    Row("GET", "/v3/auth/projects", _I + "get_auth_projects", USER, "what one may ask a token for"),
    Row("GET", "/v3/auth/domains", _I + "get_auth_domains", USER, "the domains that one may ask a token for"),
    Row("GET", "/v3/auth/system", _I + "get_auth_system", USER, "whether one may ask a token for the system"),

    Row("GET", "/v3/projects", _I + "list_projects", AUDITOR, "list projects"),
    Row("POST", "/v3/projects", _I + "create_project", ADMIN, "make a project"),
    Row("GET", "/v3/projects/{project_id}", _I + "get_project", USER, "show the project of one's token", foreign=403),
    Row("PATCH", "/v3/projects/{project_id}", _I + "update_project", ADMIN, "change a project"),
    Row("DELETE", "/v3/projects/{project_id}", _I + "delete_project", ADMIN, "delete a project"),
    Row("GET", _TAGS, _I + "list_project_tags", USER, "list the tags of one's token's project", foreign=403),
    Row("PUT", _TAGS, _I + "update_project_tags", ADMIN, "replace a project's tags", gives=(200,)),
    Row("DELETE", _TAGS, _I + "delete_project_tags", ADMIN, "delete a project's tags"),
    Row("GET", _TAGS + "/{tag}", _I + "get_project_tag", USER, "ask whether one's token's project has a tag", foreign=403),
    Row("PUT", _TAGS + "/{tag}", _I + "create_project_tag", ADMIN, "add a tag to a project", gives=(201,)),
    Row("DELETE", _TAGS + "/{tag}", _I + "delete_project_tag", ADMIN, "delete a tag of a project"),
    Row("PATCH", "/v3/domains/{domain_id}", _I + "update_domain", ADMIN, "change the domain; it is fixed"),
    Row("DELETE", "/v3/domains/{domain_id}", _I + "delete_domain", ADMIN, "delete the domain; it is fixed"),
    Row("GET", "/v3/domains", _I + "list_domains", AUDITOR, "list domains"),
    Row("POST", "/v3/domains", _I + "create_domain", ADMIN, "make a domain; there is one"),
    Row("GET", "/v3/domains/{domain_id}", _I + "get_domain", USER, "show the domain"),

    Row("GET", "/v3/users", _I + "list_users", AUDITOR, "list users"),
    Row("POST", "/v3/users", _I + "create_user", ADMIN, "make a user"),
    Row("GET", _USER, _I + "get_user", USER, "show oneself", foreign=403),
    Row("PATCH", _USER, _I + "update_user", ADMIN, "change a user"),
    Row("DELETE", _USER, _I + "delete_user", ADMIN, "delete a user"),
    Row("POST", _USER + "/password", "", ANYONE, "change a password: the old one is the proof", gives=(204,), refuses=(401,)),
    Row("GET", _USER + "/projects", _I + "list_user_projects", USER, "list one's projects", foreign=403),
    Row("GET", _USER + "/groups", _I + "list_groups_for_user", USER, "list one's groups", foreign=403),
    Row("GET", _APP, _I + "list_application_credentials", USER, "list one's application credentials", foreign=403),
    Row("POST", _APP, _I + "create_application_credential", USER, "make an application credential of one's own", foreign=403, project=True),
    Row("GET", _APP + "/{credential_id}", _I + "get_application_credential", USER, "show an application credential of one's own", foreign=403),
    Row("DELETE", _APP + "/{credential_id}", _I + "delete_application_credential", USER, "delete an application credential of one's own", foreign=403),
    Row("GET", _USER + "/access_rules", _I + "list_access_rules", USER, "list one's access rules", foreign=403),
    Row("GET", _USER + "/access_rules/{rule_id}", _I + "get_access_rule", USER, "show an access rule of one's own", foreign=403),
    Row("DELETE", _USER + "/access_rules/{rule_id}", _I + "delete_access_rule", USER, "delete an access rule of one's own", foreign=403),
    Row("GET", _EC2, _I + "ec2_list_credentials", USER, "list one's pairs of keys", foreign=403),
    Row("POST", _EC2, _I + "ec2_create_credential", USER, "make a pair of keys", foreign=403),
    Row("GET", _EC2 + "/{access}", _I + "ec2_get_credential", USER, "show a pair of keys of one's own", foreign=403),
    Row("DELETE", _EC2 + "/{access}", _I + "ec2_delete_credential", USER, "delete a pair of keys of one's own", foreign=403),

    Row("GET", "/v3/groups", _I + "list_groups", AUDITOR, "list groups"),
    Row("POST", "/v3/groups", _I + "create_group", ADMIN, "make a group"),
    Row("GET", _GROUP, _I + "get_group", AUDITOR, "show a group"),
    Row("PATCH", _GROUP, _I + "update_group", ADMIN, "change a group"),
    Row("DELETE", _GROUP, _I + "delete_group", ADMIN, "delete a group"),
    Row("GET", _GROUP + "/users", _I + "list_users_in_group", AUDITOR, "list the users of a group"),
    Row("PUT", _GROUP + "/users/{user_id}", _I + "add_user_to_group", ADMIN, "put a user into a group"),
    Row("GET", _GROUP + "/users/{user_id}", _I + "check_user_in_group", AUDITOR, "ask whether a user is in a group"),
    Row("DELETE", _GROUP + "/users/{user_id}", _I + "remove_user_from_group", ADMIN, "take a user out of a group"),

    Row("GET", "/v3/roles", _I + "list_roles", AUDITOR, "list roles"),
    Row("POST", "/v3/roles", _I + "create_role", ADMIN, "make a role; they are fixed"),
    Row("GET", "/v3/roles/{role_id}", _I + "get_role", AUDITOR, "show a role"),
    Row("PATCH", "/v3/roles/{role_id}", _I + "update_role", ADMIN, "change a role; they are fixed"),
    Row("DELETE", "/v3/roles/{role_id}", _I + "delete_role", ADMIN, "delete a role; they are fixed"),
    Row("GET", "/v3/roles/{role_id}/implies", _I + "list_implied_roles", AUDITOR, "which roles a role implies"),
    Row("GET", "/v3/role_inferences", _I + "list_role_inference_rules", AUDITOR, "which role implies which"),
    Row("GET", "/v3/role_assignments", _I + "list_role_assignments", AUDITOR, "who has which role where"),
    *_grants(_PROJECT, "a project"),
    *_grants("/v3/domains/{domain_id}", "the domain"),
    *_grants("/v3/system", "the system", system=True),

    Row("GET", "/v3/regions", _I + "list_regions", USER, "list regions"),
    Row("GET", "/v3/regions/{region_id}", _I + "get_region", USER, "show a region"),
    Row("GET", "/v3/services", _I + "list_services", AUDITOR, "list services"),
    Row("GET", "/v3/services/{service_id}", _I + "get_service", AUDITOR, "show a service"),
    Row("GET", "/v3/endpoints", _I + "list_endpoints", AUDITOR, "list endpoints"),
    Row("GET", "/v3/endpoints/{endpoint_id}", _I + "get_endpoint", AUDITOR, "show an endpoint"),
    *[
        Row(method, f"/v3/{name}s" + ("" if deed == "create" else f"/{{{name}_id}}"), _I + f"{deed}_{name}", ADMIN, f"{deed} a {name}; they are fixed")
        for name in ("region", "service", "endpoint")
        for method, deed in (("POST", "create"), ("PATCH", "update"), ("DELETE", "delete"))
    ],
    Row("GET", "/v3/limits", _I + "list_limits", USER, "the limits of Keystone's own: none"),
    Row("GET", "/v3/limits/model", _I + "get_limit_model", USER, "how such limits would be reckoned"),
    Row("GET", "/v3/registered_limits", _I + "list_registered_limits", USER, "the defaults of such limits: none"),
    Row("*", "/{rest:path}", "", ANYONE, "what is not there"),
)
