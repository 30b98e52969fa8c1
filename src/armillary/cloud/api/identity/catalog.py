"""Which services a cloud has, and where."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from armillary.base.ids import ProjectId

INTERFACES = ("public", "internal", "admin")


def stable_id(*words: str) -> str:
    """Return 32 hexadecimal digits that are the same for the same words on every start."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "armillary:" + ":".join(words)).hex


@dataclass(frozen=True, kw_only=True)
class CatalogService:
    """One service. `url` may contain `{project_id}`; then only tokens with a project have it."""

    type: str
    name: str
    url: str

    @property
    def id(self) -> str:
        """The service's identifier."""
        return stable_id("service", self.type)

    def document(self) -> dict[str, Any]:
        """Return the service as `/v3/services` shows it."""
        return {"id": self.id, "type": self.type, "name": self.name, "enabled": True, "description": ""}


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The services of one cloud, which has one region."""

    region: str
    services: tuple[CatalogService, ...]

    @property
    def identity_url(self) -> str:
        """The base of all links of Identity itself, ending in `/v3`."""
        return next(service.url for service in self.services if service.type == "identity").rstrip("/")

    def for_token(self, project_id: ProjectId | None) -> list[dict[str, Any]]:
        """Return the catalog as a token for this project carries it."""
        return [
            {
                "id": service.id,
                "type": service.type,
                "name": service.name,
                "endpoints": [
                    {
                        "id": endpoint["id"],
                        "interface": endpoint["interface"],
                        "region_id": self.region,
                        "region": self.region,
                        "url": endpoint["url"].replace("{project_id}", project_id or ""),
                    }
                    for endpoint in self._endpoints_of(service)
                ],
            }
            for service in self.services
            if project_id or "{project_id}" not in service.url
        ]

    def endpoints(self) -> list[dict[str, Any]]:
        """Return the endpoints as `/v3/endpoints` shows them; Keystone writes `$(project_id)s` there."""
        return [
            endpoint | {"url": endpoint["url"].replace("{project_id}", "$(project_id)s")}
            for service in self.services
            for endpoint in self._endpoints_of(service)
        ]

    def _endpoints_of(self, service: CatalogService) -> Iterator[dict[str, Any]]:
        for interface in INTERFACES:
            yield {
                "id": stable_id("endpoint", self.region, service.type, interface),
                "interface": interface,
                "service_id": service.id,
                "region": self.region,
                "region_id": self.region,
                "url": service.url,
                "enabled": True,
            }
