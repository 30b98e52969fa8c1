"""`/api/v1/accounts`: registration, sign-in, applications, projects, members, groups, tokens and certificates, as JSON."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependency that is a parameter

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from armillary.accounts.api.access import Desk
from armillary.accounts.api.group_routes import add_certificates, add_groups, add_invitations
from armillary.accounts.api.models import (
    AllocationShape,
    ApplicationBody,
    ApplicationShape,
    ApproveBody,
    DeclineBody,
    IssuedShape,
    LoginBody,
    MemberBody,
    MemberShape,
    MeShape,
    MoreBody,
    PasswordBody,
    PersonChange,
    PersonShape,
    ProjectShape,
    RegisterBody,
    ResetShape,
    TokenBody,
    TokenShape,
)
from armillary.accounts.model import ApplicationState, ErrandKind, Principal, Role, TokenKind
from armillary.accounts.service import AccountsService
from armillary.accounts.tokens import NOTED_KINDS
from armillary.accounts.trail import origin_of
from armillary.base.ids import ApplicationId, TokenId
from armillary.bounded import BoundedRoute

PREFIX = "/api/v1/accounts"


def router(*, service: AccountsService, authenticate: Callable[..., Principal]) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    desk = Desk(service=service)

    def whole(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        return desk.whole(principal)

    signed_in = Depends(whole)
    routes = APIRouter(prefix=PREFIX, tags=["accounts"], route_class=BoundedRoute)
    _add_sign_in(routes, service, desk, signed_in)
    _add_applications(routes, service, desk, signed_in)
    _add_projects(routes, service, desk, signed_in)
    _add_tokens(routes, service, desk, signed_in)
    _add_people(routes, service, desk, signed_in)
    add_groups(routes, service, desk, signed_in)
    add_invitations(routes, service, signed_in)
    add_certificates(routes, service, signed_in)
    return routes


# Each room of routes is a function over the same things; `signed_in` is FastAPI's mark of a dependency.


def _add_sign_in(routes: APIRouter, service: AccountsService, desk: Desk, signed_in: Any) -> None:
    @routes.post("/register", status_code=201)
    def register(body: RegisterBody, request: Request) -> ApplicationShape:
        values = body.model_dump(exclude={"requested"})
        made = service.register(**values, requested=body.requested.value(), origin=origin_of(request))
        return desk.application_shape(made)

    @routes.post("/login", status_code=201)
    def login(body: LoginBody, request: Request) -> IssuedShape:
        origin = origin_of(request)
        person = service.authenticate(body.user_name, body.password, code=body.code, origin=origin)
        lifetime = timedelta(days=body.lifetime_days)
        issued = service.issue_token(person.id, kind=TokenKind.API, lifetime=lifetime, label=body.label)
        return desk.issued_shape(issued, person)

    @routes.post("/logout", status_code=204)
    def logout(who: Principal = signed_in) -> None:
        if who.token is not None:
            service.revoke_token(who.person.id, who.token.id)

    @routes.get("/me")
    def me(who: Principal = signed_in) -> MeShape:
        mine = service.applications_of(who.person.id)
        return MeShape(
            person=PersonShape.model_validate(who.person),
            method=who.method,
            scopes=sorted(who.scopes),
            project=who.project.name if who.project else None,
            projects=[ProjectShape.of(m.project, m.role) for m in service.projects_of(who.person.id)],
            groups=sorted(service.groups_of(who.person.id)),
            applications=desk.application_shapes(mine),
        )

    @routes.post("/me/password", status_code=204)
    def change_password(body: PasswordBody, request: Request, who: Principal = signed_in) -> None:
        keep, origin = who.token.id if who.token else None, origin_of(request)
        service.change_password(who.person.id, body.old_password, body.new_password, keep=keep, origin=origin)


def _add_applications(routes: APIRouter, service: AccountsService, desk: Desk, signed_in: Any) -> None:
    @routes.get("/applications")
    def applications(
        state: ApplicationState | None = None, who: Principal = signed_in
    ) -> list[ApplicationShape]:
        if who.person.is_admin:
            return desk.application_shapes(service.applications(state))
        mine = service.applications_of(who.person.id)
        return desk.application_shapes([one for one in mine if state in (None, one.state)])

    @routes.post("/applications", status_code=201)
    def apply(body: ApplicationBody, who: Principal = signed_in) -> ApplicationShape:
        application = service.request_project(
            who.person.id,
            project_name=body.project_name,
            requested=body.requested.value(),
            reason=body.reason,
        )
        return desk.application_shape(application)

    @routes.get("/applications/{application_id}")
    def application(application_id: str, who: Principal = signed_in) -> ApplicationShape:
        return desk.application_shape(desk.visible_application(who, ApplicationId(application_id)))

    @routes.post("/applications/{application_id}/approve")
    def approve(
        application_id: str, who: Principal = signed_in, body: ApproveBody | None = None
    ) -> ApplicationShape:
        desk.need_administrator(who)
        granted = body.granted.value() if body and body.granted else None
        service.approve(ApplicationId(application_id), by=who.person.id, granted=granted)
        return desk.application_shape(service.application(ApplicationId(application_id)))

    @routes.post("/applications/{application_id}/decline")
    def decline(application_id: str, body: DeclineBody, who: Principal = signed_in) -> ApplicationShape:
        desk.need_administrator(who)
        declined = service.decline(ApplicationId(application_id), by=who.person.id, reason=body.reason)
        return desk.application_shape(declined)


def _add_projects(routes: APIRouter, service: AccountsService, desk: Desk, signed_in: Any) -> None:
    @routes.get("/projects")
    def projects(
        everybodys: Annotated[bool, Query(alias="all")] = False, who: Principal = signed_in
    ) -> list[ProjectShape]:
        if everybodys:
            desk.need_administrator(who)
            return [ProjectShape.of(project) for project in service.projects()]
        return [ProjectShape.of(m.project, m.role) for m in service.projects_of(who.person.id)]

    @routes.get("/projects/{name}")
    def project(name: str, who: Principal = signed_in) -> ProjectShape:
        found, role = desk.visible_project(who, name)
        return ProjectShape.of(found, role)

    @routes.put("/projects/{name}/allocation")
    def change_allocation(name: str, body: AllocationShape, who: Principal = signed_in) -> ProjectShape:
        found, role = desk.visible_project(who, name)
        changed = service.change_allocation(found.id, body.value(), by=who.person.id)
        return ProjectShape.of(changed, role)

    @routes.post("/projects/{name}/more", status_code=201)
    def more(name: str, body: MoreBody, who: Principal = signed_in) -> ApplicationShape:
        found, _ = desk.visible_project(who, name)
        application = service.request_more(
            who.person.id, found.id, requested=body.requested.value(), reason=body.reason
        )
        return desk.application_shape(application)

    @routes.get("/projects/{name}/members")
    def members(name: str, who: Principal = signed_in) -> list[MemberShape]:
        found, _ = desk.visible_project(who, name)
        return [MemberShape.of(member) for member in service.members(found.id)]

    @routes.put("/projects/{name}/members/{user_name}")
    def set_member(name: str, user_name: str, body: MemberBody, who: Principal = signed_in) -> MemberShape:
        person = service.person_named(user_name)
        found = desk.managed_project(who, name, person.id, body.role)
        return MemberShape.of(service.set_role(found.id, person.id, body.role))

    @routes.delete("/projects/{name}/members/{user_name}", status_code=204)
    def remove_member(name: str, user_name: str, who: Principal = signed_in) -> None:
        person = service.person_named(user_name)
        found = desk.managed_project(who, name, person.id, Role.READER)
        service.remove_member(found.id, person.id)


def _add_tokens(routes: APIRouter, service: AccountsService, desk: Desk, signed_in: Any) -> None:
    @routes.get("/tokens")
    def tokens(who: Principal = signed_in) -> list[TokenShape]:
        return [TokenShape.of(token) for token in service.tokens_of(who.person.id, kinds=NOTED_KINDS)]

    @routes.post("/tokens", status_code=201)
    def make_token(body: TokenBody, who: Principal = signed_in) -> IssuedShape:
        project = desk.visible_project(who, body.project)[0] if body.project else who.project
        issued = service.issue_token(
            who.person.id,
            kind=TokenKind.API,
            lifetime=timedelta(days=body.lifetime_days),
            project_id=project.id if project else None,
            label=body.label,
            scopes=desk.grantable_scopes(who, frozenset(body.scopes)),
        )
        return desk.issued_shape(issued, who.person)

    @routes.delete("/tokens/{token_id}", status_code=204)
    def revoke(token_id: str, who: Principal = signed_in) -> None:
        service.revoke_token(who.person.id, TokenId(token_id))


def _add_people(routes: APIRouter, service: AccountsService, desk: Desk, signed_in: Any) -> None:
    @routes.get("/people")
    def people(who: Principal = signed_in) -> list[PersonShape]:
        desk.need_administrator(who)
        return [PersonShape.model_validate(person) for person in service.people()]

    @routes.post("/people/{user_name}/reset-link", status_code=201)
    def reset_link(user_name: str, who: Principal = signed_in) -> ResetShape:
        desk.need_administrator(who)
        secret = service.begin_errand(ErrandKind.RESET, person_id=service.person_named(user_name).id)
        return ResetShape(path=f"/reset/{secret}")

    @routes.delete("/people/{user_name}/second-factor", status_code=204)
    def clear_second_factor(user_name: str, who: Principal = signed_in) -> None:
        desk.need_administrator(who)
        service.clear_second_factor(service.person_named(user_name).id)

    @routes.patch("/people/{user_name}")
    def change_person(user_name: str, body: PersonChange, who: Principal = signed_in) -> PersonShape:
        desk.need_administrator(who)
        person = service.person_named(user_name)
        if body.password is not None:
            service.set_password(person.id, body.password)
        changed = service.update_person(person.id, enabled=body.enabled, is_admin=body.is_admin)
        return PersonShape.model_validate(changed)
