"""All routes of the subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from fastapi import APIRouter

from armillary.vospace.api import metadata, registry, soda
from armillary.vospace.api.context import (
    Authenticator,
    Context,
    Endpoint,
    Settings,
    guarded,
)
from armillary.vospace.api.files import files
from armillary.vospace.api.jobs import job_list, job_parts
from armillary.vospace.api.nodes import nodes
from armillary.vospace.api.packages import packages
from armillary.vospace.api.transfers import synctrans, synctrans_job
from armillary.vospace.api.uploads import METHODS as TUS_METHODS
from armillary.vospace.api.uploads import uploads
from armillary.vospace.job_model import JobKind
from armillary.vospace.service import Grants, JobService, VOSpaceService
from armillary.vospace.service.resumable import ResumableUploads
from armillary.vospace.service.views import Views

KINDS = ("vault", "arc")
"""The two faces of the one tree: the stock client treats names with `vault` in them differently."""

_GRANT_LIFETIME = timedelta(minutes=15)
"""To begin a transfer in: the stock clients ask for each file's address right before, and a transfer that has begun goes
on. Long enough for them to try again, short enough for an address that leaked to be worth little."""


def router(
    *,
    service: VOSpaceService,
    jobs: JobService,
    authenticator: Authenticator,
    settings: Settings | None = None,
    views: Views | None = None,
) -> APIRouter:
    """Return `/reg`, `/vault`, `/arc` and `/soda`, and what all services have: capabilities and availability.

    `service` must know the names in `settings.authorities`. Without `views` there are only whole files.
    """
    grants = Grants(
        key=service.signing_key(),
        clock=service.clock,
        groups=service.groups,
        holder=authenticator.holder,
        lifetime=_GRANT_LIFETIME,
    )
    context = Context(
        service=service,
        jobs=jobs,
        grants=grants,
        authenticator=authenticator,
        now=service.clock.now,
        settings=settings or Settings(),
        views=views,
    )
    routes = APIRouter()
    add = _Adder(routes)
    add("/reg/resource-caps", registry.resource_caps(context), "GET")
    for name in registry.SERVICES:
        add(f"/{name}/capabilities", registry.capabilities(name), "GET")
        add(f"/{name}/availability", registry.availability(context), "GET")
    add("/soda/sync", soda.sync(context), "GET", "POST")
    add("/soda/links", soda.links(context), "GET", "POST")
    for kind in KINDS:
        _add_space(add, context, service.resumable, kind)
    return routes


class _Adder:
    def __init__(self, routes: APIRouter) -> None:
        self._routes = routes

    def __call__(self, path: str, endpoint: Endpoint, *methods: str) -> None:
        self._routes.add_route(path, guarded(endpoint), methods=_list(methods), include_in_schema=False)


def _list(methods: Sequence[str]) -> list[str]:
    return list(methods)


def _add_space(add: Callable[..., None], context: Context, resumable: ResumableUploads, kind: str) -> None:
    on_nodes = nodes(context, kind)
    on_files = files(context, resumable, kind)
    on_uploads = uploads(context, resumable, kind)
    for tail in ("", "/", "/{path:path}"):
        add(f"/{kind}/nodes{tail}", on_nodes, "GET", "PUT", "POST", "DELETE")
    add(f"/{kind}/files/{{path:path}}", on_files, "GET", "PUT", "POST")
    for tail in ("", "/{path:path}"):
        add(f"/{kind}/uploads{tail}", on_uploads, *TUS_METHODS)
    add(f"/{kind}/pkg/{{path:path}}", packages(context, kind), "GET")
    add(f"/{kind}/synctrans", synctrans(context, kind), "GET", "POST")
    add(f"/{kind}/synctrans/{{job}}", synctrans_job(context, kind), "GET")
    add(f"/{kind}/synctrans/{{job}}/{{part:path}}", synctrans_job(context, kind), "GET")
    for job_kind in JobKind:
        prefix = f"/{kind}/{job_kind.value}"
        add(prefix, job_list(context, kind, job_kind), "GET", "POST")
        add(f"{prefix}/{{job}}", job_parts(context, kind, job_kind), "GET", "POST", "DELETE")
        add(f"{prefix}/{{job}}/{{part:path}}", job_parts(context, kind, job_kind), "GET", "POST")
    add(f"/{kind}/protocols", metadata.protocols, "GET")
    add(f"/{kind}/views", metadata.views, "GET")
    add(f"/{kind}/properties", metadata.properties(context), "GET")
