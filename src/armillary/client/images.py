"""What is inside of images and where they come from, as a project sees them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from armillary.client.http import Armillary

_BASE = "/api/v1/images"
Record = dict[str, Any]


class Images:
    """The images of one project, over `http`. An image is named by its name, id or SHA-512."""

    def __init__(self, *, http: Armillary, project: str | None) -> None:
        self._http = http
        self._project = project

    def packages(self, image: str) -> Record:
        """Return what is in it; with `state` "reading" and what is `told`, when it has to be read first: ask again."""
        return self._http.get(f"{_BASE}/{quote(image, safe='')}/packages", project=self._project)

    def diff(self, before: str, after: str) -> Record:
        """Return how they differ, or what `packages` returns for one that has to be read first."""
        path = f"{_BASE}/{quote(before, safe='')}/diff/{quote(after, safe='')}"
        return self._http.get(path, project=self._project)

    def lineage(self, image: str) -> list[Record]:
        """Return where it comes from, a step at a time, itself first."""
        return self._http.get(f"{_BASE}/{quote(image, safe='')}/lineage", project=self._project)["steps"]
