"""Machines, their volumes and networks, and offers of images, as a project sees them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from armillary.client.http import Armillary

_BASE = "/api/v1"
Record = dict[str, Any]


class Machines:
    """The machines of one project, over `http`. A machine is named by its name or id."""

    def __init__(self, *, http: Armillary, project: str | None, cloud: str | None = None) -> None:
        self._http = http
        self._query = {"project": project, "cloud": cloud}

    def machines(self) -> tuple[list[Record], list[Record]]:
        """Return the machines, page by page, and the clouds that do not answer with why."""
        found, told = self._http.get_pages(f"{_BASE}/machines", "machines", **self._query)
        return found, told["errors"]

    def machine(self, name: str) -> Record:
        """Return one machine, with its ssh line."""
        return self._http.get(f"{_BASE}/machines/{quote(name, safe='')}", **self._query)

    def launch(self, **order: Any) -> Record:
        """Begin a machine."""
        return self._http.post(self._path("/machines"), order)

    def act(self, name: str, action: str, body: Record | None = None) -> Record:
        """`start`, `stop`, `reboot`, `resize` or `snapshot` it."""
        return self._http.post(self._path(f"/machines/{quote(name, safe='')}/{action}"), body)

    def set_term(self, name: str, days: int | None) -> Record:
        """Let it run so many days longer, or without an end."""
        return self._http.put(self._path(f"/machines/{quote(name, safe='')}/term"), {"days": days})

    def delete(self, name: str) -> None:
        """Delete it."""
        self._http.delete(self._path(f"/machines/{quote(name, safe='')}"))

    def volumes(self) -> list[Record]:
        """Return the volumes."""
        return self._http.get(f"{_BASE}/volumes", **self._query)["volumes"]

    def create_volume(self, *, cloud: str, name: str, size: int) -> Record:
        """Make a volume."""
        return self._http.post(self._path("/volumes"), {"cloud": cloud, "name": name, "size": size})

    def put_volume(self, volume: Record, machine: str | None) -> Record:
        """Attach a volume to a machine, or take it out."""
        path = f"/volumes/{quote(volume['cloud'], safe='')}/{quote(volume['id'], safe='')}"
        return self._http.put(self._path(f"{path}/machine"), {"machine": machine})

    def delete_volume(self, volume: Record) -> None:
        """Delete a volume."""
        self._http.delete(
            self._path(f"/volumes/{quote(volume['cloud'], safe='')}/{quote(volume['id'], safe='')}")
        )

    def networks(self) -> list[Record]:
        """Return the networks."""
        return self._http.get(f"{_BASE}/networks", **self._query)["networks"]

    def create_network(self, *, cloud: str, name: str, addresses: str) -> Record:
        """Make a network."""
        return self._http.post(
            self._path("/networks"), {"cloud": cloud, "name": name, "addresses": addresses}
        )

    def delete_network(self, network: Record) -> None:
        """Delete a network."""
        self._http.delete(
            self._path(f"/networks/{quote(network['cloud'], safe='')}/{quote(network['id'], safe='')}")
        )

    def share_image(self, image: str, project: str) -> Record:
        """Offer an image to another project."""
        return self._http.post(self._path(f"/images/{quote(image, safe='')}/shares"), {"project": project})

    def offers(self) -> list[Record]:
        """Return the images that other projects offer."""
        return self._http.get(f"{_BASE}/images/offers", **self._query)["offers"]

    def accept_image(self, image: str) -> Record:
        """Take an image that is offered."""
        return self._http.put(self._path(f"/images/offers/{quote(image, safe='')}"), None)

    def _path(self, path: str) -> str:
        given = {name: value for name, value in self._query.items() if value}
        return f"{_BASE}{path}?{urlencode(given)}" if given else f"{_BASE}{path}"
