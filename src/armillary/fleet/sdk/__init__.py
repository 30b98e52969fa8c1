"""The adapter over openstacksdk, the only way to any cloud, the embedded one included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from armillary.fleet.model import FleetCloud
from armillary.fleet.ports import Cloud
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.sdk.images import SdkImages
from armillary.fleet.sdk.networks import SdkCards, SdkNetworks
from armillary.fleet.sdk.servers import SdkServers
from armillary.fleet.sdk.sharing import SdkSharing
from armillary.fleet.sdk.tending import SdkTending
from armillary.fleet.sdk.volumes import SdkVolumes


def open_clouds(*, clouds: Sequence[FleetCloud], clouds_yaml: Path) -> list[Cloud]:
    """Return the clouds with their adapters. Nothing is imported, read or connected before the first call."""
    connections = Connections(clouds_yaml=clouds_yaml)
    return [_open(cloud, connections) for cloud in clouds]


def _open(cloud: FleetCloud, connections: Connections) -> Cloud:
    servers = SdkServers(cloud=cloud, connections=connections)
    return Cloud(
        settings=cloud,
        images=SdkImages(cloud=cloud, connections=connections),
        servers=servers,
        sharing=SdkSharing(cloud=cloud, connections=connections),
        tending=SdkTending(cloud=cloud, connections=connections, servers=servers),
        volumes=SdkVolumes(cloud=cloud, connections=connections, servers=servers),
        networks=SdkNetworks(cloud=cloud, connections=connections),
        cards=SdkCards(cloud=cloud, connections=connections, servers=servers),
    )
