"""The disks that are a machine's own: made at a start, kept aside, brought back, made anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from armillary.base.ids import ServerId
from armillary.cloud.engines.qemu import disks, hardware
from armillary.cloud.engines.qemu.drives import IMAGE_NODE, KEPT_NODE, ROOT_NODE
from armillary.cloud.engines.qemu.hardware import Hardware, hardware_of, image_of
from armillary.cloud.engines.qemu.layout import BUILDING, MachineFiles
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError
from armillary.cloud.engines.qemu.snapshots import await_job, end_job
from armillary.cloud.engines.qemu.stand import BUSY_SECONDS, Stand, alive, asleep
from armillary.cloud.model import MachineSpec
from armillary.cloud.ports import BootFailed

_GIB = 2**30
_JOB = "settle"


class QemuRoots(Stand):
    """The `RootDisks` port, and the making of disks.

    A disk that is kept aside is the old root under another name, and the new root leans on it. Renaming a file is
    one step, so a process that is killed leaves either the one state or the other.
    """

    def keep_root(self, server_id: ServerId) -> None:
        """Set the root disk aside; the next boot goes on with a disk over it."""
        files = self._layout.machine(server_id)
        with self._lock(server_id):
            _at_rest(files)
            if files.root.exists() and not files.kept.exists():
                files.root.replace(files.kept)

    def restore_root(self, server_id: ServerId) -> None:
        """Bring the disk that was set aside back."""
        files = self._layout.machine(server_id)
        with self._lock(server_id):
            _at_rest(files)
            if files.kept.exists():
                files.kept.replace(files.root)

    def settle_root(self, server_id: ServerId) -> None:
        """Take what the root disk leans on into it, and forget the disk that was set aside."""
        files = self._layout.machine(server_id)
        while files.kept.exists():
            if alive(files) and not asleep(files):
                try:
                    _take_in_running(files)
                except MonitorError as error:
                    if alive(files):
                        raise BootFailed(f"The machine's disks cannot be made one: {error}") from error
                    continue  # it ended under our hands: now its disks are at rest
                _drop_beneath(files)
                return
            with self._lock(server_id):
                if alive(files) and not asleep(files):
                    continue
                if files.root.exists():
                    _take_in(files, *image_of(hardware.read(files)))
                    _drop_beneath(files)
                else:  # it never started again: the old disk is the only one
                    files.kept.replace(files.root)

    def forget_root(self, server_id: ServerId) -> None:
        """Remove the machine's own disks; the next boot makes them anew."""
        files = self._layout.machine(server_id)
        with self._lock(server_id):
            _at_rest(files)
            if files.folder.exists():
                files.anew.touch()
                _remove_own(files)

    # -- making

    def _make(self, spec: MachineSpec, files: MachineFiles) -> Hardware:
        """Make the machine's folder under another name first, so that a folder by its name is always whole."""
        building = replace(files, folder=files.folder.with_name(files.folder.name + BUILDING))
        shutil.rmtree(building.folder, ignore_errors=True)
        building.folder.mkdir(mode=0o700)
        try:
            building.anew.touch()
            made = self._refresh(spec, building)
            building.folder.rename(files.folder)
        except BaseException:
            shutil.rmtree(building.folder, ignore_errors=True)
            raise
        return made

    def _refresh(self, spec: MachineSpec, files: MachineFiles) -> Hardware:
        """Make the disks that the machine lacks, let others grow, and write down what it has."""
        found = hardware_of(spec, accelerator=self._tuning.accelerator)
        if files.anew.exists():
            _remove_own(files)
        if spec.image_path is not None:
            _prepare_root(spec, spec.image_path, files)
        if spec.ephemeral_disk:
            _prepare_ephemeral(spec, files)
        if spec.swap_disk and _size(files.swap) != spec.swap_disk * 2**20:
            disks.make_swap(files.swap, spec.swap_disk)
        files.rescue.unlink(missing_ok=True)
        if spec.rescue is not None:
            image, image_format = spec.rescue.image_path, spec.rescue.image_format
            size = max(disks.virtual_size(image, image_format), spec.root_disk * _GIB)
            disks.lay_over(files.rescue, image, image_format, size)
        if spec.config_drive:
            disks.make_config_drive(files.config_drive, spec.config_drive)
        hardware.write(found, files)
        files.anew.unlink(missing_ok=True)
        return found


def _prepare_root(spec: MachineSpec, image: Path, files: MachineFiles) -> None:
    if files.root.exists():
        disks.grow_root(files.root, spec.root_disk)
    elif files.kept.exists():
        size = max(disks.virtual_size_of_overlay(files.kept), spec.root_disk * _GIB)
        disks.lay_over(files.root, files.kept, "qcow2", size)
    elif files.anew.exists():
        disks.make_root(spec, image, files.root)
    else:
        raise BootFailed("The machine's root disk is gone from this computer.", code="disk_missing")


def _prepare_ephemeral(spec: MachineSpec, files: MachineFiles) -> None:
    """Make the disk, or make it larger; the file system on it is the guest's to grow."""
    size = _size(files.ephemeral)
    if size == 0:
        disks.make_ephemeral(files.ephemeral, spec.ephemeral_disk)
    elif size < spec.ephemeral_disk * _GIB:
        with files.ephemeral.open("r+b") as file:
            file.truncate(spec.ephemeral_disk * _GIB)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _remove_own(files: MachineFiles) -> None:
    for path in (files.root, files.kept, files.warm, files.ephemeral, files.swap):
        path.unlink(missing_ok=True)


def _drop_beneath(files: MachineFiles) -> None:
    """Forget what the root disk leant on, the lowest first: while `kept` is there, the work counts as undone."""
    files.warm.unlink(missing_ok=True)
    files.kept.unlink(missing_ok=True)


def _at_rest(files: MachineFiles) -> None:
    if asleep(files) or alive(files):
        raise BootFailed(
            "The machine's disks are in use.", code="not_stopped", remedy="Stop the machine first."
        )


def _take_in(files: MachineFiles, image: Path, image_format: str) -> None:
    """Let a root disk at rest lean on the image alone. Killed half-way, it holds more than it needs and is right."""
    rename = ("qemu-img", "rebase", "-q", "-u", "-f", "qcow2")
    beneath = ("-F", image_format, "-b", str(image))
    # First the names, which may be old ones, then the bytes. A checkpoint's disk keeps its name for the image: other
    # machines read it at this moment.
    under_kept = ("-F", "qcow2", "-b", str(files.warm)) if files.warm.exists() else beneath
    disks.run(*rename, *under_kept, str(files.kept))
    disks.run(*rename, "-F", "qcow2", "-b", str(files.kept), str(files.root))
    disks.run("qemu-img", "rebase", "-q", "-f", "qcow2", *beneath, str(files.root))


def _take_in_running(files: MachineFiles) -> None:
    """Do the same under a running machine."""
    with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
        nodes = {node["node-name"] for node in monitor.ask("query-named-block-nodes", flat=True)}
        if KEPT_NODE not in nodes:
            return  # an attempt before this one came so far
        end_job(monitor, _JOB)
        monitor.ask("block-stream", job_id=_JOB, device=ROOT_NODE, base_node=IMAGE_NODE, auto_dismiss=False)
    while True:
        with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
            job = await_job(monitor, _JOB)
            if job is None:
                continue
            end_job(monitor, _JOB)
            if "error" in job:
                raise disks.explain(str(job["error"]))
            return
