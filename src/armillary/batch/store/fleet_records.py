"""The scaler's memory: worker machines, how boots went, and why groups wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update
from sqlalchemy import Engine as Database

from armillary.base.ids import CloudName, ProjectId, ServerId, Sha512, WorkerId, new_hex
from armillary.batch.core.backoff import NOT_CURED_BY_A_BOOT, Lane, Record, blame
from armillary.batch.core.explain import KnownOffer
from armillary.batch.core.flavors import Offer
from armillary.batch.core.packing import Kind
from armillary.batch.model import AttemptState, Group, Machine, MachineState, Refusal, Resources
from armillary.batch.store.tables import attempts, deployment, lanes, machines, reasons

LANES_KEPT = timedelta(days=30)
"""How long boots of an image are remembered after the last one."""
_OF_RECORD = tuple(field.name for field in fields(Record))


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """What a round of placement said of a group, and the kinds of machines that it looked at."""

    group: Group
    refusals: Sequence[Refusal]
    offers: Sequence[Offer] = ()


@dataclass(frozen=True, kw_only=True)
class Looked:
    """The same, read back."""

    at: datetime
    refusals: tuple[Refusal, ...]
    offers: tuple[KnownOffer, ...] = ()


class FleetRecords:
    """Durable records of the scaler; each call is one transaction."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    def mark(self) -> str:
        """Return the mark that all servers of this deployment carry; made at the first call."""
        with self._database.begin() as db:
            found = db.execute(select(deployment.c.mark)).scalar_one_or_none()
            if found is None:
                found = new_hex()
                db.execute(insert(deployment).values(one=1, mark=found))
        return found

    def stopping(self) -> list[WorkerId]:
        """Return the workers that have jobs to stop, which they hear of when they next ask."""
        ends = and_(attempts.c.live.is_(True), attempts.c.state == AttemptState.STOPPING.value)
        with self._database.connect() as db:
            return [
                WorkerId(name)
                for name in db.execute(select(attempts.c.worker).where(ends).distinct()).scalars()
            ]

    def plan(self, machine: Machine) -> None:
        """Record a machine before anything is asked of its cloud, so that no crash can orphan its server."""
        group = machine.group
        with self._database.begin() as db:
            db.execute(
                insert(machines).values(
                    id=machine.id,
                    project=group.project,
                    project_name=machine.project_name,
                    image=group.image,
                    flavor=group.flavor,
                    cloud=machine.cloud,
                    vcpus=machine.vcpus,
                    memory_mib=machine.size.memory_mib,
                    disk_kib=machine.size.disk_kib,
                    gpus=machine.size.gpus,
                    size_flavor=machine.size_flavor,
                    state=machine.state.value,
                    created_at=machine.created_at,
                )
            )

    def set(self, worker: WorkerId, **columns: Any) -> None:
        """Change columns of a machine."""
        if isinstance(columns.get("state"), MachineState):
            columns["state"] = columns["state"].value
        with self._database.begin() as db:
            db.execute(update(machines).where(machines.c.id == worker).values(**columns))

    def machines(
        self,
        states: Sequence[MachineState] | None = None,
        *,
        group: Group | None = None,
        project: ProjectId | None = None,
    ) -> list[Machine]:
        """Return machines in these states (default: all but GONE), oldest first; of one group or project, if named."""
        query = select(machines).order_by(machines.c.created_at, machines.c.id)
        if states is None:
            query = query.where(machines.c.state != MachineState.GONE.value)
        else:
            query = query.where(machines.c.state.in_([state.value for state in states]))
        if group is not None:
            query = query.where(*(machines.c[name] == value for name, value in group._asdict().items()))
        if project is not None:
            query = query.where(machines.c.project == project)
        with self._database.execution_options(readonly=True).connect() as db:
            return [_machine(row) for row in db.execute(query)]

    def machine(self, worker: WorkerId) -> Machine | None:
        """Return one machine, or None."""
        with self._database.execution_options(readonly=True).connect() as db:
            row = db.execute(select(machines).where(machines.c.id == worker)).first()
        return _machine(row) if row else None

    def places(self, since: datetime | None = None) -> set[tuple[CloudName, ProjectId]]:
        """Return where there are machines, or were at `since` or later; without that, where there ever was one."""
        query = select(machines.c.cloud, machines.c.project).distinct()
        if since is not None:
            query = query.where(
                or_(machines.c.state != MachineState.GONE.value, machines.c.ended_at >= since)
            )
        with self._database.execution_options(readonly=True).connect() as db:
            return {(CloudName(row.cloud), ProjectId(row.project)) for row in db.execute(query)}

    def core_hours(
        self, since: datetime, *, project: ProjectId | None = None
    ) -> dict[tuple[ProjectId, CloudName, str], float]:
        """Return the core-hours of machines that are gone, from `since` on, by project (one or all), cloud and flavor."""
        columns = (machines.c.project, machines.c.cloud, machines.c.flavor, machines.c.size_flavor)
        times = (machines.c.vcpus, machines.c.created_at, machines.c.ended_at)
        query = select(*columns, *times).where(
            machines.c.state == MachineState.GONE.value, machines.c.ended_at >= since
        )
        if project is not None:
            query = query.where(machines.c.project == project)
        found: dict[tuple[ProjectId, CloudName, str], float] = {}
        with self._database.execution_options(readonly=True).connect() as db:
            for row in db.execute(query.execution_options(yield_per=1000)):
                key = (ProjectId(row.project), CloudName(row.cloud), row.size_flavor or row.flavor)
                hours = (row.ended_at - max(since, row.created_at)).total_seconds() / 3600
                found[key] = found.get(key, 0.0) + row.vcpus * hours
        return found

    def lanes(self) -> dict[Lane, Record]:
        """Return how boots went of late."""
        with self._database.execution_options(readonly=True).connect() as db:
            return {_lane(row): _record(row) for row in db.execute(select(lanes))}

    def fail(
        self,
        boot: Lane,
        *,
        code: str,
        reason: str,
        at: datetime,
        begun: datetime,
        not_before: datetime | None = None,
    ) -> None:
        """Count a failed boot that was begun at `begun`, in the lane that it tells of.

        Of several that were under way together only the first counts: they failed of one and the same cause.
        """
        lane = blame(boot, code, reason)
        with self._database.begin() as db:
            known = _locked(db, lane)
            if known.failures and known.last_at is not None and begun <= known.last_at:
                known = replace(known, failures=known.failures - 1)
            _keep(db, lane, known.failed(at, code, reason, not_before=not_before), at)
            db.execute(delete(lanes).where(lanes.c.touched_at < at - LANES_KEPT))

    def succeed(self, boots: Sequence[tuple[Lane, float]], *, at: datetime) -> None:
        """Forget the failures of everything that boots which came up have in common with others.

        With each comes how many seconds it took. One transaction, however many there are.
        """
        if not boots:
            return
        with self._database.begin() as db:
            known = {_lane(row): _record(row) for row in db.execute(select(lanes).with_for_update())}
            changed: dict[Lane, Record] = {}
            for boot, seconds in boots:
                timed = (
                    Lane(cloud=boot.cloud, image=boot.image),
                    Lane(cloud=boot.cloud),
                    Lane(image=boot.image),
                )
                failing = [lane for lane, record in known.items() if record.failures and lane.covers(boot)]
                for lane in dict.fromkeys((*timed, *failing)):
                    record = known.get(lane, Record())
                    if record.code not in NOT_CURED_BY_A_BOOT:
                        known[lane] = record.succeeded(at, seconds if lane in timed else None)
                        changed[lane] = known[lane]
            for lane, record in changed.items():
                _keep(db, lane, record, at)

    def set_reasons(self, found: Sequence[Reasons], *, at: datetime) -> None:
        """Replace what is known of all waiting groups; groups that are not named wait no more."""
        rows = [
            {
                "project": one.group.project,
                "image": one.group.image,
                "flavor": one.group.flavor,
                "at": at,
                "refusals": [refusal.as_dict() for refusal in one.refusals],
                "offers": [
                    [offer.kind.cloud, offer.kind.flavor, *astuple(offer.size), offer.boot_seconds]
                    for offer in one.offers
                ],
            }
            for one in found
        ]
        with self._database.begin() as db:
            db.execute(delete(reasons))
            if rows:
                db.execute(insert(reasons), rows)

    def reasons(self, group: Group) -> Looked | None:
        """Return when the group was last looked at, and what spoke against more workers; None: not yet."""
        query = select(reasons).where(
            reasons.c.project == group.project,
            reasons.c.image == group.image,
            reasons.c.flavor == group.flavor,
        )
        with self._database.execution_options(readonly=True).connect() as db:
            row = db.execute(query).first()
        if row is None:
            return None
        return Looked(
            at=row.at,
            refusals=tuple(Refusal(**refusal) for refusal in row.refusals),
            offers=tuple(
                KnownOffer(
                    kind=Kind(CloudName(cloud), flavor),
                    size=Resources(cpus=cpus, memory_mib=memory, disk_kib=disk, gpus=gpus),
                    boot_seconds=seconds,
                )
                for cloud, flavor, cpus, memory, disk, gpus, seconds in row.offers or ()
            ),
        )


