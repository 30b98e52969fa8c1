"""Who may see what of batch: people their projects, administrators all, limited tokens no more than they are for."""

from __future__ import annotations

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden
from armillary.base.ids import ProjectId
from armillary.batch.ports import People
from armillary.batch.store.records import Scope

READ, WRITE = "batch:read", "batch:write"
"""scopes that a limited token needs for batch"""


def scope_of(who: Principal, people: People) -> Scope:
    """Return the projects that the caller may see. Raises Forbidden `scope_missing`."""
    if not who.allows(READ) and not who.allows(WRITE):
        raise out_of_scope(READ)
    bound = who.token.project_id if who.token else None
    if who.person.is_admin:
        return None if bound is None else [bound]
    mine: list[ProjectId] = [m.project.id for m in people.projects_of(who.person.id)]
    return [project for project in mine if bound in (None, project)]


def need_write(who: Principal) -> None:
    """Raise Forbidden `scope_missing` for a limited token that is not for changing anything, such as a job's."""
    if not who.allows(WRITE):
        raise out_of_scope(WRITE)


def out_of_scope(scope: str) -> Forbidden:
    """Say that a limited token is not for this."""
    return Forbidden(
        "this credential is not for batch jobs",
        code="scope_missing",
        facts={"scope": scope},
        remedy="Sign in, or make a token without limits.",
    )
