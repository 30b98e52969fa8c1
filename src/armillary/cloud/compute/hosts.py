"""What administrators see of the one host: its services, what it has and gives, and the aggregates that it is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ServerId, new_uuid
from armillary.cloud import store
from armillary.cloud.compute.listing import HOST
from armillary.cloud.compute.quotas import placed_amounts
from armillary.cloud.compute.registers import AGGREGATES, SERVICE_STATES, Aggregate, ServiceState, aggregates
from armillary.cloud.core.metadata import AVAILABILITY_ZONE
from armillary.cloud.core.quota import Amounts
from armillary.cloud.model import Capacity
from armillary.cloud.ports import Machines

COMPUTE = "nova-compute"
SERVICES: Mapping[str, str] = {
    "nova-scheduler": "internal",
    "nova-conductor": "internal",
    COMPUTE: AVAILABILITY_ZONE,
}
"""Nova's services, all of which are this process, with their zones."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a host has, and what its servers take."""

    capacity: Capacity
    used: Amounts
    disk: int


class Hosts:
    """The host's record. Who may ask has been settled by the caller."""

    def __init__(self, *, engine: Engine, clock: Clock, machines: Machines) -> None:
        self._engine = engine
        self._clock = clock
        self._machines = machines
        self._began = clock.now()

    def services(self) -> Sequence[ServiceState]:
        """The services, in their order."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            known = {state.binary: state for state in SERVICE_STATES.find(connection)}
        return [known.get(name) or ServiceState(binary=name, updated_at=self._began) for name in SERVICES]

    def change_service(self, binary: str, **changes: Any) -> ServiceState:
        """Switch a service on or off; while `nova-compute` is off, no new server finds a place.

        Raises:
            NotFound: there is none of this name.
        """
        known = next((state for state in self.services() if state.binary == binary), None)
        if known is None:
            raise NotFound(f"Could not find binary {binary} on host {HOST}.", code="compute_host_not_found")
        changed = replace(known, updated_at=self._clock.now(), **changes)
        with self._engine.begin() as connection:
            if not SERVICE_STATES.save(connection, changed):
                SERVICE_STATES.add(connection, changed)
        return changed

    def filled(self) -> Filled:
        """What the host has, and what is taken."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            used, disk = placed_amounts(connection)
        return Filled(capacity=self._machines.capacity(), used=used, disk=disk)

    def servers(self) -> Sequence[tuple[ServerId, str]]:
        """The servers on the host, at most a thousand."""
        columns = store.servers.c
        query = (
            select(columns.id, columns.name).where(columns.placed).order_by(columns.created_at).limit(1000)
        )
        with self._engine.execution_options(readonly=True).connect() as connection:
            return [(row.id, row.name) for row in connection.execute(query)]

    # aggregates

    def aggregates(self) -> Sequence[Aggregate]:
        """All of them, oldest first."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            return AGGREGATES.find(connection)

    def aggregate(self, number: str) -> Aggregate:
        """One of them.

        Raises:
            NotFound: in Nova's words.
        """
        with self._engine.execution_options(readonly=True).connect() as connection:
            return _aggregate(connection, number)

    def create_aggregate(self, name: str, zone: str | None) -> Aggregate:
        """Make one without hosts.

        Raises:
            Conflict: there is one of this name.
        """
        with self._engine.begin() as connection:
            _check_free(connection, name)
            last = connection.execute(select(func.max(aggregates.c.number))).scalar() or 0
            made = Aggregate(
                number=last + 1,
                id=new_uuid(),
                name=name,
                availability_zone=zone,
                metadata={"availability_zone": zone} if zone else {},
                created_at=self._clock.now(),
                updated_at=None,
            )
            return AGGREGATES.add(connection, made)

    def change_aggregate(self, number: str, **changes: Any) -> Aggregate:
        """Change its name or zone."""
        with self._engine.begin() as connection:
            known = _aggregate(connection, number)
            if changes.get("name", known.name) != known.name:
                _check_free(connection, changes["name"])
            if "availability_zone" in changes:
                zone = changes["availability_zone"]
                rest = {k: v for k, v in known.metadata.items() if k != "availability_zone"}
                changes["metadata"] = rest | ({"availability_zone": zone} if zone else {})
            return self._save(connection, replace(known, **changes))

    def mark_aggregate(self, number: str, items: Mapping[str, str | None]) -> Aggregate:
        """Merge metadata; None drops an item."""
        with self._engine.begin() as connection:
            known = _aggregate(connection, number)
            merged: dict[str, str | None] = {**known.metadata, **items}
            kept = {key: value for key, value in merged.items() if value is not None}
            zone = kept.get("availability_zone")
            return self._save(connection, replace(known, metadata=kept, availability_zone=zone))

    def move_host(self, number: str, host: str, *, into: bool) -> Aggregate:
        """Put the host into an aggregate, or take it out.

        Raises:
            NotFound: there is no such host, or it is not there.
            Conflict: it is there already.
        """
        with self._engine.begin() as connection:
            known = _aggregate(connection, number)
            if host != HOST:
                raise NotFound(f"Compute host {host} could not be found.", code="compute_host_not_found")
            if into and host in known.hosts:
                raise Conflict(f"Aggregate {number} already has host {host}.", code="aggregate_has_host")
            if not into and host not in known.hosts:
                raise NotFound(
                    f"Cannot remove host {host} in aggregate {number}", code="aggregate_has_no_host"
                )
            return self._save(connection, replace(known, hosts=(host,) if into else ()))

    def delete_aggregate(self, number: str) -> None:
        """Forget one that has no hosts.

        Raises:
            Invalid: it has some.
        """
        with self._engine.begin() as connection:
            known = _aggregate(connection, number)
            if known.hosts:
                raise Invalid(
                    f"Cannot remove host from aggregate {number}. Reason: Host aggregate is not empty.",
                    code="aggregate_not_empty",
                )
            AGGREGATES.remove(connection, aggregates.c.number == known.number)

    def _save(self, connection: Connection, changed: Aggregate) -> Aggregate:
        saved = replace(changed, updated_at=self._clock.now())
        AGGREGATES.save(connection, saved)
        return saved


def _check_free(connection: Connection, name: str) -> None:
    if AGGREGATES.find(connection, aggregates.c.name == name):
        raise Conflict(f"Aggregate {name} already exists.", code="aggregate_exists")


def _aggregate(connection: Connection, number: str) -> Aggregate:
    found = AGGREGATES.find(connection, aggregates.c.number == int(number)) if number.isdecimal() else []
    if not found:
        raise NotFound(f"Aggregate {number} could not be found.", code="aggregate_not_found")
    return found[0]


def closed(connection: Connection) -> str | None:
    """Why no new server may come, in Nova's words; None if they may."""
    state = SERVICE_STATES.get(connection, COMPUTE)
    if state is None or (state.enabled and not state.forced_down):
        return None
    return (
        "No valid host was found. An administrator has switched the compute service of this cloud's host off."
    )
