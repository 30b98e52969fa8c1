"""What users keep beside application credentials: their access rules, and pairs of keys for clients that sign."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from fastapi import APIRouter, Response

from armillary.accounts.model import AccessRule, EC2Credential, Person, Principal
from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import PersonId
from armillary.cloud.api.identity import views
from armillary.cloud.api.identity.faults import KeystoneJSON, denied
from armillary.cloud.api.identity.room import JSONObject, Room, some_text

_RULES = "/v3/users/{user_id}/access_rules"
_PAIRS = "/v3/users/{user_id}/credentials/OS-EC2"


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_rules(routes, room)
    _add_pairs(routes, room)


def _add_rules(routes: APIRouter, room: Room) -> None:
    def find(person: Person, rule_id: str) -> AccessRule:
        for rule in room.accounts.access_rules_of(person.id):
            if rule.id == rule_id:
                return rule
        raise NotFound(f"Could not find Access Rule: {rule_id}.")

    @routes.api_route(_RULES, methods=["GET", "HEAD"])
    def rules(
        user_id: str,
        service: str | None = None,
        path: str | None = None,
        method: str | None = None,
        who: Principal = room.signed_in,
    ) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:list_access_rules")
        found = [
            views.linked_access_rule(rule, room.url)
            for rule in room.accounts.access_rules_of(person.id)
            if service in (None, rule.service) and path in (None, rule.path) and method in (None, rule.method)
        ]
        return KeystoneJSON(room.listing("access_rules", found, f"users/{user_id}/access_rules"))

    @routes.api_route(_RULES + "/{rule_id}", methods=["GET", "HEAD"])
    def rule(user_id: str, rule_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:get_access_rule")
        return KeystoneJSON({"access_rule": views.linked_access_rule(find(person, rule_id), room.url)})

    @routes.delete(_RULES + "/{rule_id}")
    def delete(user_id: str, rule_id: str, who: Principal = room.signed_in) -> Response:
        person = room.need_self(who, user_id, "identity:delete_access_rule")
        rule = find(person, rule_id)
        try:
            room.accounts.delete_access_rule(person.id, rule.id)
        except Forbidden as error:
            raise Forbidden("May not delete access rule in use", remedy=error.message) from error
        return Response(status_code=204)


def _add_pairs(routes: APIRouter, room: Room) -> None:
    def find(person_id: PersonId, access: str) -> EC2Credential:
        for pair in room.accounts.ec2_credentials_of(person_id):
            if pair.access == access:
                return pair
        raise NotFound(f"Could not find credential: {access}.")

    @routes.api_route(_PAIRS, methods=["GET", "HEAD"])
    def pairs(user_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:ec2_list_credentials")
        found = [views.ec2_credential(pair, room.url) for pair in room.accounts.ec2_credentials_of(person.id)]
        return KeystoneJSON(room.listing("credentials", found, f"users/{user_id}/credentials/OS-EC2"))

    @routes.post(_PAIRS)
    def create(user_id: str, body: JSONObject, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:ec2_create_credential")
        project = room.project(some_text(body, "tenant_id") or "None")
        if who.facts.get("credential_id") is not None:  # else its limits would be worth nothing
            raise denied("identity:ec2_create_credential")
        try:
            pair = room.accounts.create_ec2_credential(person.id, project.id)
        except Forbidden as error:
            raise denied("identity:ec2_create_credential") from error
        return KeystoneJSON({"credential": views.ec2_credential(pair, room.url)}, status_code=201)

    @routes.api_route(_PAIRS + "/{access}", methods=["GET", "HEAD"])
    def pair(user_id: str, access: str, who: Principal = room.signed_in) -> KeystoneJSON:
        person = room.need_self(who, user_id, "identity:ec2_get_credential")
        return KeystoneJSON({"credential": views.ec2_credential(find(person.id, access), room.url)})

    @routes.delete(_PAIRS + "/{access}")
    def delete(user_id: str, access: str, who: Principal = room.signed_in) -> Response:
        person = room.need_self(who, user_id, "identity:ec2_delete_credential")
        room.accounts.delete_ec2_credential(person.id, find(person.id, access).access)
        return Response(status_code=204)
