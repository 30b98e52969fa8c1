"""Making and deleting worker servers: what takes long, done beside the scaler's loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import CloudName, ImageId, ProjectId, ServerId, Sha512, WorkerId
from armillary.batch.core.backoff import Lane
from armillary.batch.model import Machine, MachineState
from armillary.batch.ports import Clouds, Enrolment, People
from armillary.batch.store.fleet_records import FleetRecords
from armillary.fleet.model import WORKER_MARK

log = logging.getLogger(__name__)

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
        scrap_every: timedelta = timedelta(seconds=30),
    ) -> None:
        """Ask for the end of one and the same server at most once in `scrap_every`."""
        self._clouds = clouds
        self._enrolment = enrolment
        self._people = people
        self._records = records
        self._clock = clock
        self._run = run
        self._scrap_every = scrap_every
        self._lock = threading.Lock()
        self._busy: set[WorkerId] = set()
        self._bringing: set[tuple[CloudName, Sha512]] = set()
        self._scrapped: dict[ServerId, datetime] = {}
        self.mark = records.mark()

    def busy(self, worker: WorkerId) -> bool:
        """Whether something is being done about the machine now."""
        with self._lock:
            return worker in self._busy

    def build(self, machine: Machine, image: ImageId | None = None) -> None:
        """Begin to make the planned machine's server, from `image` if it is known to be on the cloud.

        Else the image is brought there first. Of several machines that wait for one and the same image only one
        brings it; the others are built when it has come.
        """
        place = (machine.cloud, machine.group.image)
        with self._lock:
            if image is None:
                if place in self._bringing or machine.id in self._busy:
                    return
                self._bringing.add(place)
        if image is not None:
            self._beside(machine, lambda machine, project: self._build(machine, project, image))
            return

        def bring(machine: Machine, project: Project) -> None:
            try:
                found = self._bring(machine, project)
            finally:
                with self._lock:
                    self._bringing.discard(place)
            if found is not None:
                self._build(machine, project, found)

        self._beside(machine, bring)

    def scrap(self, machine: Machine, server: ServerId) -> None:
        """Begin to delete the machine's server, unless that was asked for a moment ago."""
        if self._may_scrap(server):
            self._beside(machine, lambda m, project: self._clouds.delete_server(m.cloud, project, server))

    def scrap_server(self, cloud: CloudName, project: ProjectId, server: ServerId) -> None:
        """Begin to delete a server that is no machine of ours any more."""
        if not self._may_scrap(server):
            return
        log.warning("server %s on %s stands for no worker of ours; deleting it", server, cloud)

        def delete() -> None:
            try:
                self._clouds.delete_server(cloud, self._people.project(project), server)
            except ArmillaryError as error:
                log.warning("cannot delete server %s on %s: %s", server, cloud, error.message)

        self._run(delete)

    def adopt(self, machine: Machine, server_id: ServerId, *, at: datetime) -> None:
        """Take a server that was found to be the planned machine: the reply to its create was lost."""
        self._enrolment.expect(machine.id, server_id)
        self._records.set(
            machine.id, state=MachineState.BOOTING, server_id=server_id, booted_at=at, reason=None
        )

    def failed(self, machine: Machine, code: str, reason: str, *, wait: float | None = None) -> None:
        """Count a boot that went wrong; what it tells of is left alone for a while."""
        now = self._clock.now()
        self._records.fail(
            lane_of(machine),
            code=code,
            reason=reason,
            at=now,
            begun=machine.asked_at or machine.created_at,
            not_before=now + timedelta(seconds=wait) if wait else None,
        )

    def worked(self, came_up: Sequence[tuple[Machine, datetime]]) -> None:
        """Forget the failures: machines came up, and registered when is said. How long it took is remembered."""
        boots = [
            (lane_of(m), max(0.0, (at - (m.asked_at or m.booted_at or m.created_at)).total_seconds()))
            for m, at in came_up
        ]
        self._records.succeed(boots, at=self._clock.now())

    def end(self, machine: Machine, code: str, reason: str | None) -> None:
        """Mark a machine for deletion, with the reason that people will read."""
        log.info("worker %s on %s ends: %s", machine.id, machine.cloud, reason or code)
        self._records.set(
            machine.id,
            state=MachineState.ENDING,
            reason_code=code,
            reason=reason,
            ending_at=self._clock.now(),
        )

    def gone(self, machine: Machine) -> None:
        """Record that the machine's server is no more."""
        self._records.set(machine.id, state=MachineState.GONE, ended_at=self._clock.now())

    def _may_scrap(self, server: ServerId) -> bool:
        now = self._clock.now()
        with self._lock:
            self._scrapped = {one: at for one, at in self._scrapped.items() if now - at < self._scrap_every}
            if server in self._scrapped:
                return False
            self._scrapped[server] = now
            return True

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

    def _bring(self, machine: Machine, project: Project) -> ImageId | None:
        self._records.set(machine.id, reason=f"its image is being brought to {machine.cloud}")
        try:
            image = self._clouds.ensure_image(machine.cloud, project, machine.group.image)
        except ArmillaryError as error:
            self._refused(machine, error)
            return None
        # It may have taken long, and the jobs may have found machines elsewhere meanwhile.
        now = self._records.machine(machine.id)
        if now is None or now.state is not MachineState.PLANNED:
            return None
        self._records.set(machine.id, reason=None)
        return image

    def _build(self, machine: Machine, project: Project, image: ImageId) -> None:
        group, cloud = machine.group, machine.cloud
        try:
            user_data = self._enrolment.user_data(machine.id, group=group, cloud=cloud, size=machine.size)
        except ArmillaryError as error:
            self._refused(machine, error)
            return
        # From here on there may be a server; if we are killed now, it is looked for and not made a second time.
        self._records.set(machine.id, asked_at=self._clock.now())
        try:
            server = self._clouds.create_server(
                cloud,
                project,
                name=f"worker-{machine.id[:8]}",
                image_id=image,
                flavor=machine.flavor,
                user_data=user_data,
                metadata={
                    WORKER_MARK: machine.id,
                    DEPLOYMENT_MARK: self.mark,
                    **self._enrolment.marks(),
                },
            )
        except ArmillaryError as error:
            self._refused(
                machine, error, unsure=isinstance(error, Unavailable) and error.code != "cloud_busy"
            )
            return
        self.adopt(machine, server.id, at=self._clock.now())
        if server.image_id is not None and server.image_id != image:
            reason = f"{cloud} booted another image than the one that was asked for"
            self.failed(machine, "wrong_image", reason)
            self.end(machine, "wrong_image", reason)

    def _refused(self, machine: Machine, error: ArmillaryError, *, unsure: bool = False) -> None:
        """Count the failure. `unsure`: there may be a server; the machine stays planned until that is clear."""
        self.failed(machine, error.code, error.message, wait=error.facts.get("retry_after"))
        if unsure:
            text = f"{machine.cloud} did not say whether it was made: {error.message}"
            self._records.set(machine.id, reason=text)
        else:
            self.end(machine, error.code, error.message)
            self.gone(machine)


def lane_of(machine: Machine) -> Lane:
    """Return what a machine's boot was, for the record."""
    group = machine.group
    return Lane(cloud=machine.cloud, project=group.project, image=group.image, flavor=machine.flavor)
