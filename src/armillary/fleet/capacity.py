"""How much room a quota leaves, and why there is none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from armillary.base.ids import CloudName
from armillary.base.units import MiB
from armillary.fleet.model import FleetFlavor, FleetServer, Limits, Refusal, Room

MORE_QUOTA = "Delete a machine that is not needed, or ask for a larger allocation."
WITHOUT_LIMIT = 1000
"""What we say where a cloud has no limit: enough for one pass of a scaler."""


def room_of(cloud: CloudName, limits: Limits, flavor: FleetFlavor) -> Room:
    """Return how many machines of `flavor` fit into `limits`; when none, every reason."""
    bounds = (
        ("quota_cores", "cores", limits.cores, limits.cores_used, flavor.vcpus),
        ("quota_ram", "MiB of RAM", limits.ram, limits.ram_used, int(flavor.ram)),
        ("quota_instances", "machines", limits.instances, limits.instances_used, 1),
    )
    count = WITHOUT_LIMIT
    refusals: list[Refusal] = []
    for code, unit, limit, used, each in bounds:
        if limit is None or each <= 0:
            continue
        fits = max(0, (limit - used) // each)
        count = min(count, fits)
        if not fits:
            refusals.append(
                Refusal(
                    cloud=cloud,
                    code=code,
                    message=f"{flavor.name} needs {each} {unit}; {used} of the project's {limit} are used.",
                    remedy=MORE_QUOTA,
                    facts={"flavor": flavor.name, "needs": each, "used": used, "limit": limit, "unit": unit},
                )
            )
    return Room(count=count, refusals=tuple(refusals))


def makes_room(
    limits: Limits, wanted: FleetFlavor, servers: Sequence[FleetServer], flavors: Sequence[FleetFlavor]
) -> list[FleetServer]:
    """Return the machines any one of which, deleted, would make room: stopped ones first, then the smallest."""
    sizes = {flavor.name: flavor for flavor in flavors}
    helps: list[tuple[bool, int, FleetServer]] = []
    for server in servers:
        size = sizes.get(server.flavor)
        if size is None:
            continue
        without = replace(
            limits,
            cores_used=limits.cores_used - size.vcpus,
            ram_used=MiB(limits.ram_used - size.ram),
            instances_used=limits.instances_used - 1,
        )
        if room_of(server.cloud, without, wanted).count:
            helps.append((server.status != "SHUTOFF", size.vcpus, server))
    return [server for *_, server in sorted(helps, key=lambda each: each[:2])]
