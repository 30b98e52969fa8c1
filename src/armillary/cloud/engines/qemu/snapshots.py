"""Copy a disk as it is at one moment, whole, while its machine runs on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from armillary.cloud.engines.qemu import disks
from armillary.cloud.engines.qemu.drives import root_chain
from armillary.cloud.engines.qemu.hardware import Hardware, image_of
from armillary.cloud.engines.qemu.layout import MachineFiles
from armillary.cloud.engines.qemu.qmp import (
    GuestAgent,
    Monitor,
    MonitorError,
    Refused,
    TooSlow,
    agent_listens,
)
from armillary.cloud.engines.qemu.stand import BUSY_SECONDS
from armillary.cloud.ports import BootFailed

_log = logging.getLogger(__name__)
_FREEZE_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.05


def copy_stopped(hardware: Hardware, files: MachineFiles, target: Path) -> None:
    """Copy the root disk of a machine that does not run.

    Raises:
        BootFailed: the copy failed.
    """
    # the image is named here again, as at boot: the path inside the overlay may be an old one
    disk = json.dumps(root_chain(files, *image_of(hardware)))
    disks.run("qemu-img", "convert", "-O", "qcow2", f"json:{disk}", str(target))


def copy_running(files: MachineFiles, node: str, target: Path, *, image_format: str = "qcow2") -> None:
    """Copy a disk of a machine that runs; the moment is that of the job's start.

    Raises:
        BootFailed: the copy failed, or the machine ended under it.
    """
    copy = _Copy(files=files, node=node)
    try:
        with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
            size = sizes(monitor)[node]
            disks.run("qemu-img", "create", "-q", "-f", image_format, str(target), str(size))
            copy.begin(monitor, target, image_format)
        copy.finish()
    except MonitorError as error:
        raise BootFailed(
            f"The machine's disk could not be copied: {error}", code="snapshot_failed"
        ) from error


class _Copy:
    """A job that copies one disk. Another disk's may run beside it."""

    def __init__(self, *, files: MachineFiles, node: str) -> None:
        self._files = files
        self._node = node
        self._job = f"copy-{node}"
        self._target = f"copy-of-{node}"

    def begin(self, monitor: Monitor, target: Path, image_format: str) -> None:
        self._clear(monitor)
        file = {"driver": "file", "filename": str(target)}
        monitor.ask("blockdev-add", driver=image_format, node_name=self._target, file=file)
        try:
            with _frozen(self._files.agent) if agent_listens(monitor) else nullcontext():
                monitor.ask(
                    "blockdev-backup",
                    job_id=self._job,
                    device=self._node,
                    target=self._target,
                    sync="full",
                    auto_dismiss=False,
                )
        except MonitorError:
            self._clear(monitor)
            raise

    def finish(self) -> None:
        """Return when the copy is whole. The monitor is free between the looks: others have business there."""
        while True:
            with Monitor(self._files.monitor, timeout=BUSY_SECONDS) as monitor:
                job = await_job(monitor, self._job)
                if job is not None:
                    self._clear(monitor)
                    if "error" in job:
                        raise disks.explain(str(job["error"]))
                    return
            time.sleep(_PAUSE_SECONDS)

    def _clear(self, monitor: Monitor) -> None:
        """Remove our job and target, also those that a process before us left."""
        end_job(monitor, self._job)
        if self._target in sizes(monitor):
            monitor.ask("blockdev-del", node_name=self._target)


def sizes(monitor: Monitor) -> dict[str, int]:
    """Return the size in bytes of what is behind each of QEMU's block nodes, by name."""
    nodes: list[dict[str, Any]] = monitor.ask("query-named-block-nodes", flat=True)
    return {node["node-name"]: int(node["image"]["virtual-size"]) for node in nodes if node.get("node-name")}


def await_job(monitor: Monitor, name: str) -> dict[str, Any] | None:
    """Return a job that has come to its end, None if it goes on after a moment.

    Raises:
        BootFailed: there is no such job.
    """
    for _look in range(2):
        job = _job(monitor, name)
        if job is None:
            raise BootFailed("The work on the disk was ended by somebody else.", code="snapshot_failed")
        if job["status"] == "concluded":
            return job
        with suppress(TooSlow):  # the event tells of the end at once
            monitor.wait_for("JOB_STATUS_CHANGE", timeout=_LOOK_SECONDS)
    return None


def end_job(monitor: Monitor, name: str) -> None:
    """Cancel a job and take it off the list; none of that name is fine."""
    job = _job(monitor, name)
    if job is None:
        return
    if job["status"] != "concluded":
        monitor.ask("job-cancel", id=name)
        deadline = time.monotonic() + 30
        while (job := _job(monitor, name)) is not None and job["status"] != "concluded":
            if time.monotonic() > deadline:
                raise MonitorError("the work on a disk does not end")
            time.sleep(0.05)
    if job is not None:
        monitor.ask("job-dismiss", id=name)


def _job(monitor: Monitor, name: str) -> dict[str, Any] | None:
    jobs: list[dict[str, Any]] = monitor.ask("query-jobs")
    return next((job for job in jobs if job["id"] == name), None)


@contextmanager
def _frozen(agent: Path) -> Generator[bool]:
    """Hold the guest's file systems still inside the block, if its agent answers; give whether it does."""
    try:
        guest = GuestAgent(agent)
    except MonitorError:
        yield False
        return
    with guest:
        try:
            yield _freeze(guest)
        finally:
            _thaw(agent, guest)


def _freeze(guest: GuestAgent) -> bool:
    try:
        guest.ask("guest-fsfreeze-freeze", timeout=_FREEZE_SECONDS)
    except MonitorError:
        return False  # refused, or late: then the agent may do it yet, and the thaw that follows undoes it
    return True


def _thaw(agent: Path, guest: GuestAgent) -> None:
    """Thaw, with a second attempt on a connection of its own: a guest that stays frozen is worse than a bad copy."""
    try:
        guest.ask("guest-fsfreeze-thaw", timeout=_FREEZE_SECONDS)
    except Refused:
        return
    except MonitorError:
        guest.close()
        try:
            with GuestAgent(agent, timeout=_FREEZE_SECONDS) as again:
                again.ask("guest-fsfreeze-thaw", timeout=_FREEZE_SECONDS)
        except MonitorError:
            _log.warning("the guest's agent at %s does not answer the thaw", agent)
