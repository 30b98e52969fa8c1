"""For administrators: people and projects, found by a word, changed with a click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from armillary.accounts.core.rules import LIMITS
from armillary.base.errors import ArmillaryError, NotFound
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.pages.growing import typed
from armillary.portal.visit import Visit

PAGE = 50
_FARTHEST = 10**6
"""A page that nobody has; what is beyond is beyond the numbers of databases, too."""
router = APIRouter(prefix="/admin")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A page of a list, and where its neighbours are."""

    newer: str | None
    older: str | None
    count: int


def part_of(
    find: Callable[[int], tuple[Sequence[T], int]], path: str, page: int, **query: str
) -> tuple[Sequence[T], Part]:
    """Return one page of what `find` finds behind so many; behind the last page, the last."""
    page = min(max(1, page), _FARTHEST)
    shown, count = find((page - 1) * PAGE)
    last = max(1, -(-count // PAGE))
    if page > last:
        page = last
        shown, count = find((page - 1) * PAGE)

    def address(number: int) -> str:
        return f"{path}?{urlencode({**query, 'page': str(number)})}"

    return shown, Part(
        newer=address(page - 1) if page > 1 else None,
        older=address(page + 1) if page < last else None,
        count=count,
    )


def show_people(
    portal: Portal,
    visit: Visit,
    q: str = "",
    page: int = 1,
    *,
    status: int = 200,
    error: ArmillaryError | None = None,
) -> Response:
    shown, part = part_of(
        lambda skip: portal.accounts.find_people(q, skip=skip, limit=PAGE), "/admin/people", page, q=q
    )
    factors = portal.accounts.with_second_factor([person.id for person in shown])
    return visit.page(
        "admin_people.html",
        status=status,
        q=q,
        people=[(person, person.id in factors) for person in shown],
        part=part,
        error=error,
    )


@router.get("/people")
def people(portal: Services, visit: Visiting, q: str = "", page: int = 1) -> Response:
    visit.need_admin()
    return show_people(portal, visit, q, page)


@router.post("/people/{user_name}/{act}")
def change_person(portal: Services, visit: Visiting, form: Sent, user_name: str, act: str) -> Response:
    visit.need_admin()
    accounts, q = portal.accounts, form.text("q")
    person = accounts.person_named(user_name)
    changes: dict[str, dict[str, Any]] = {
        "disable": {"enabled": False},
        "enable": {"enabled": True},
        "promote": {"is_admin": True},
        "demote": {"is_admin": False},
    }
    try:
        accounts.update_person(person.id, **changes[act])
    except KeyError as error:
        raise NotFound("There is no such page.", code="page_not_found") from error
    except ArmillaryError as error:
        return show_people(portal, visit, q, status=error.status, error=error)
    return visit.go("/admin/people", q=q, notice="person-changed")


def show_projects(
    portal: Portal,
    visit: Visit,
    q: str = "",
    page: int = 1,
    *,
    status: int = 200,
    error: ArmillaryError | None = None,
) -> Response:
    shown, part = part_of(
        lambda skip: portal.accounts.find_projects(q, skip=skip, limit=PAGE), "/admin/projects", page, q=q
    )
    return visit.page(
        "admin_projects.html",
        status=status,
        q=q,
        projects=[
            (project, typed(project.allocation), portal.accounts.members(project.id)) for project in shown
        ],
        part=part,
        least={name: 0 if bounds[0] == 0 else 1 for name, bounds in LIMITS.items()},
        error=error,
    )


@router.get("/projects")
def projects(portal: Services, visit: Visiting, q: str = "", page: int = 1) -> Response:
    visit.need_admin()
    return show_projects(portal, visit, q, page)


@router.post("/projects/{name}/allocation")
def change_allocation(portal: Services, visit: Visiting, form: Sent, name: str) -> Response:
    by = visit.need_admin()
    project = portal.accounts.project_named(name)
    try:
        portal.accounts.change_allocation(project.id, form.allocation(), by=by.id)
    except ArmillaryError as error:
        return show_projects(portal, visit, form.text("q"), status=error.status, error=error)
    return visit.go("/admin/projects", q=form.text("q"), notice="allocation-changed")


@router.post("/projects/{name}/{act}")
def switch_project(portal: Services, visit: Visiting, form: Sent, name: str, act: str) -> Response:
    visit.need_admin()
    if act not in ("disable", "enable"):
        raise NotFound("There is no such page.", code="page_not_found")
    project = portal.accounts.project_named(name)
    portal.accounts.update_project(project.id, enabled=act == "enable")
    return visit.go("/admin/projects", q=form.text("q"), notice="project-changed")
