"""Identity's rows: what Keystone 22 allows to whom.

Almost all of Keystone is for administrators, and readers of the system, or for a user's own things: whose those are,
the routes ask themselves.
"""

from __future__ import annotations

from armillary.cloud.api.policy.rows import ADMIN, ANYONE, AUDITOR, USER, Row

_I = "identity:"
_USER = "/v3/users/{user_id}"
_GRANTS = "/v3/projects/{project_id}/users/{user_id}/roles"
_IN_DOMAIN = "/v3/domains/{domain_id}/users/{user_id}/roles"
_SYSTEM = "/v3/system/users/{user_id}/roles"
_APP = _USER + "/application_credentials"

# one row a line: the table is read across
# fmt: off
ROWS = (
    Row("GET", "/", "", ANYONE, "the versions of the service"),
    Row("GET", "/v3", "", ANYONE, "the version"),

    Row("POST", "/v3/auth/tokens", "", ANYONE, "sign in"),
    Row("GET", "/v3/auth/tokens", _I + "validate_token", USER, "show a token of one's own", foreign=403),
    Row("DELETE", "/v3/auth/tokens", _I + "revoke_token", USER, "revoke a token of one's own", foreign=403),
    Row("GET", "/v3/auth/catalog", _I + "get_auth_catalog", USER, "the catalog of a token's project"),
    Row("GET", "/v3/auth/projects", _I + "get_auth_projects", USER, "what one may ask a token for"),
    Row("GET", "/v3/auth/domains", _I + "get_auth_domains", USER, "the domains that one may ask a token for"),
    Row("GET", "/v3/auth/system", _I + "get_auth_system", USER, "whether one may ask a token for the system"),

    Row("GET", "/v3/projects", _I + "list_projects", AUDITOR, "list projects"),
    Row("POST", "/v3/projects", _I + "create_project", ADMIN, "make a project"),
    Row("GET", "/v3/projects/{project_id}", _I + "get_project", USER, "show the project of one's token", foreign=403),
    Row("PATCH", "/v3/projects/{project_id}", _I + "update_project", ADMIN, "change a project"),
    Row("DELETE", "/v3/projects/{project_id}", _I + "delete_project", ADMIN, "delete a project"),
    Row("GET", "/v3/domains", _I + "list_domains", AUDITOR, "list domains"),
    Row("POST", "/v3/domains", _I + "create_domain", ADMIN, "make a domain; there is one"),
    Row("GET", "/v3/domains/{domain_id}", _I + "get_domain", USER, "show the domain"),

    Row("GET", "/v3/users", _I + "list_users", AUDITOR, "list users"),
    Row("POST", "/v3/users", _I + "create_user", ADMIN, "make a user"),
    Row("GET", _USER, _I + "get_user", USER, "show oneself", foreign=403),
    Row("PATCH", _USER, _I + "update_user", ADMIN, "change a user"),
    Row("DELETE", _USER, _I + "delete_user", ADMIN, "delete a user"),
    Row("POST", _USER + "/password", "", ANYONE, "change a password: the old one is the proof"),
    Row("GET", _USER + "/projects", _I + "list_user_projects", USER, "list one's projects", foreign=403),
    Row("GET", _USER + "/groups", _I + "list_groups_for_user", USER, "list one's groups", foreign=403),
    Row("GET", _APP, _I + "list_application_credentials", USER, "list one's application credentials", foreign=403),
    Row("POST", _APP, _I + "create_application_credential", USER, "make an application credential of one's own", foreign=403, project=True),
    Row("GET", _APP + "/{credential_id}", _I + "get_application_credential", USER, "show an application credential of one's own", foreign=403),
    Row("DELETE", _APP + "/{credential_id}", _I + "delete_application_credential", USER, "delete an application credential of one's own", foreign=403),
    Row("GET", _USER + "/access_rules", _I + "list_access_rules", USER, "list one's access rules", foreign=403),

    Row("GET", "/v3/roles", _I + "list_roles", AUDITOR, "list roles"),
    Row("POST", "/v3/roles", _I + "create_role", ADMIN, "make a role; they are fixed"),
    Row("GET", "/v3/roles/{role_id}", _I + "get_role", AUDITOR, "show a role"),
    Row("PATCH", "/v3/roles/{role_id}", _I + "update_role", ADMIN, "change a role; they are fixed"),
    Row("DELETE", "/v3/roles/{role_id}", _I + "delete_role", ADMIN, "delete a role; they are fixed"),
    Row("GET", "/v3/roles/{role_id}/implies", _I + "list_implied_roles", AUDITOR, "which roles a role implies"),
    Row("GET", "/v3/role_inferences", _I + "list_role_inference_rules", AUDITOR, "which role implies which"),
    Row("GET", "/v3/role_assignments", _I + "list_role_assignments", AUDITOR, "who has which role where"),
    Row("GET", _GRANTS, _I + "list_grants", AUDITOR, "a user's roles in a project"),
    Row("PUT", _GRANTS + "/{role_id}", _I + "create_grant", ADMIN, "give a role in a project"),
    Row("GET", _GRANTS + "/{role_id}", _I + "check_grant", AUDITOR, "ask whether a user has a role in a project"),
    Row("DELETE", _GRANTS + "/{role_id}", _I + "revoke_grant", ADMIN, "take a role in a project"),
    Row("GET", _IN_DOMAIN, _I + "list_grants", AUDITOR, "a user's roles in the domain"),
    Row("PUT", _IN_DOMAIN + "/{role_id}", _I + "create_grant", ADMIN, "give a role in the domain"),
    Row("GET", _IN_DOMAIN + "/{role_id}", _I + "check_grant", AUDITOR, "ask whether a user has a role in the domain"),
    Row("DELETE", _IN_DOMAIN + "/{role_id}", _I + "revoke_grant", ADMIN, "take a role in the domain"),
    Row("GET", _SYSTEM, _I + "list_system_grants_for_user", AUDITOR, "a user's roles in the system"),
    Row("PUT", _SYSTEM + "/{role_id}", _I + "create_system_grant_for_user", ADMIN, "give a role in the system"),
    Row("GET", _SYSTEM + "/{role_id}", _I + "check_system_grant_for_user", AUDITOR, "ask whether a user has a role in the system"),
    Row("DELETE", _SYSTEM + "/{role_id}", _I + "revoke_system_grant_for_user", ADMIN, "take a role in the system"),

    Row("GET", "/v3/regions", _I + "list_regions", USER, "list regions"),
    Row("GET", "/v3/regions/{region_id}", _I + "get_region", USER, "show a region"),
    Row("GET", "/v3/services", _I + "list_services", AUDITOR, "list services"),
    Row("GET", "/v3/services/{service_id}", _I + "get_service", AUDITOR, "show a service"),
    Row("GET", "/v3/endpoints", _I + "list_endpoints", AUDITOR, "list endpoints"),
    Row("GET", "/v3/endpoints/{endpoint_id}", _I + "get_endpoint", AUDITOR, "show an endpoint"),
    Row("GET", "/v3/groups", _I + "list_groups", AUDITOR, "list groups"),
    Row("*", "/{rest:path}", "", ANYONE, "what is not there"),
)
