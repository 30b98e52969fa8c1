"""Machines as the fleet's fake cloud has them."""

from __future__ import annotations

from armillary.accounts.model import Project
from armillary.base.ids import CloudName
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer
from armillary.fleet.service import FleetService

EAST = CloudName("east")


def a_server(fleet: FleetService, clouds: list[FakeCloud], project: Project, **metadata: str) -> FleetServer:
    (image, *_) = clouds[0].images(project)
    made = fleet.create_server(
        EAST, project, name="vm", image_id=image.id, flavor="c1-1gb-5", floating_ip=True, metadata=metadata
    )
    return fleet.server(EAST, project, made.id)
