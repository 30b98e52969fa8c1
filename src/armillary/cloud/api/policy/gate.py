"""The one place where roles are asked for: before every route of a service, by its row in the table.

Which of the many things behind a route somebody may see is not decided here: that is the services' own, who know
whose they are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid
from armillary.cloud.api.policy.rows import ANYONE, MANAGER, MEMBER, READER, Row
from armillary.cloud.api.shared import caller

log = logging.getLogger(__name__)

Decide = Callable[[Request], Awaitable[None]]
Found = Mapping[str, Row | Mapping[str, Row]]
"""What is asked of each method of a route: one row, or one for each action."""

_NOVA = "Policy doesn't allow {rule} to be performed."
WORDS = {
    "identity": "You are not authorized to perform the requested action: {rule}.",
    "image": "You are not authorized to complete {rule} action.",
    "compute": _NOVA,
    "network": "rule:{rule} is disallowed by policy",
    "volume": _NOVA,
}
"""How each service says no."""
_OF_PROJECTS = (READER, MEMBER, MANAGER)


def gate(*, service: str, prefix: str, rows: Sequence[Row]) -> Decide:
    """Return the dependency that an application puts before all its routes: `FastAPI(dependencies=[Depends(…)])`.

    Args:
        service: whose words a refusal has, see `WORDS`.
        prefix: what its routes have before the paths of the table.
        rows: the service's part of the table.
    """
    known: dict[int, Found] = {}

    async def decide(request: Request) -> None:
        if not known:
            known.update(_by_route(request.app.routes, prefix=prefix, rows=rows))
        found = known.get(id(request.scope["route"]), {})
        row = found.get("GET" if request.method == "HEAD" else request.method)
        if row is None:
            log.error("%s %s has no row in the policy of %s", request.method, request.url.path, service)
            raise Forbidden(WORDS[service].format(rule=request.url.path), code="policy_not_authorized")
        if isinstance(row, Row):
            if row.least is not ANYONE:
                _allow(service, row, await caller(request))
            return
        who = await caller(request)
        for action in await _actions(request):
            if action not in row:
                raise Invalid(f"There is no such action: {action}", code="no_such_action")
            _allow(service, row[action], who)

    return decide


async def at_the_gate(request: Request) -> None:
    """Ask the gate of the application that was called, its `state.gate`: for routes that several clouds share."""
    await request.app.state.gate(request)


def at_their_gates(rooms: Iterable[tuple[str, APIRouter]]) -> Sequence[BaseRoute]:
    """Return the routes of rooms, each with its prefix, for all clouds of a process.

    FastAPI makes a route ready with its first request, which takes long: so this is asked for once.
    """
    shared = APIRouter(dependencies=[Depends(at_the_gate)])
    for prefix, room in rooms:
        shared.include_router(room, prefix=prefix)
    return shared.routes


def templates(routes: Sequence[BaseRoute], *, prefix: str) -> list[tuple[int, str, frozenset[str]]]:
    """Return of each route its identity, its path without the prefix and its methods, HEAD as GET."""
    found: list[tuple[int, str, frozenset[str]]] = []
    for context in iter_route_contexts(routes):
        path = (context.path or "").removeprefix(prefix)
        methods = frozenset("GET" if method == "HEAD" else method for method in context.methods or ())
        found.append((id(context.original_route), path.rstrip("/") or "/", methods))
    return found


def _by_route(routes: Sequence[BaseRoute], *, prefix: str, rows: Sequence[Row]) -> dict[int, Found]:
    table: dict[tuple[str, str], Row | dict[str, Row]] = {}
    for row in rows:
        if row.action:
            actions = table.setdefault((row.method, row.path), {})
            cast("dict[str, Row]", actions)[row.action] = row
        else:
            table[row.method, row.path] = row
    return {
        identity: {
            method: row for method in methods if (row := table.get((method, path)) or table.get(("*", path)))
        }
        for identity, path, methods in templates(routes, prefix=prefix)
    }


def _allow(service: str, row: Row, who: Principal) -> None:
    met = row.least.met_by(who)
    if met and (who.project is not None or not row.project):
        return
    remedy = ""
    if who.project is None and (row.project or row.least in _OF_PROJECTS):
        remedy = "Ask for a token with a project in its scope (openstack: --os-project-name)."
    elif who.project is not None and row.least in _OF_PROJECTS:
        remedy = f"Ask an administrator of project {who.project.name} for the role {row.least.value}."
    message = WORDS[service].format(rule=row.rule)
    raise Forbidden(message, code="policy_not_authorized", remedy=remedy)


async def _actions(request: Request) -> list[str]:
    """The names of the actions that a body asks for; the route itself refuses what is none or more than one."""
    try:
        body: Any = await request.json()
    except ValueError:
        return []
    return list(cast("dict[str, Any]", body)) if isinstance(body, dict) else []
