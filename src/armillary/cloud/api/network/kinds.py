"""The routes that every kind of resource has: list, make, show, change, delete, and its tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound
from armillary.cloud.api.network.attributes import JSON, Attributes, read_body, read_fields, tag, tags
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.network.listing import answered, pruned, query_of
from armillary.cloud.network.desk import bad
from armillary.cloud.network.service import NetworkService
from armillary.cloud.network.shelf import Shelf

Sent = Annotated[Any, Body()]
_REVISION = re.compile(r"revision_number=(\d+)")


def _nothing(_network: NetworkService) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of resource as the API serves it."""

    path: str
    """of the collection, such as `security-groups`"""
    item: str
    """the name of the id in the routes' templates"""
    singular: str
    plural: str
    attributes: Attributes
    shelf: Callable[[NetworkService], Shelf[Any]]
    shown: Callable[[NetworkService, Principal, Sequence[Any]], list[JSON]]
    tagged: bool = True
    bulk: bool = True
    followed: Callable[[NetworkService], None] = _nothing
    """Called after a change that the caller wants to see followed when it is answered."""


def routes_of(kind: Kind) -> APIRouter:
    """The routes of a kind."""
    router = APIRouter()
    whole, single = f"/{kind.path}", f"/{kind.path}/{{{kind.item}}}"

    def one(network: NetworkService, who: Principal, thing: Any) -> JSON:
        return {kind.singular: kind.shown(network, who, [thing])[0]}

    def list_them(request: Request, who: Member, network: Network) -> JSON:
        shelf = kind.shelf(network)
        page = shelf.page(who, query_of(request, shelf))
        return answered(request, kind.plural, page, kind.shown(network, who, page.items))

    def make(body: Sent, who: Member, network: Network) -> JSON:
        shelf = kind.shelf(network)
        several = kind.bulk and isinstance(body, dict) and kind.plural in body
        if several:
            found = kind.shown(network, who, shelf.create_all(who, _several(kind, cast("JSON", body))))
            kind.followed(network)
            return {kind.plural: found}
        fields = read_body(body, kind.singular, kind.attributes, creating=True)
        made = shelf.create_all(who, [fields])[0]
        kind.followed(network)
        return one(network, who, made)

    def show(request: Request, who: Member, network: Network) -> JSON:
        found = one(network, who, kind.shelf(network).get(who, _id(kind, request)))
        return {kind.singular: pruned(request, found[kind.singular])}

    def change(request: Request, body: Sent, who: Member, network: Network) -> JSON:
        shelf, identifier = kind.shelf(network), _id(kind, request)
        shelf.get(who, identifier)  # what is not there is said before what is wrong with the body
        fields = read_body(body, kind.singular, kind.attributes, creating=False)
        changed = shelf.update(who, identifier, fields, revision=_revision(request))
        kind.followed(network)
        return one(network, who, changed)

    def delete(request: Request, who: Member, network: Network) -> Response:
        kind.shelf(network).delete(who, _id(kind, request), revision=_revision(request))
        return Response(status_code=204)

    for path, method, endpoint, status in (
        (whole, "GET", list_them, 200),
        (whole, "POST", make, 201),
        (single, "GET", show, 200),
        (single, "PUT", change, 200),
        (single, "DELETE", delete, 204),
    ):
        router.add_api_route(
            path, endpoint, methods=[method], status_code=status, response_model=None,
            name=f"{endpoint.__name__} {kind.plural}", openapi_extra=_described(kind, path),
        )  # fmt: skip
    if kind.tagged:
        _add_tags(router, kind, f"{single}/tags")
    return router


def _several(kind: Kind, body: JSON) -> list[JSON]:
    sent = body[kind.plural]
    if not isinstance(sent, list) or not sent:
        raise bad("Resources required", code="http_bad_request")
    found: list[JSON] = []
    for each in cast("list[Any]", sent):
        # Neutron takes each item with and without its own name around it
        inner = cast("JSON", each).get(kind.singular, each) if isinstance(each, dict) else None
        if not isinstance(inner, dict):
            raise bad("Body contains invalid data", code="http_bad_request")
        found.append(read_fields(cast("JSON", inner), kind.attributes, creating=True))
    return found


def _add_tags(router: APIRouter, kind: Kind, path: str) -> None:
    single = f"{path}/{{tag}}"

    def list_tags(request: Request, who: Member, network: Network) -> JSON:
        return {"tags": list(kind.shelf(network).tags(who, _id(kind, request)))}

    def set_tags(request: Request, body: Sent, who: Member, network: Network) -> JSON:
        wanted = tags(body)
        changed = kind.shelf(network).tag(who, _id(kind, request), lambda _: wanted)
        return {"tags": list(changed.tags)}

    def clear_tags(request: Request, who: Member, network: Network) -> Response:
        kind.shelf(network).tag(who, _id(kind, request), lambda _: ())
        return Response(status_code=204)

    def has_tag(request: Request, who: Member, network: Network) -> Response:
        wanted = request.path_params["tag"]
        if wanted not in kind.shelf(network).tags(who, _id(kind, request)):
            raise _no_tag(wanted)
        return Response(status_code=204)

    def add_tag(request: Request, who: Member, network: Network) -> Response:
        wanted = tag(request.path_params["tag"])
        kind.shelf(network).tag(who, _id(kind, request), lambda known: tuple(dict.fromkeys((*known, wanted))))
        return Response("null", status_code=201, media_type="application/json")

    def remove_tag(request: Request, who: Member, network: Network) -> Response:
        gone = request.path_params["tag"]

        def without(known: tuple[str, ...]) -> Sequence[str]:
            if gone not in known:
                raise _no_tag(gone)
            return tuple(each for each in known if each != gone)

        kind.shelf(network).tag(who, _id(kind, request), without)
        return Response(status_code=204)

    for where, method, endpoint, status in (
        (path, "GET", list_tags, 200),
        (path, "PUT", set_tags, 200),
        (path, "DELETE", clear_tags, 204),
        (single, "GET", has_tag, 204),
        (single, "PUT", add_tag, 201),
        (single, "DELETE", remove_tag, 204),
    ):
        router.add_api_route(
            where, endpoint, methods=[method], status_code=status, response_model=None,
            name=f"{endpoint.__name__} {kind.plural}", openapi_extra=_described(kind, where),
        )  # fmt: skip


def _no_tag(name: str) -> NotFound:
    return NotFound(f"Tag {name} could not be found.", code="tag_not_found")


def _id(kind: Kind, request: Request) -> str:
    return request.path_params[kind.item]


def _revision(request: Request) -> int | None:
    """The revision that `If-Match` names; other conditions are none of ours, as in Neutron."""
    match = _REVISION.fullmatch(request.headers.get("if-match", ""))
    return int(match[1]) if match else None


def _described(kind: Kind, path: str) -> JSON:
    """What OpenAPI cannot see in the endpoints' signatures."""
    names = re.findall(r"{(\w+)}", path)
    schema = {"type": "string", "minLength": 1}
    return {"parameters": [{"name": n, "in": "path", "required": True, "schema": schema} for n in names]}