def _lane(row: Row[Any]) -> Lane:
    return Lane(CloudName(row.cloud), ProjectId(row.project), Sha512(row.image), row.flavor)


def _record(row: Row[Any]) -> Record:
    return Record(**{name: getattr(row, name) for name in _OF_RECORD})


def _locked(db: Connection, lane: Lane) -> Record:
    row = db.execute(select(lanes).where(_is(lane)).with_for_update()).first()
    return _record(row) if row else Record()


def _keep(db: Connection, lane: Lane, record: Record, at: datetime) -> None:
    db.execute(delete(lanes).where(_is(lane)))
    db.execute(insert(lanes).values(**lane._asdict(), **asdict(record), touched_at=at))


def _is(lane: Lane) -> Any:
    return and_(*(lanes.c[name] == value for name, value in lane._asdict().items()))


def _machine(row: Row[Any]) -> Machine:
    return Machine(
        id=WorkerId(row.id),
        group=Group(ProjectId(row.project), Sha512(row.image), row.flavor),
        cloud=CloudName(row.cloud),
        project_name=row.project_name,
        vcpus=row.vcpus,
        state=MachineState(row.state),
        created_at=row.created_at,
        size=Resources(cpus=row.vcpus, memory_mib=row.memory_mib, disk_kib=row.disk_kib, gpus=row.gpus),
        server_id=ServerId(row.server_id) if row.server_id else None,
        reason=row.reason,
        reason_code=row.reason_code,
        size_flavor=row.size_flavor,
        asked_at=row.asked_at,
        booted_at=row.booted_at,
        registered_at=row.registered_at,
        ending_at=row.ending_at,
        ended_at=row.ended_at,
    )
