"""Puts one embedded cloud together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from starlette.types import ASGIApp

from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.base.ids import CloudName, ServerId
from armillary.cloud import store
from armillary.cloud.api.asgi import catalog_of, create_cloud_app
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.images.service import ImageService
from armillary.cloud.network.fabric import FabricKeeper
from armillary.cloud.network.service import NetworkService
from armillary.cloud.ports import Fabric, Machines
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
    furnish_projects: bool = True
    """Whether a project gets a network of its own."""


class Cloud:
    """One embedded cloud: an ASGI application, and a pass that keeps its promises."""

    def __init__(
        self,
        *,
        app: ASGIApp,
        images: ImageService,
        compute: ComputeService,
        network: NetworkService,
        keeper: FabricKeeper,
    ) -> None:
        self.app = app
        self.images = images
        self.compute = compute
        self.network = network
        self._keeper = keeper

    def reconcile(self) -> None:
        """Make records and machines agree; call it at the start and every few seconds."""
        self.compute.reconcile()

    def addresses(self, server_id: ServerId) -> Mapping[int, tuple[str, int]]:
        """Where a server's open TCP ports answer on this computer now."""
        return self._keeper.addresses(server_id)

    def settle(self, *, seconds: float = 30) -> bool:
        """Wait until nothing is being done in the background; False if that took longer."""
        settled = self.compute.settle(seconds=seconds)
        self._keeper.settle()
        return settled

    def close(self) -> None:
        """End our threads. Machines run on, and what was promised stands in the records."""
        self.compute.close()
        self._keeper.close()


def build_cloud(
    *,
    settings: CloudSettings,
    accounts: AccountsService,
    machines: Machines,
    fabric: Fabric,
    engine: Engine,
    clock: Clock,
) -> Cloud:
    """Make a cloud over an engine's machines and network, with its records in the database of `engine`.

    Nothing is started: call `reconcile` once the database is ours.
    """
    store.create_all(engine)
    keeper = FabricKeeper(engine=engine, fabric=fabric, host_ports=settings.host_ports)
    network = NetworkService(
        engine=engine,
        clock=clock,
        changed=keeper.poke,
        floating_cidr=settings.floating_cidr,
        furnish_projects=settings.furnish_projects,
        applied=keeper.settle,
        ssh_port=keeper.ssh_port,
    )
    images = ImageService(engine=engine, directory=settings.directory / "images", clock=clock)
    compute = ComputeService(
        engine=engine,
        clock=clock,
        projects=accounts,
        images=images,
        network=network,
        keeper=keeper,
        machines=machines,
        # beside the images, so that a finished snapshot is moved and not copied
        directory=settings.directory / "snapshots",
        vendor_data=settings.vendor_data,
    )
    images.in_use = compute.uses_image
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
        volumes=VolumeService(),
    )
    return Cloud(app=app, images=images, compute=compute, network=network, keeper=keeper)
