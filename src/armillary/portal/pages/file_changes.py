"""What people change about one node."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from armillary.base.errors import Invalid
from armillary.portal.context import Portal
from armillary.portal.files_shown import address
from armillary.portal.forms import Form, whole
from armillary.portal.visit import Visit
from armillary.vospace.core.names import CORE
from armillary.vospace.core.properties import change_of
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath


def change_node(portal: Portal, visit: Visit, form: Form, path: VOSPath) -> Response:
    """Do what a form on the page of a node asks for."""
    here = f"{address(path)}?about=1"
    match form.text("action"):
        case "move" | "copy" as action:
            typed = form.raw("to")
            goal = VOSPath.parse(typed if typed.startswith("/") else f"{path.parent}/{typed}")
            act = portal.files.move if action == "move" else portal.files.copy
            act(visit.who, path, goal)
            return visit.go(address(path.parent), notice="moved" if action == "move" else "copied")
        case "share":
            change = Change(
                is_public=form.flag("public"),
                group_read=frozenset(form.text("readers").split()),
                group_write=frozenset(form.text("writers").split()),
                inherits=form.flag("inherits") if form.flag("folder") else None,
            )
            portal.files.set_properties(visit.who, path, change)
            return visit.go(f"{here}&notice=shared")
        case "properties":
            return _set_property(portal, visit, form, path, here)
        case "lock" | "unlock" as action:
            portal.files.set_properties(visit.who, path, Change(is_locked=action == "lock"))
            return visit.go(f"{here}&notice=changed")
        case "link":
            portal.shelf.links.make(
                visit.who,
                path,
                lifetime=timedelta(days=_whole(form, "days")),
                most=_whole(form, "most") if form.text("most") else None,
                lists=form.text("lists") != "no",
            )
            return visit.go(f"{here}&notice=link-made#links")
        case other:
            raise Invalid(f"There is no action {other[:40]!r}.", code="invalid_argument")


def _set_property(portal: Portal, visit: Visit, form: Form, path: VOSPath, here: str) -> Response:
    name = form.text("property")
    uri = name if ":" in name else CORE + name
    value = form.raw("value")
    wanted = [(uri, value if value and not form.flag("remove") else None)]
    portal.files.set_properties(visit.who, path, lambda node: change_of(wanted, node))
    return visit.go(f"{here}&notice=changed")


def _whole(form: Form, name: str) -> int:
    number = whole(form.text(name))
    if number is not None:
        return number
    raise Invalid(
        "This must be a whole number.",
        code="invalid_field",
        facts={"field": name},
        remedy="Write digits only.",
    )
