"""Copy a root disk as it is at one moment, whole, while its machine runs on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from armillary.cloud.engines.qemu import disks
from armillary.cloud.engines.qemu.command import ROOT_NODE
from armillary.cloud.engines.qemu.layout import MachineFiles
from armillary.cloud.engines.qemu.qmp import GuestAgent, Monitor, MonitorError, Refused, TooSlow
from armillary.cloud.ports import BootFailed

_log = logging.getLogger(__name__)
_FREEZE_SECONDS = 10.0
_JOB = "snapshot"
_TARGET_NODE = "snapshot-target"


def copy_stopped(files: MachineFiles, target: Path, *, image: Path, image_format: str) -> None:
    """Copy the disk of a machine that does not run.

    Raises:
        BootFailed: the copy failed.
    """
    # the image is named here again, as at boot: the path inside the overlay may be an old one
    base = {"driver": image_format, "file": {"driver": "file", "filename": str(image)}}
    disk = {"driver": "qcow2", "file": {"driver": "file", "filename": str(files.root)}, "backing": base}
    disks.run("qemu-img", "convert", "-O", "qcow2", f"json:{json.dumps(disk)}", str(target))


def copy_running(files: MachineFiles, target: Path) -> None:
    """Copy the disk of a machine that runs; the moment is that of the job's start.

    Raises:
        BootFailed: the copy failed, or the machine ended under it.
    """
    disks.run(
        "qemu-img", "create", "-q", "-f", "qcow2", str(target), str(disks.virtual_size_of_overlay(files.root))
    )
    try:
        with Monitor(files.monitor, timeout=30) as monitor:
            _clear(monitor)
            file = {"driver": "file", "filename": str(target)}
            monitor.ask("blockdev-add", driver="qcow2", node_name=_TARGET_NODE, file=file)
            try:
                with _frozen(files.agent) if _agent_listens(monitor) else nullcontext():
                    monitor.ask(
                        "blockdev-backup",
                        job_id=_JOB,
                        device=ROOT_NODE,
                        target=_TARGET_NODE,
                        sync="full",
                        auto_dismiss=False,
                    )
                _finish(monitor)
            finally:
                _clear(monitor)
    except MonitorError as error:
        raise BootFailed(
            f"The machine's disk could not be copied: {error}", code="snapshot_failed"
        ) from error


def _agent_listens(monitor: Monitor) -> bool:
    return any(
        device["label"] == "agent" and device["frontend-open"] for device in monitor.ask("query-chardev")
    )


def _finish(monitor: Monitor) -> None:
    while True:
        jobs: list[dict[str, Any]] = [job for job in monitor.ask("query-jobs") if job["id"] == _JOB]
        if not jobs:
            raise BootFailed("The copy was ended by somebody else.", code="snapshot_failed")
        if jobs[0]["status"] == "concluded":
            if "error" in jobs[0]:
                raise disks.explain(str(jobs[0]["error"]))
            return
        with suppress(
            TooSlow
        ):  # the event tells of the end at once; the timeout bounds the time between looks
            monitor.wait_for("JOB_STATUS_CHANGE", timeout=1)


def _clear(monitor: Monitor) -> None:
    """Remove our job and target, also those that a process before us left."""
    for job in monitor.ask("query-jobs"):
        if job["id"] == _JOB:
            if job["status"] != "concluded":
                monitor.ask("job-cancel", id=_JOB)
                _await_concluded(monitor)
            monitor.ask("job-dismiss", id=_JOB)
    if any(node.get("node-name") == _TARGET_NODE for node in monitor.ask("query-named-block-nodes")):
        monitor.ask("blockdev-del", node_name=_TARGET_NODE)


def _await_concluded(monitor: Monitor) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if all(job["status"] == "concluded" for job in monitor.ask("query-jobs") if job["id"] == _JOB):
            return
        time.sleep(0.05)
    raise MonitorError("a copy before this one does not end")


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
