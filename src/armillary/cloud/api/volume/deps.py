"""What the routes of block storage are given."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Body as FromBody
from fastapi import Depends, Request

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.shared import caller
from armillary.cloud.volumes.service import VolumeService

JSON = dict[str, Any]

MINE = "-"
"""Stands where a path names no project, as from microversion 3.67 on it need not; see `Projects` in `app`."""


def _volumes(request: Request) -> VolumeService:
    return request.app.state.volumes


def _microversion(request: Request) -> int:
    return request.state.microversion


def _who(request: Request, who: Annotated[Principal, Depends(caller)]) -> Principal:
    wanted = request.path_params.get("project_id", MINE)
    if wanted not in (MINE, who.project.id if who.project else MINE):
        raise Invalid("Malformed request url", code="other_project_in_path")
    return who


Volumes = Annotated[VolumeService, Depends(_volumes)]
Version = Annotated[int, Depends(_microversion)]
"""N of the microversion 3.N."""
Who = Annotated[Principal, Depends(_who)]
"""Who asks; the project in the path is that of the token, as Cinder wants it even of administrators."""
Body = Annotated[dict[str, Any], FromBody()]


def takes(schema: JSON) -> JSON:
    """What a route says of its body in OpenAPI; the route itself checks it, in Cinder's words."""
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def since(version: int, needed: int) -> None:
    """Hide what came with a later microversion, as Cinder does.

    Raises:
        NotFound: the client asked with an earlier one.
    """
    if version < needed:
        raise NotFound("The resource could not be found.", code="wrong_microversion")


def stamp(moment: datetime | None) -> str | None:
    """A moment as Cinder writes it: UTC, with microseconds, without a zone."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") if moment else None


def links(request: Request, collection: str, item_id: str) -> list[dict[str, str]]:
    """Where a thing is."""
    base: str = request.app.state.base_url
    project = request.path_params.get("project_id", MINE)
    inner = f"{collection}/{item_id}" if project == MINE else f"{project}/{collection}/{item_id}"
    return [
        {"rel": "self", "href": f"{base}/v3/{inner}"},
        {"rel": "bookmark", "href": f"{base}/{inner}"},
    ]
