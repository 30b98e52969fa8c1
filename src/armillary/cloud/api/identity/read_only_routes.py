"""Regions, services, endpoints, limits: what the catalog says, for those who manage it elsewhere."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from typing import Any

from fastapi import APIRouter

from armillary.base.errors import Forbidden, NotFound
from armillary.cloud.api.identity.faults import KeystoneJSON
from armillary.cloud.api.identity.room import Room


def add(routes: APIRouter, room: Room) -> None:
    """Add the routes."""
    _add_regions(routes, room)
    _add_services(routes, room)
    _add_limits(routes, room)
    _add_refusals(routes, room)


def _add_regions(routes: APIRouter, room: Room) -> None:
    region: dict[str, Any] = {
        "id": room.catalog.region,
        "description": "",
        "parent_region_id": None,
        "links": {"self": f"{room.url}/regions/{room.catalog.region}"},
    }

    @routes.api_route("/v3/regions", methods=["GET", "HEAD"])
    def regions() -> KeystoneJSON:
        return KeystoneJSON(room.listing("regions", [region]))

    @routes.api_route("/v3/regions/{region_id}", methods=["GET", "HEAD"])
    def show(region_id: str) -> KeystoneJSON:
        if region_id != room.catalog.region:
            raise NotFound(f"Could not find region: {region_id}.")
        return KeystoneJSON({"region": region})


def _add_services(routes: APIRouter, room: Room) -> None:
    def linked(path: str, item: dict[str, Any]) -> dict[str, Any]:
        return item | {"links": {"self": f"{room.url}/{path}/{item['id']}"}}

    def find(path: str, items: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
        for item in items:
            if item["id"] == wanted:
                return linked(path, item)
        raise NotFound(f"Could not find {path.removesuffix('s')}: {wanted}.")

    @routes.api_route("/v3/services", methods=["GET", "HEAD"])
    def services(name: str | None = None, type: str | None = None) -> KeystoneJSON:
        found = [
            linked("services", service.document())
            for service in room.catalog.services
            if name in (None, service.name) and type in (None, service.type)
        ]
        return KeystoneJSON(room.listing("services", found))

    @routes.api_route("/v3/services/{service_id}", methods=["GET", "HEAD"])
    def service(service_id: str) -> KeystoneJSON:
        documents = [service.document() for service in room.catalog.services]
        return KeystoneJSON({"service": find("services", documents, service_id)})

    @routes.api_route("/v3/endpoints", methods=["GET", "HEAD"])
    def endpoints(
        service_id: str | None = None,
        interface: str | None = None,
        region_id: str | None = None,
    ) -> KeystoneJSON:
        found = [
            linked("endpoints", endpoint)
            for endpoint in room.catalog.endpoints()
            if service_id in (None, endpoint["service_id"])
            and interface in (None, endpoint["interface"])
            and region_id in (None, endpoint["region_id"])
        ]
        return KeystoneJSON(room.listing("endpoints", found))

    @routes.api_route("/v3/endpoints/{endpoint_id}", methods=["GET", "HEAD"])
    def endpoint(endpoint_id: str) -> KeystoneJSON:
        return KeystoneJSON({"endpoint": find("endpoints", room.catalog.endpoints(), endpoint_id)})


def _add_limits(routes: APIRouter, room: Room) -> None:
    """Limits are set in the services and in the accounts here; Keystone's unified ones are none."""

    @routes.api_route("/v3/limits", methods=["GET", "HEAD"])
    def limits() -> KeystoneJSON:
        return KeystoneJSON(room.listing("limits", []))

    @routes.api_route("/v3/limits/model", methods=["GET", "HEAD"])
    def model() -> KeystoneJSON:
        description = "Limit enforcement and validation does not take project hierarchy into consideration."
        return KeystoneJSON({"model": {"name": "flat", "description": description}})

    @routes.api_route("/v3/registered_limits", methods=["GET", "HEAD"])
    def registered() -> KeystoneJSON:
        return KeystoneJSON(room.listing("registered_limits", []))


def _add_refusals(routes: APIRouter, room: Room) -> None:
    for name in ("region", "service", "endpoint"):
        _refuse(routes, room, name)


def _refuse(routes: APIRouter, room: Room, name: str) -> None:
    """The catalog follows from the cloud's settings, not from requests."""
    fixed = f"The {name}s of this cloud are fixed: they follow from its settings."

    @routes.post(f"/v3/{name}s")
    def create() -> None:
        raise Forbidden(fixed)

    @routes.patch(f"/v3/{name}s/{{{name}_id}}")
    def update() -> None:
        raise Forbidden(fixed)

    @routes.delete(f"/v3/{name}s/{{{name}_id}}")
    def delete() -> None:
        raise Forbidden(fixed)
