"""Regions, services, endpoints and groups: what the catalog says, for those who manage it elsewhere."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from typing import Any

from fastapi import APIRouter

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound
from armillary.cloud.api.identity.faults import KeystoneJSON, need_reader
from armillary.cloud.api.identity.room import Room


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_regions(routes, room)
    _add_services(routes, room)


def _add_regions(routes: APIRouter, room: Room) -> None:
    region: dict[str, Any] = {
        "id": room.catalog.region,
        "description": "",
        "parent_region_id": None,
        "links": {"self": f"{room.url}/regions/{room.catalog.region}"},
    }

    @routes.api_route("/v3/regions", methods=["GET", "HEAD"])
    def regions(who: Principal = room.signed_in) -> KeystoneJSON:
        return KeystoneJSON(room.listing("regions", [region]))

    @routes.api_route("/v3/regions/{region_id}", methods=["GET", "HEAD"])
    def show(region_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        if region_id != room.catalog.region:
            raise NotFound(f"Could not find region: {region_id}.")
        return KeystoneJSON({"region": region})

    @routes.api_route("/v3/groups", methods=["GET", "HEAD"])
    def groups(who: Principal = room.signed_in) -> KeystoneJSON:
        need_reader(who, "identity:list_groups")
        return KeystoneJSON(room.listing("groups", []))


def _add_services(routes: APIRouter, room: Room) -> None:
    def linked(path: str, item: dict[str, Any]) -> dict[str, Any]:
        return item | {"links": {"self": f"{room.url}/{path}/{item['id']}"}}

    def find(path: str, items: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
        for item in items:
            if item["id"] == wanted:
                return linked(path, item)
        raise NotFound(f"Could not find {path.removesuffix('s')}: {wanted}.")

    @routes.api_route("/v3/services", methods=["GET", "HEAD"])
    def services(
        name: str | None = None, type: str | None = None, who: Principal = room.signed_in
    ) -> KeystoneJSON:
        need_reader(who, "identity:list_services")
        found = [
            linked("services", service.document())
            for service in room.catalog.services
            if name in (None, service.name) and type in (None, service.type)
        ]
        return KeystoneJSON(room.listing("services", found))

    @routes.api_route("/v3/services/{service_id}", methods=["GET", "HEAD"])
    def service(service_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        need_reader(who, "identity:get_service")
        documents = [service.document() for service in room.catalog.services]
        return KeystoneJSON({"service": find("services", documents, service_id)})

    @routes.api_route("/v3/endpoints", methods=["GET", "HEAD"])
    def endpoints(
        service_id: str | None = None,
        interface: str | None = None,
        region_id: str | None = None,
        who: Principal = room.signed_in,
    ) -> KeystoneJSON:
        need_reader(who, "identity:list_endpoints")
        found = [
            linked("endpoints", endpoint)
            for endpoint in room.catalog.endpoints()
            if service_id in (None, endpoint["service_id"])
            and interface in (None, endpoint["interface"])
            and region_id in (None, endpoint["region_id"])
        ]
        return KeystoneJSON(room.listing("endpoints", found))

    @routes.api_route("/v3/endpoints/{endpoint_id}", methods=["GET", "HEAD"])
    def endpoint(endpoint_id: str, who: Principal = room.signed_in) -> KeystoneJSON:
        need_reader(who, "identity:get_endpoint")
        return KeystoneJSON({"endpoint": find("endpoints", room.catalog.endpoints(), endpoint_id)})
