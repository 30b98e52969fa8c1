"""For administrators: people and projects, found by a word, changed with a click."""

from __future__ import annotations

from collections.abc import Sequence
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
router = APIRouter(prefix="/admin")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A page of a list, and where its neighbours are."""

    newer: str | None
    older: str | None
    count: int


def part_of(found: Sequence[T], path: str, page: int, **query: str) -> tuple[Sequence[T], Part]:
    """Return one page of what was found."""
    page = max(1, min(page, 1 + len(found) // PAGE))

    def address(number: int) -> str:
        return f"{path}?{urlencode({**query, 'page': str(number)})}"

    last = page * PAGE >= len(found)
    shown = found[(page - 1) * PAGE : page * PAGE]
    return shown, Part(
        newer=address(page - 1) if page > 1 else None,
        older=None if last else address(page + 1),
        count=len(found),
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
    word = q.strip().casefold()
    found = [
        person
        for person in portal.accounts.people()
        if word in f"{person.user_name}\n{person.full_name}\n{person.email}\n{person.institute}".casefold()
    ]
    shown, part = part_of(found, "/admin/people", page, q=q)
    return visit.page(
        "admin_people.html",
        status=status,
        q=q,
        people=[(person, portal.accounts.second_factor(person.id) is not None) for person in shown],
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
    word = q.strip().casefold()
    found = [p for p in portal.accounts.projects() if word in f"{p.name}\n{p.description}".casefold()]
    shown, part = part_of(found, "/admin/projects", page, q=q)
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
