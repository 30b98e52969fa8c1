"""Groups: who one shares with. Made, invited into, left and looked after here."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from armillary.accounts.core.group_rules import GroupDetail, Invitation, Place, Places
from armillary.base.errors import ArmillaryError, Forbidden, Invalid
from armillary.notices.model import NoticeKind
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.files_shown import address, visible
from armillary.portal.forms import whole
from armillary.portal.i18n import N_
from armillary.portal.visit import Visit

PLACES = {"member": Place.MEMBER, "admin": Place.ADMIN}
DAYS = (1, 7, 30, 90)
router = APIRouter()


def path_of(name: str) -> str:
    """Return where a group's page is."""
    return f"/groups/{quote(name, safe='')}"


def show_all(
    portal: Portal,
    visit: Visit,
    values: dict[str, str],
    *,
    status: int = 200,
    error: ArmillaryError | None = None,
) -> Response:
    roles = {
        role: portal.accounts.groups_in_role(visit.person, role) for role in ("owner", "admin", "member")
    }
    known: dict[str, list[str]] = {}
    for role, groups in roles.items():
        for group in groups:
            known.setdefault(group.name, []).append(role)
    every = {group.name: group for groups in roles.values() for group in groups}
    return visit.page(
        "groups.html",
        status=status,
        groups=[(every[name], known[name][0], path_of(name)) for name in sorted(every)],
        values=values,
        error=error,
    )


@router.get("/groups")
def groups(portal: Services, visit: Visiting) -> Response:
    query = visit.request.query_params
    values = {"name": query.get("name", ""), "description": query.get("description", "")}
    return show_all(portal, visit, values)


@router.post("/groups")
def create(portal: Services, visit: Visiting, form: Sent) -> Response:
    me = Places(people=frozenset({visit.person.id}))
    name = form.text("name")
    try:
        portal.accounts.open_group(name, by=visit.person, description=form.text("description"), members=me)
    except ArmillaryError as error:
        return show_all(portal, visit, form.values(), status=error.status, error=error)
    return visit.go(path_of(name), notice="group-made")


def looks_after(visit: Visit, detail: GroupDetail, portal: Portal) -> bool:
    """Whether the visitor may change the group. A project's group changes with its project."""
    if detail.is_project:
        return False
    if visit.person.is_admin or (detail.owner and detail.owner.id == visit.person.id):
        return True
    return detail.name in {group.name for group in portal.accounts.groups_in_role(visit.person, "admin")}


def show(
    portal: Portal,
    visit: Visit,
    name: str,
    *,
    status: int = 200,
    error: ArmillaryError | None = None,
    link: tuple[Invitation, str] | None = None,
) -> Response:
    detail = portal.accounts.group_detail(name, by=visit.person)
    changes = looks_after(visit, detail, portal)
    owns = visit.person.is_admin or (detail.owner is not None and detail.owner.id == visit.person.id)
    return visit.page(
        "group.html",
        status=status,
        group=detail,
        path=path_of(detail.name),
        changes=changes,
        owns=owns and not detail.is_project,
        inside=any(person.id == visit.person.id for person in detail.members),
        invitations=portal.accounts.invitations(name, by=visit.person) if changes else [],
        shared=[
            (visible(str(one)), address(one)) for one in portal.files.shared_with(visit.person, detail.name)
        ],
        link=link,
        days=DAYS,
        error=error,
    )


@router.get("/groups/{name}")
def group(portal: Services, visit: Visiting, name: str) -> Response:
    return show(portal, visit, name)


@router.post("/groups/{name}/invite")
def invite(portal: Services, visit: Visiting, form: Sent, name: str) -> Response:
    days, uses = form.text("days"), form.text("uses")
    try:
        made, secret = portal.accounts.invite(
            name,
            by=visit.person,
            place=PLACES.get(form.text("place"), Place.MEMBER),
            lifetime=timedelta(days=int(days) if days in map(str, DAYS) else DAYS[1]),
            uses=_number(uses) if uses else None,
        )
    except ArmillaryError as error:
        return show(portal, visit, name, status=error.status, error=error)
    base = str(visit.request.base_url).rstrip("/")
    return show(portal, visit, name, link=(made, f"{base}/join/{secret}"))


