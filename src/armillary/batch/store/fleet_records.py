"""The scaler's memory: worker machines, how boots went, and why groups wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row, delete, insert, select, update

from armillary.base.ids import CloudName, ProjectId, ServerId, Sha512, WorkerId, new_hex
from armillary.batch.core.scaling import Boots
from armillary.batch.model import Group, Machine, MachineState, Refusal, Resources
from armillary.batch.store.tables import boots, deployment, machines, reasons


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

    def machines(self, states: Sequence[MachineState] | None = None) -> list[Machine]:
        """Return machines in these states (default: all but GONE), oldest first."""
        query = select(machines).order_by(machines.c.created_at, machines.c.id)
        if states is None:
            query = query.where(machines.c.state != MachineState.GONE.value)
        else:
            query = query.where(machines.c.state.in_([state.value for state in states]))
        with self._database.execution_options(readonly=True).connect() as db:
            return [_machine(row) for row in db.execute(query)]

    def ended_since(self, moment: datetime) -> list[Machine]:
        """Return machines that are gone, but were there at `moment` or later."""
        query = select(machines).where(
            machines.c.state == MachineState.GONE.value, machines.c.ended_at >= moment
        )
        with self._database.execution_options(readonly=True).connect() as db:
            return [_machine(row) for row in db.execute(query)]

    def machine(self, worker: WorkerId) -> Machine | None:
        """Return one machine, or None."""
        with self._database.execution_options(readonly=True).connect() as db:
            row = db.execute(select(machines).where(machines.c.id == worker)).first()
        return _machine(row) if row else None

    def boots(self) -> dict[CloudName, Boots]:
        """Return how boots went of late on each cloud."""
        with self._database.execution_options(readonly=True).connect() as db:
            return {
                CloudName(row.cloud): Boots(
                    failures=row.failures, last_at=row.last_at, last_reason=row.last_reason
                )
                for row in db.execute(select(boots))
            }

    def set_boots(self, cloud: CloudName, record: Boots) -> None:
        """Replace the record of one cloud."""
        values = {"failures": record.failures, "last_at": record.last_at, "last_reason": record.last_reason}
        with self._database.begin() as db:
            db.execute(delete(boots).where(boots.c.cloud == cloud))
            db.execute(insert(boots).values(cloud=cloud, **values))

    def set_reasons(self, found: Sequence[tuple[Group, Sequence[Refusal]]], *, at: datetime) -> None:
        """Replace what is known of all waiting groups; groups that are not named wait no more."""
        rows = [
            {
                "project": group.project,
                "image": group.image,
                "flavor": group.flavor,
                "at": at,
                "refusals": [refusal.as_dict() for refusal in refusals],
            }
            for group, refusals in found
        ]
        with self._database.begin() as db:
            db.execute(delete(reasons))
            if rows:
                db.execute(insert(reasons), rows)

    def reasons(self, group: Group) -> tuple[datetime, list[Refusal]] | None:
        """Return when the group was last looked at, and what spoke against more workers; None: not yet."""
        query = select(reasons).where(
            reasons.c.project == group.project,
            reasons.c.image == group.image,
            reasons.c.flavor == group.flavor,
        )
        with self._database.execution_options(readonly=True).connect() as db:
            row = db.execute(query).first()
        return (row.at, [Refusal(**refusal) for refusal in row.refusals]) if row else None


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
        booted_at=row.booted_at,
        registered_at=row.registered_at,
        ended_at=row.ended_at,
    )
