"""Clouds, sizes and images, as a project sees them."""

from __future__ import annotations

from typing import Any

from armillary.client.http import Armillary

_BASE = "/api/v1/clouds"
Record = dict[str, Any]


class Clouds:
    """The fleet of one platform, over `http`."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def clouds(self, *, project: str | None) -> list[Record]:
        """Return the clouds with the project's limits on each."""
        return self._http.get(_BASE, project=project)["clouds"]

    def flavors(self, cloud: str, *, project: str | None) -> list[Record]:
        """Return the sizes of machines of a cloud."""
        return self._http.get(f"{_BASE}/{cloud}/flavors", project=project)["flavors"]

    def images(self, cloud: str, *, project: str | None, digest: str | None = None) -> list[Record]:
        """Return the images that a project can use on a cloud; with `digest`, those whose SHA-512 begins so."""
        found, _ = self._http.get_pages(f"{_BASE}/{cloud}/images", "images", project=project, digest=digest)
        return found
