"""`/v3/auth`: tokens, the catalog, and what a token may be scoped to."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from armillary.accounts.model import CloudScope, Principal
from armillary.base.errors import Forbidden, Invalid, NotFound, Unauthorized
from armillary.cloud.api.auth import KEYSTONE_ONLY, as_keystone
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON, denied
from armillary.cloud.api.identity.room import DOMAIN, JSONObject, Room
from armillary.cloud.api.identity.signing_in import sign_in

Subject = Annotated[str | None, Header(alias="X-Subject-Token")]


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_tokens(routes, room)
    _add_scopes(routes, room)


def _add_tokens(routes: APIRouter, room: Room) -> None:
    def subject_of(who: Principal, secret: str | None, action: str) -> Principal:
        if not secret:
            raise Invalid("Expecting to find X-Subject-Token in the headers.")
        try:
            subject = room.accounts.check_token(secret, kinds=KEYSTONE_ONLY)
        except Unauthorized as error:
            raise NotFound("Could not find token.") from error
        if subject.person.id != who.person.id and not who.is_cloud_admin:
            raise denied(action)
        return as_keystone(subject)

    def document_of(principal: Principal, *, catalog: bool) -> dict[str, Any]:
        credential_id = principal.facts.get("credential_id")
        credential = None if credential_id is None else room.accounts.application_credential(credential_id)
        return views.token(principal, room.catalog if catalog else None, credential)

    @routes.post("/v3/auth/tokens")
    def issue(body: JSONObject, nocatalog: str | None = None) -> KeystoneJSON:
        issued = sign_in(room, body)
        # read it back as any service would, so that the body says what the token will be taken for
        principal = as_keystone(room.accounts.check_token(issued.secret))
        document = document_of(principal, catalog=nocatalog is None)
        return KeystoneJSON(document, status_code=201, headers={"X-Subject-Token": issued.secret})

    @routes.api_route("/v3/auth/tokens", methods=["GET", "HEAD"])
    def show(
        subject: Subject = None,
        nocatalog: str | None = None,
        understood: Annotated[str | None, Header(alias="OpenStack-Identity-Access-Rules")] = None,
        who: Principal = room.signed_in,
    ) -> KeystoneJSON:
        shown = subject_of(who, subject, "identity:validate_token")
        if shown.access_rules is not None and not understood:
            # whoever asks would not keep to rules that it does not know of
            raise NotFound("Failed to validate token")
        document = document_of(shown, catalog=nocatalog is None)
        return KeystoneJSON(document, headers={"X-Subject-Token": subject or ""})

    @routes.delete("/v3/auth/tokens")
    def revoke(subject: Subject = None, who: Principal = room.signed_in) -> Response:
        subject_of(who, subject, "identity:revoke_token")
        room.accounts.revoke_secret(subject or "")
        return Response(status_code=204)


def _add_scopes(routes: APIRouter, room: Room) -> None:
    @routes.api_route("/v3/auth/catalog", methods=["GET", "HEAD"])
    def catalog(who: Principal = room.signed_in) -> KeystoneJSON:
        if who.project is None:
            raise Forbidden("A project-scoped token is required to produce a service catalog.")
        services = room.catalog.for_token(who.project.id if who.project else None)
        return KeystoneJSON({"catalog": services, "links": {"self": f"{room.url}/auth/catalog"}})

    @routes.api_route("/v3/auth/projects", methods=["GET", "HEAD"])
    def projects(who: Principal = room.signed_in) -> KeystoneJSON:
        mine = [project for project in room.accounts.projects_open_to(who.person.id) if project.enabled]
        shown = [views.project(project, room.url) for project in mine]
        return KeystoneJSON(room.listing("projects", shown, "auth/projects"))

    def _has_roles(who: Principal, scope: CloudScope) -> bool:
        person = room.accounts.person(who.person.id)  # the token's own limits do not matter here
        return person.is_admin or bool(room.accounts.cloud_grants(scope=scope, person_id=person.id))

    @routes.api_route("/v3/auth/domains", methods=["GET", "HEAD"])
    def domains(who: Principal = room.signed_in) -> KeystoneJSON:
        mine: list[dict[str, Any]] = [dict(DOMAIN)] if _has_roles(who, CloudScope.DOMAIN) else []
        return KeystoneJSON(room.listing("domains", mine, "auth/domains"))

    @routes.api_route("/v3/auth/system", methods=["GET", "HEAD"])
    def system(who: Principal = room.signed_in) -> KeystoneJSON:
        mine: list[dict[str, Any]] = [{"all": True}] if _has_roles(who, CloudScope.SYSTEM) else []
        return KeystoneJSON(room.listing("system", mine, "auth/system"))
