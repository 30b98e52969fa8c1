"""Links for people without an account."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from armillary.client.http import Armillary

_BASE = "/api/v1/links"
Record = dict[str, Any]


class Sharing:
    """The links that we made, over `http`. Records are the JSON shapes of the API."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def links(self) -> list[Record]:
        """Return our links, the newest first."""
        return self._http.get(_BASE)["links"]

    def make(self, path: str, *, days: float, most: int | None, lists: bool) -> Record:
        """Make a link to a file or a folder."""
        return self._http.post(_BASE, {"path": path, "days": days, "most": most, "lists": lists})

    def revoke(self, link_id: str) -> None:
        """Take a link back."""
        self._http.delete(f"{_BASE}/{quote(link_id, safe='')}")