def _number(text: str) -> int:
    number = whole(text)
    if number is None:
        told = {"uses": N_("This must be a whole number.")}
        raise Invalid(
            "This must be a whole number.",
            code="invalid_field",
            facts={"field": "uses", "errors": told},
            remedy="Correct the marked fields.",
        )
    return number


@router.post("/groups/{name}/take-back")
def take_back(portal: Services, visit: Visiting, form: Sent, name: str) -> Response:
    portal.accounts.take_back_invitation(name, form.text("invitation"), by=visit.person)
    return visit.go(path_of(name), notice="invitation-gone")


@router.post("/groups/{name}/put")
def put(portal: Services, visit: Visiting, form: Sent, name: str) -> Response:
    place, who, inner = (
        PLACES.get(form.text("place"), Place.MEMBER),
        form.text("user_name"),
        form.text("group"),
    )
    try:
        if inner:
            portal.accounts.put_into_group(name, place, by=visit.person, group=inner)
        else:
            detail = portal.accounts.group_detail(name, by=visit.person)
            if not looks_after(visit, detail, portal):  # before a word is said of who there is
                raise Forbidden(
                    f"You may not change the group {name}.",
                    code="group_not_yours",
                    facts={"group": name},
                    remedy="Ask its owner.",
                )
            person = portal.accounts.person_named(who)
            portal.accounts.put_into_group(name, place, by=visit.person, person=person.id)
            if person.id != visit.person.id:
                event = f"group/{name}/{place.value}/{portal.clock.now().date()}"
                portal.office.notices.notify(person.id, NoticeKind.GROUP, {"group": name}, event=event)
    except ArmillaryError as error:
        return show(portal, visit, name, status=error.status, error=error)
    return visit.go(path_of(name), notice="group-changed")


@router.post("/groups/{name}/drop")
def drop(portal: Services, visit: Visiting, form: Sent, name: str) -> Response:
    place, who, inner = (
        PLACES.get(form.text("place"), Place.MEMBER),
        form.text("user_name"),
        form.text("group"),
    )
    try:
        person = portal.accounts.person_named(who).id if who else None
        portal.accounts.take_out_of_group(name, place, by=visit.person, person=person, group=inner or None)
    except ArmillaryError as error:
        return show(portal, visit, name, status=error.status, error=error)
    gone = person == visit.person.id and place is Place.MEMBER
    return visit.go("/groups" if gone else path_of(name), notice="group-changed")


@router.post("/groups/{name}/describe")
def describe(portal: Services, visit: Visiting, form: Sent, name: str) -> Response:
    try:
        portal.accounts.edit_group(name, by=visit.person, description=form.text("description"))
    except ArmillaryError as error:
        return show(portal, visit, name, status=error.status, error=error)
    return visit.go(path_of(name), notice="group-changed")


@router.post("/groups/{name}/delete")
def delete(portal: Services, visit: Visiting, form: Sent, name: str) -> Response:
    portal.accounts.group_detail(name, by=visit.person)
    if form.text("name") != name:
        told = {"name": N_("Type the name of the group.")}
        raise Invalid(
            "The name was not typed.",
            code="invalid_field",
            facts={"field": "name", "errors": told},
            remedy="Type the name of the group.",
        )
    portal.accounts.close_group(name, by=visit.person)
    return visit.go("/groups", notice="group-deleted")


@router.get("/join/{secret}")
def invited(portal: Services, visit: Visiting, secret: str) -> Response:
    who = visit.person  # strangers sign in first, and come back
    invitation = portal.accounts.invitation(secret)
    inside = invitation.group in portal.accounts.groups_of(who.id)
    return visit.page("join.html", invitation=invitation, secret=secret, inside=inside)


@router.post("/join/{secret}")
def join(portal: Services, visit: Visiting, form: Sent, secret: str) -> Response:
    name = portal.accounts.accept_invitation(secret, who=visit.person)
    return visit.go(path_of(name), notice="group-joined")
