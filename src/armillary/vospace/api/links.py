"""`/api/v1/links`: links for people without an account, for who makes them. They are opened at `/s/…`, by the portal."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependencies that close over `router`

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from armillary.accounts.model import Principal
from armillary.base.clock import to_iso
from armillary.bounded import BoundedRoute
from armillary.vospace.api.context import base_url
from armillary.vospace.link_model import ShareLink
from armillary.vospace.service.links import LONGEST, MOST_USES, Links


class LinkBody(BaseModel):
    """What a link is for: a path, how many days, perhaps how many downloads, and whether a folder shows its list."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=4096)
    days: float = Field(default=7, gt=0, le=LONGEST.days)
    most: int | None = Field(default=None, ge=1, le=MOST_USES)
    lists: bool = True


def links_router(*, links: Links, authenticate: Callable[..., Principal]) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    routes = APIRouter(prefix="/api/v1/links", tags=["links"], route_class=BoundedRoute)
    who_asks = Depends(authenticate)

    def shape(link: ShareLink, request: Request) -> dict[str, Any]:
        is_open = link.is_open(links.now())
        return {
            "id": link.id,
            "path": str(link.path),
            "url": f"{base_url(request)}/s/{links.secret(link)}" if is_open else None,
            "is_folder": link.is_folder,
            "lists": link.lists,
            "made_at": to_iso(link.made_at),
            "expires_at": to_iso(link.expires_at),
            "revoked_at": to_iso(link.revoked_at) if link.revoked_at else None,
            "is_open": is_open,
            "most": link.most,
            "used": link.used,
            "used_at": to_iso(link.used_at) if link.used_at else None,
        }

    @routes.get("")
    def mine(request: Request, who: Annotated[Principal, who_asks]) -> dict[str, Any]:
        return {"links": [shape(link, request) for link in links.mine(who)]}

    @routes.post("", status_code=201)
    def make(body: LinkBody, request: Request, who: Annotated[Principal, who_asks]) -> dict[str, Any]:
        lifetime = timedelta(days=body.days)
        link = links.make(who, body.path, lifetime=lifetime, most=body.most, lists=body.lists)
        return shape(link, request)

    @routes.delete("/{link_id}", status_code=204)
    def revoke(link_id: str, who: Annotated[Principal, who_asks]) -> None:
        links.revoke(who, link_id)

    return routes
