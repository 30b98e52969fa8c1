"""Making and deleting worker servers: what takes long, done beside the scaler's loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import CloudName, ProjectId, ServerId, WorkerId
from armillary.batch.core.scaling import Boots
from armillary.batch.model import Machine, MachineState
from armillary.batch.ports import Clouds, Enrolment, People
from armillary.batch.store.fleet_records import FleetRecords

log = logging.getLogger(__name__)

WORKER_MARK = "armillary_worker"
"""Server metadata: the worker that the server is. Found again by it when the reply to a create was lost."""
DEPLOYMENT_MARK = "armillary_deployment"
"""Server metadata: whose worker it is; another platform on the same cloud has another mark."""

Run = Callable[[Callable[[], None]], object]
"""Runs a function beside: a thread pool's `submit`, or at once in tests."""


class Yard:
    """Builds and scraps machines. Of one machine only one thing is done at a time."""

    def __init__(
        self,
        *,
        clouds: Clouds,
        enrolment: Enrolment,
        people: People,
        records: FleetRecords,
        clock: Clock,
        run: Run,
    ) -> None:
        self._clouds = clouds
        self._enrolment = enrolment
        self._people = people
        self._records = records
        self._clock = clock
        self._run = run
        self._lock = threading.Lock()
        self._busy: set[WorkerId] = set()
        self.mark = records.mark()

    def busy(self, worker: WorkerId) -> bool:
        """Whether something is being done about the machine now."""
        with self._lock:
            return worker in self._busy

    def build(self, machine: Machine) -> None:
        """Begin to make the planned machine's server."""
        self._beside(machine, self._build)

    def scrap(self, machine: Machine, server: ServerId) -> None:
        """Begin to delete the machine's server."""

        def delete(machine: Machine, project: Project) -> None:
            self._clouds.delete_server(machine.cloud, project, server)

        self._beside(machine, delete)

    def scrap_server(self, cloud: CloudName, project: ProjectId, server: ServerId) -> None:
        """Delete a server that is no machine of ours any more."""
        try:
            self._clouds.delete_server(cloud, self._people.project(project), server)
        except ArmillaryError as error:
            log.warning("cannot delete server %s on %s: %s", server, cloud, error.message)

    def adopt(self, machine: Machine, server_id: ServerId, *, at: datetime) -> None:
        """Take a server that was found to be the planned machine: the reply to its create was lost."""
        self._enrolment.expect(machine.id, server_id)
        self._records.set(
            machine.id, state=MachineState.BOOTING, server_id=server_id, booted_at=at, reason=None
        )

    def failed(self, cloud: CloudName, reason: str) -> None:
        """Count a boot that went wrong; the cloud is left alone for a while."""
        record = self._records.boots().get(cloud, Boots()).failed(self._clock.now(), reason)
        self._records.set_boots(cloud, record)

    def worked(self, cloud: CloudName) -> None:
        """Forget the failures: a machine came up."""
        if self._records.boots().get(cloud, Boots()).failures:
            self._records.set_boots(cloud, Boots())

    def end(self, machine: Machine, code: str, reason: str | None) -> None:
        """Mark a machine for deletion, with the reason that people will read."""
        log.info("worker %s on %s ends: %s", machine.id, machine.cloud, reason or code)
        self._records.set(machine.id, state=MachineState.ENDING, reason_code=code, reason=reason)

    def gone(self, machine: Machine) -> None:
        """Record that the machine's server is no more."""
        self._records.set(machine.id, state=MachineState.GONE, ended_at=self._clock.now())

    def _beside(self, machine: Machine, step: Callable[[Machine, Project], None]) -> None:
        with self._lock:
            if machine.id in self._busy:
                return
            self._busy.add(machine.id)

        def work() -> None:
            try:
                step(machine, self._people.project(machine.group.project))
            except ArmillaryError as error:
                log.warning("worker %s on %s: %s", machine.id, machine.cloud, error.message)
            finally:
                with self._lock:
                    self._busy.discard(machine.id)

        self._run(work)

    def _build(self, machine: Machine, project: Project) -> None:
        group, cloud = machine.group, machine.cloud
        try:
            self._records.set(machine.id, reason=f"its image is being brought to {cloud}")
            image = self._clouds.ensure_image(cloud, project, group.image)
            self._records.set(machine.id, reason=None)
            user_data = self._enrolment.user_data(machine.id, group=group, cloud=cloud, size=machine.size)
            server = self._clouds.create_server(
                cloud,
                project,
                name=f"worker-{machine.id[:8]}",
                image_id=image,
                flavor=group.flavor,
                user_data=user_data,
                metadata={WORKER_MARK: machine.id, DEPLOYMENT_MARK: self.mark},
            )
        except ArmillaryError as error:
            self.failed(cloud, error.message)
            self.end(machine, error.code, error.message)
            if not isinstance(error, Unavailable):
                self.gone(machine)  # a clear no; after silence there may be a server, which is looked for
            return
        self.adopt(machine, server.id, at=self._clock.now())
        if server.image_id is not None and server.image_id != image:
            self.end(machine, "wrong_image", f"{cloud} booted another image than the one that was asked for")
