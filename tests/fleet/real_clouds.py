"""Embedded clouds over their fake engine, behind real sockets."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from armillary.accounts.model import Project
from armillary.accounts.service import AccountsService
from armillary.app.database import make_engine
from armillary.base.clock import Clock
from armillary.base.ids import CloudName
from armillary.base.units import GiB, MiB
from armillary.cloud.build import Cloud, CloudSettings, build_cloud
from armillary.cloud.engines.fake import FakeFabric, FakeMachines, FakeVolumeDisks
from armillary.cloud.model import Capacity
from armillary.fleet.model import FleetCloud
from armillary.fleet.sdk import open_clouds
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.service import FleetService

FLEET_USER, FLEET_PASSWORD = "armillary-fleet", "a long password of the fleet"


class RealClouds:
    """Two clouds with what a test looks at on their far side."""

    def __init__(self, *, directory: Path, accounts: AccountsService, clock: Clock) -> None:
        self._directory = directory
        self._accounts = accounts
        self._clock = clock
        self._servers: list[tuple[uvicorn.Server, threading.Thread]] = []
        self.clouds: dict[str, Cloud] = {}
        self.machines: dict[str, FakeMachines] = {}
        self._urls: dict[str, str] = {}

    def start(self, name: str, *, floating_cidr: str) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        capacity = Capacity(vcpus=8, ram=MiB(16384), disk=GiB(200))
        place = self._directory / name
        place.mkdir()
        self.machines[name] = FakeMachines(directory=place / "machines", capacity=capacity)
        cloud = build_cloud(
            settings=CloudSettings(
                name=CloudName(name), region=name, base_url=url, directory=place, floating_cidr=floating_cidr
            ),
            accounts=self._accounts,
            machines=self.machines[name],
            fabric=FakeFabric(),
            volume_disks=FakeVolumeDisks(directory=place / "volumes"),
            engine=make_engine(f"sqlite:///{place}/cloud.db", durable=False),
            clock=self._clock,
        )
        cloud.reconcile()
        server = uvicorn.Server(uvicorn.Config(cloud.app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        self.clouds[name], self._urls[name] = cloud, url
        self._servers.append((server, thread))

    def fleet(self) -> FleetService:
        self._accounts.ensure_service_person(FLEET_USER, password=FLEET_PASSWORD)
        auth = {
            "username": FLEET_USER,
            "password": FLEET_PASSWORD,
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        entries = {
            name: {"auth": {**auth, "auth_url": f"{url}/identity/v3"}, "region_name": name}
            for name, url in self._urls.items()
        }
        file = self._directory / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": entries}))
        known = [FleetCloud(name=CloudName(name), guest_url="https://unused.example") for name in entries]
        return FleetService(clouds=open_clouds(clouds=known, clouds_yaml=file), clock=self._clock)

    def connection(self, name: str, project: Project) -> Any:
        """The stock SDK, scoped to a project, for what the fleet itself never does."""
        cloud = FleetCloud(name=CloudName(name), guest_url="https://unused.example")
        return Connections(clouds_yaml=self._directory / "clouds.yaml").get(cloud, project)

    def stop(self) -> None:
        for server, thread in self._servers:
            server.should_exit = True
            thread.join()
        for cloud in self.clouds.values():
            cloud.close()


@contextmanager
def two_clouds(*, directory: Path, accounts: AccountsService, clock: Clock) -> Generator[RealClouds]:
    clouds = RealClouds(directory=directory, accounts=accounts, clock=clock)
    try:
        clouds.start("east", floating_cidr="127.16.0.0/24")
        clouds.start("west", floating_cidr="127.17.0.0/24")
        yield clouds
    finally:
        clouds.stop()


def a_raw_image(size: int = 3 * 2**20) -> tuple[bytes, str]:
    """Bytes that pass for a raw disk, and their digest."""
    content = (b"armillary" * (size // 9 + 1))[:size]
    return content, hashlib.sha512(content).hexdigest()
