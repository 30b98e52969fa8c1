"""`/api/v1/accounts/groups` and `/certificates`, as JSON."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependency that is a parameter

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from armillary.accounts.api.access import Desk
from armillary.accounts.api.group_models import (
    AcceptBody,
    AcceptedShape,
    CertificateShape,
    GroupBody,
    GroupBriefShape,
    GroupChange,
    GroupShape,
    InvitationBody,
    InvitationShape,
    NewInvitationShape,
)
from armillary.accounts.core.group_rules import Place, Places
from armillary.accounts.model import Principal
from armillary.accounts.service import AccountsService

_PLACES = {"members": Place.MEMBER, "admins": Place.ADMIN}
PlaceName = Literal["members", "admins"]


def add_groups(routes: APIRouter, service: AccountsService, desk: Desk, signed_in: Any) -> None:
    """Add the routes of groups; `signed_in` is FastAPI's mark of a dependency."""

    @routes.get("/groups")
    def groups(
        role: Literal["member", "admin", "owner"] = "member",
        everybodys: Annotated[bool, Query(alias="all")] = False,
        who: Principal = signed_in,
    ) -> list[GroupBriefShape]:
        if everybodys:
            desk.need_administrator(who)
            return [GroupBriefShape.of(group) for group in service.every_group()]
        return [GroupBriefShape.of(group) for group in service.groups_in_role(who.person, role)]

    @routes.post("/groups", status_code=201)
    def create(body: GroupBody, who: Principal = signed_in) -> GroupShape:
        members = Places(people=frozenset({who.person.id} if body.join else ()))
        made = service.open_group(body.name, by=who.person, description=body.description, members=members)
        return GroupShape.whole(made)

    @routes.get("/groups/{name}")
    def show(name: str, who: Principal = signed_in) -> GroupShape:
        return GroupShape.whole(service.group_detail(name, by=who.person))

    @routes.patch("/groups/{name}")
    def change(name: str, body: GroupChange, who: Principal = signed_in) -> GroupShape:
        return GroupShape.whole(service.edit_group(name, by=who.person, description=body.description))

    @routes.delete("/groups/{name}", status_code=204)
    def delete(name: str, who: Principal = signed_in) -> None:
        service.close_group(name, by=who.person)

    @routes.put("/groups/{name}/{place}/people/{user_name}", status_code=204)
    def put_person(name: str, place: PlaceName, user_name: str, who: Principal = signed_in) -> None:
        person = service.person_named(user_name).id
        service.put_into_group(name, _PLACES[place], by=who.person, person=person)

    @routes.delete("/groups/{name}/{place}/people/{user_name}", status_code=204)
    def drop_person(name: str, place: PlaceName, user_name: str, who: Principal = signed_in) -> None:
        person = service.person_named(user_name).id
        service.take_out_of_group(name, _PLACES[place], by=who.person, person=person)

    @routes.put("/groups/{name}/{place}/groups/{inner}", status_code=204)
    def put_group(name: str, place: PlaceName, inner: str, who: Principal = signed_in) -> None:
        service.put_into_group(name, _PLACES[place], by=who.person, group=inner)

    @routes.delete("/groups/{name}/{place}/groups/{inner}", status_code=204)
    def drop_group(name: str, place: PlaceName, inner: str, who: Principal = signed_in) -> None:
        service.take_out_of_group(name, _PLACES[place], by=who.person, group=inner)


def add_invitations(routes: APIRouter, service: AccountsService, signed_in: Any) -> None:
    """Add the routes of links into groups."""

    @routes.get("/groups/{name}/invitations")
    def invitations(name: str, who: Principal = signed_in) -> list[InvitationShape]:
        return [InvitationShape.model_validate(one) for one in service.invitations(name, by=who.person)]

    @routes.post("/groups/{name}/invitations", status_code=201)
    def invite(name: str, body: InvitationBody, who: Principal = signed_in) -> NewInvitationShape:
        made, secret = service.invite(
            name,
            by=who.person,
            place=_PLACES[body.place],
            lifetime=timedelta(days=body.days),
            uses=body.uses,
        )
        return NewInvitationShape(**InvitationShape.model_validate(made).model_dump(), path=f"/join/{secret}")

    @routes.delete("/groups/{name}/invitations/{invitation_id}", status_code=204)
    def take_back(name: str, invitation_id: str, who: Principal = signed_in) -> None:
        service.take_back_invitation(name, invitation_id, by=who.person)

    @routes.post("/invitations/accept")
    def accept(body: AcceptBody, who: Principal = signed_in) -> AcceptedShape:
        return AcceptedShape(group=service.accept_invitation(body.secret, who=who.person))


def add_certificates(routes: APIRouter, service: AccountsService, signed_in: Any) -> None:
    """Add the routes of certificates. They are issued at `/cred/generate`."""

    @routes.get("/certificates")
    def certificates(who: Principal = signed_in) -> list[CertificateShape]:
        return [CertificateShape.of(one) for one in service.certificates_of(who.person.id)]

    @routes.delete("/certificates", status_code=204)
    def revoke_all(who: Principal = signed_in) -> None:
        service.revoke_certificates(who.person.id)

    @routes.delete("/certificates/{serial}", status_code=204)
    def revoke(serial: str, who: Principal = signed_in) -> None:
        service.revoke_certificate(who.person.id, serial)
