"""What is done to machines in the background: which task is whose work."""

from __future__ import annotations

from armillary.base.ids import ServerId
from armillary.cloud.compute.booting import Booting
from armillary.cloud.compute.cards import Cards
from armillary.cloud.compute.copying import Copying
from armillary.cloud.compute.disks import Disks
from armillary.cloud.compute.model import Server, TaskState
from armillary.cloud.compute.remaking import Remaking
from armillary.cloud.compute.standing import Standing
from armillary.cloud.compute.strands import Job
from armillary.cloud.compute.warming import Warming
from armillary.cloud.compute.work import Workbench


class Lifecycle:
    """Queues the work that stands in the records; each kind of work is a room of its own."""

    def __init__(self, *, bench: Workbench) -> None:
        self._strands = bench.strands
        self.disks = Disks(bench=bench)
        self.cards = Cards(bench=bench)
        self.warming = Warming(bench=bench)
        self._booting = Booting(bench=bench, disks=self.disks, warming=self.warming)
        self._standing = Standing(bench=bench)
        self._remaking = Remaking(bench=bench)
        self._copying = Copying(bench=bench)

    def pursue(self, server: Server) -> None:
        """Queue the work that a server's task stands for."""
        if server.task_state is None:
            return
        server_id = server.id
        booting, standing, remaking, copying = self._booting, self._standing, self._remaking, self._copying
        work: dict[TaskState, tuple[Job, bool]] = {
            TaskState.SCHEDULING: (lambda: booting.boot(server_id), False),
            TaskState.BLOCK_DEVICE_MAPPING: (lambda: booting.boot(server_id), False),
            TaskState.SPAWNING: (lambda: booting.boot(server_id), False),
            TaskState.POWERING_ON: (lambda: booting.start(server_id), False),
            TaskState.POWERING_OFF: (lambda: booting.stop(server_id), True),
            TaskState.REBOOTING: (lambda: booting.reboot(server_id), True),
            TaskState.REBOOTING_HARD: (lambda: booting.reboot(server_id), False),
            TaskState.DELETING: (lambda: booting.destroy(server_id), False),
            TaskState.PAUSING: (lambda: standing.pause(server_id), False),
            TaskState.UNPAUSING: (lambda: standing.unpause(server_id), False),
            TaskState.SUSPENDING: (lambda: standing.suspend(server_id), True),
            TaskState.RESUMING: (lambda: standing.resume(server_id), True),
            TaskState.RESCUING: (lambda: standing.rescue(server_id), True),
            TaskState.UNRESCUING: (lambda: standing.unrescue(server_id), False),
            TaskState.REBUILDING: (lambda: remaking.rebuild(server_id), True),
            TaskState.RESIZE_PREP: (lambda: remaking.resize(server_id), True),
            TaskState.RESIZE_MIGRATING: (lambda: remaking.resize(server_id), True),
            TaskState.RESIZE_FINISH: (lambda: remaking.resize(server_id), True),
            TaskState.RESIZE_CONFIRMING: (lambda: remaking.confirm(server_id), False),
            TaskState.RESIZE_REVERTING: (lambda: remaking.revert(server_id), True),
            TaskState.SHELVING: (lambda: copying.shelve(server_id), True),
            TaskState.SHELVING_OFFLOADING: (lambda: copying.offload(server_id), False),
            TaskState.UNSHELVING: (lambda: copying.unshelve(server_id), False),
            TaskState.IMAGE_SNAPSHOT: (lambda: copying.snapshot(server_id), True),
            TaskState.IMAGE_BACKUP: (lambda: copying.snapshot(server_id), True),
        }
        job, slow = work[server.task_state]
        self._strands.submit(server_id, job, slow=slow)

    def back_up(self, server_id: ServerId, *, kind: str, rotation: int) -> None:
        """Queue a backup, after which older ones of its kind go."""
        self._strands.submit(
            server_id, lambda: self._copying.snapshot(server_id, kind=kind, rotation=rotation), slow=True
        )

    def resume(self, server: Server) -> None:
        """Take up, or give up, what a platform that ended had promised for a server."""
        if server.task_state in {TaskState.IMAGE_SNAPSHOT, TaskState.IMAGE_BACKUP}:
            self._strands.submit(server.id, lambda: self._copying.abandon(server.id))
        else:
            self.pursue(server)

    def destroy_orphan(self, server_id: ServerId) -> None:
        """Queue the end of a machine of which no record is left."""
        self._strands.submit(server_id, lambda: self._booting.destroy_orphan(server_id))
