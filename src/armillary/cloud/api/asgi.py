"""The cloud's one HTTP face: each service in a room of its own, with its own dialect, side by side on one port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.base.ids import CloudName
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.identity.catalog import Catalog, CatalogService
from armillary.cloud.api.limits import Limited, Limits
from armillary.cloud.api.shared import Prefixes, RequestIds, no_such_page
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.consoles.service import ConsoleService
from armillary.cloud.images.service import ImageService
from armillary.cloud.metadata.service import MetadataService
from armillary.cloud.network.service import NetworkService
from armillary.cloud.volumes.service import VolumeService

METADATA_PREFIX = "/metadata"


def catalog_of(*, region: str, base_url: str) -> Catalog:
    """The services of a cloud at `base_url`."""
    return Catalog(
        region=region,
        services=(
            CatalogService(type="identity", name="keystone", url=f"{base_url}/identity/v3"),
            CatalogService(type="compute", name="nova", url=f"{base_url}/compute/v2.1"),
            CatalogService(type="image", name="glance", url=f"{base_url}/image"),
            CatalogService(type="network", name="neutron", url=f"{base_url}/network"),
            CatalogService(type="volumev3", name="cinderv3", url=f"{base_url}/volume/v3/{{project_id}}"),
            CatalogService(type="block-storage", name="cinder", url=f"{base_url}/volume/v3/{{project_id}}"),
        ),
    )


def create_cloud_app(
    *,
    name: CloudName,
    catalog: Catalog,
    base_url: str,
    accounts: AccountsService,
    auth: KeystoneAuth,
    clock: Clock,
    images: ImageService,
    compute: ComputeService,
    network: NetworkService,
    metadata: MetadataService,
    consoles: ConsoleService,
    volumes: VolumeService,
    requests_per_minute: int,
    sign_ins_per_minute: int,
) -> ASGIApp:
    """Put the services together.

    Args:
        name: of the cloud, for people.
        catalog: where clients find the services; see `catalog_of`.
        base_url: of all services, without a slash at its end.
        accounts: whom Identity signs in.
        auth: reads tokens for all services.
        clock: tells when tokens end.
        images: images.
        compute: servers.
        network: networks.
        metadata: answers guests.
        consoles: opens consoles.
        volumes: volumes.
        requests_per_minute: that one token may make; 0 means no bound.
        sign_ins_per_minute: that one address may make; 0 means no bound.
    """
    auth_url = catalog.identity_url

    def at(prefix: str) -> dict[str, Any]:
        return {"base_url": f"{base_url}{prefix}", "prefix": prefix, "auth": auth}

    # Imported when they are made: the routes of all rooms are a quarter of the time that a platform needs to start.

    def identity() -> ASGIApp:
        from armillary.cloud.api.identity.app import identity_app

        return identity_app(accounts=accounts, catalog=catalog, clock=clock, auth=auth)

    def image() -> ASGIApp:
        from armillary.cloud.api.image import image_app

        return image_app(images=images, **at("/image"))

    def compute_() -> ASGIApp:
        from armillary.cloud.api.compute.app import compute_app

        return compute_app(
            compute=compute, network=network, consoles=consoles, images=images, volumes=volumes, metadata=metadata, auth_url=auth_url,
            **at("/compute"),
        )  # fmt: skip

    def network_() -> ASGIApp:
        from armillary.cloud.api.network.app import network_app

        return network_app(network=network, auth_url=auth_url, **at("/network"))

    def volume() -> ASGIApp:
        from armillary.cloud.api.volume.app import volume_app

        return volume_app(volumes=volumes, auth_url=auth_url, **at("/volume"))

    def metadata_() -> ASGIApp:
        from armillary.cloud.api.metadata import metadata_app

        return metadata_app(metadata=metadata, prefix=METADATA_PREFIX)

    def console() -> ASGIApp:
        from armillary.cloud.api.console import console_app

        return console_app(consoles=consoles, prefix="/console")

    limits = Limits(
        clock=clock, requests_per_minute=requests_per_minute, sign_ins_per_minute=sign_ins_per_minute
    )

    def limited(service: str, make: Callable[[], ASGIApp]) -> Callable[[], ASGIApp]:
        return lambda: Limited(make(), service=service, limits=limits)

    rooms: dict[str, Callable[[], ASGIApp]] = {
        "/identity": limited("identity", identity),
        "/image": limited("image", image),
        "/compute": limited("compute", compute_),
        "/network": limited("network", network_),
        "/volume": limited("volume", volume),
        METADATA_PREFIX: metadata_,
        "/console": console,
    }
    return Prefixes(rooms, otherwise=RequestIds(_Front(name=name, catalog=catalog)))


class _Front:
    """Answers at the root, for people and monitors; everything else is not here."""

    def __init__(self, *, name: CloudName, catalog: Catalog) -> None:
        self._document = {
            "cloud": name,
            "auth_url": catalog.identity_url,
            "services": {service.type: service.url for service in catalog.services},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response = JSONResponse(self._document) if scope["path"] in {"", "/"} else no_such_page()
        await answer(scope, receive, send)
