"""Who may see and change what: a project's members their own, administrators everything."""

from __future__ import annotations

from armillary.accounts.model import Principal, Project, Role
from armillary.base.errors import Forbidden
from armillary.base.ids import ProjectId


def project_of(principal: Principal) -> Project:
    """The project that the credential is bound to.

    Raises:
        Forbidden: it is bound to none.
    """
    if principal.project is None:
        raise Forbidden(
            "The token is not scoped to a project.",
            code="project_needed",
            remedy="Ask for a token with a project in its scope (openstack: --os-project-name).",
        )
    return principal.project


def sees(principal: Principal, project_id: ProjectId) -> bool:
    """Whether the principal may know of what belongs to this project."""
    return principal.is_cloud_admin or (principal.project is not None and principal.project.id == project_id)


def allow_writing(principal: Principal, action: str) -> Project:
    """Let members and above pass, and return their project.

    Raises:
        Forbidden: the principal only reads.
    """
    project = project_of(principal)
    if not principal.has(Role.MEMBER):
        raise Forbidden(
            f"Policy doesn't allow {action} to be performed.",
            code="policy_not_authorized",
            remedy=f"Ask an administrator of project {project.name} for the role member.",
        )
    return project


def allow_administering(principal: Principal, action: str) -> None:
    """Let administrators of the platform pass.

    Raises:
        Forbidden: for everybody else.
    """
    if not principal.is_cloud_admin:
        raise Forbidden(f"Policy doesn't allow {action} to be performed.", code="policy_not_authorized")
