"""Puts one embedded cloud together."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine
from starlette.types import ASGIApp

from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.base.ids import CloudName, ServerId, Sha512
from armillary.cloud import store
from armillary.cloud.api.asgi import METADATA_PREFIX, catalog_of, create_cloud_app
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.consoles.service import ConsoleService
from armillary.cloud.core.template import Waiting, template_of
from armillary.cloud.images.service import ImageService
from armillary.cloud.metadata.service import MetadataService
from armillary.cloud.model import MetadataSite, Template
from armillary.cloud.network.fabric import FabricKeeper
from armillary.cloud.network.service import NetworkService
from armillary.cloud.ports import Fabric, Hypervisor
from armillary.cloud.volumes.ports import VolumeDisks
from armillary.cloud.volumes.service import VolumeService


@dataclass(frozen=True, kw_only=True)
class CloudSettings:
    """What an operator decides about one cloud."""

    name: CloudName
    region: str
    base_url: str
    """Where clients find it, without a slash at its end."""
    directory: Path
    floating_cidr: str
    vendor_data: str = ""
    """A cloud-init document that every guest is given, under the user's own."""
    host_ports: frozenset[int] = frozenset()
    """TCP ports of this computer that guests may reach at their gateway."""
    requests_per_minute: int = 6000
    """That one token may make; 0 means no bound."""
    sign_ins_per_minute: int = 600
    """That one address may make; 0 means no bound."""
    furnish_projects: bool = True
    """Whether a project gets a network of its own."""
    waiting: Waiting | None = None
    """How servers begin from checkpoints; None: all boot."""
    metadata_secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    """With which the engine's switch vouches for the guests whose questions it carries to the metadata service."""


class Cloud:
    """One embedded cloud: an ASGI application, and a pass that keeps its promises."""

    def __init__(
        self,
        *,
        app: ASGIApp,
        images: ImageService,
        compute: ComputeService,
        network: NetworkService,
        volumes: VolumeService,
        keeper: FabricKeeper,
    ) -> None:
        self.app = app
        self.images = images
        self.compute = compute
        self.network = network
        self.volumes = volumes
        self._keeper = keeper

    def reconcile(self) -> None:
        """Make records and machines agree; call it at the start and every few seconds."""
        self.volumes.reconcile()
        self.compute.reconcile()
        self.network.reconcile()

    def addresses(self, server_id: ServerId) -> Mapping[int, tuple[str, int]]:
        """Where a server's open TCP ports answer on this computer now."""
        return self._keeper.addresses(server_id)

    def settle(self, *, seconds: float = 30) -> bool:
        """Wait until nothing is being done in the background; False if that took longer."""
        settled = self.compute.settle(seconds=seconds) and self.volumes.settle(seconds=seconds)
        self._keeper.settle()
        return settled

    def close(self) -> None:
        """End our threads. Machines run on, and what was promised stands in the records."""
        self.compute.close()
        self.volumes.close()
        self._keeper.close()


def build_cloud(
    *,
    settings: CloudSettings,
    accounts: AccountsService,
    machines: Hypervisor,
    fabric: Fabric,
    volume_disks: VolumeDisks,
    engine: Engine,
    clock: Clock,
) -> Cloud:
    """Make a cloud over an engine's machines and network, with its records in the database of `engine`.

    Nothing is started: call `reconcile` once the database is ours.
    """
    store.create_all(engine)
    keeper = FabricKeeper(
        engine=engine, fabric=fabric, host_ports=settings.host_ports, metadata=_metadata_site(settings)
    )
    network = NetworkService(
        engine=engine,
        clock=clock,
        changed=keeper.poke,
        floating_cidr=settings.floating_cidr,
        furnish_projects=settings.furnish_projects,
        applied=keeper.settle,
        ssh_port=keeper.ssh_port,
        projects=lambda: [project.id for project in accounts.projects()],
    )
    images = ImageService(engine=engine, directory=settings.directory / "images", clock=clock)
    metadata = MetadataService(
        engine=engine, clock=clock, secret=settings.metadata_secret, vendor_data=settings.vendor_data
    )
    volumes = VolumeService(
        engine=engine,
        clock=clock,
        projects=accounts,
        images=images,
        disks=volume_disks,
        holder=machines,
        directory=settings.directory / "uploads",
    )

    def template(server: Server) -> Template | None:
        waiting = settings.waiting
        if waiting is None or server.metadata.get(waiting.mark) != waiting.name or not server.image_sha512:
            return None
        return template_of(waiting, image=server.image_sha512, vendor_data=settings.vendor_data)

    compute = ComputeService(
        engine=engine,
        clock=clock,
        projects=accounts,
        images=images,
        network=network,
        keeper=keeper,
        machines=machines,
        volumes=volumes.for_servers,
        # beside the images, so that a finished snapshot is moved and not copied
        directory=settings.directory / "snapshots",
        drive=metadata.drive,
        template=template,
    )

    def in_use(sha512: Sha512) -> bool:
        return compute.uses_image(sha512) or volumes.uses_image(sha512)

    consoles = ConsoleService(engine=engine, clock=clock, devices=machines, base_url=settings.base_url)
    images.in_use = in_use
    images.recover()
    catalog = catalog_of(region=settings.region, base_url=settings.base_url)
    auth = KeystoneAuth(accounts=accounts, identity_url=catalog.identity_url)
    app = create_cloud_app(
        name=settings.name,
        catalog=catalog,
        base_url=settings.base_url,
        accounts=accounts,
        auth=auth,
        clock=clock,
        images=images,
        compute=compute,
        network=network,
        metadata=metadata,
        consoles=consoles,
        volumes=volumes,
        requests_per_minute=settings.requests_per_minute,
        sign_ins_per_minute=settings.sign_ins_per_minute,
    )
    return Cloud(app=app, images=images, compute=compute, network=network, volumes=volumes, keeper=keeper)


def _metadata_site(settings: CloudSettings) -> MetadataSite:
    place = urlsplit(settings.base_url)
    return MetadataSite(
        host=place.hostname or "127.0.0.1",
        port=place.port or 80,
        path=METADATA_PREFIX,
        secret=settings.metadata_secret,
    )
