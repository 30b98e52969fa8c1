"""The two promises that an engine makes: machines that run, and a network between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from armillary.base.errors import ArmillaryError
from armillary.base.ids import PortId, ServerId, VolumeId
from armillary.base.units import GiB
from armillary.cloud.model import (
    Capacity,
    CardUse,
    Checkpoint,
    ConsoleSockets,
    MachineSpec,
    MachineState,
    MachineUse,
    NetworkPlan,
    PortSpec,
    VolumeSpec,
)


class BootFailed(ArmillaryError):
    """A machine could not be made or started; `message` is fit for a Nova fault."""

    code = "boot_failed"


class Machines(Protocol):
    """Runs machines. Every call is safe to repeat; calls for different machines may run side by side.

    Machines outlive the process that made them: a new engine over the same directory finds them again.
    """

    def capacity(self) -> Capacity:
        """What this engine may use in all, whatever runs now."""
        ...

    def boot(self, spec: MachineSpec) -> None:
        """Make the machine's disks if they are not there, and run it.

        After success a process runs the machine: one that was PAUSED goes on, the memory of one that was SUSPENDED
        is dropped. A new one whose spec has a template goes on from its checkpoint, where there is one that fits and
        its guest takes the new identity over; otherwise it boots as any other. After failure nothing of a machine that did not exist before is left: no disk, no process; one
        that existed keeps its disks and is STOPPED.

        Raises:
            BootFailed: with a message that a person understands.
        """
        ...

    def stop(self, server_id: ServerId, *, hard: bool = False) -> None:
        """Shut the machine down: by its power button, or at once if `hard` or when it does not obey in 60 s.

        After success it is STOPPED, or MISSING if it was not known. Its disks stay; a SUSPENDED one loses its memory.
        """
        ...

    def reboot(self, server_id: ServerId, *, hard: bool = False) -> None:
        """Restart the machine from inside (soft), or reset it; a PAUSED one is reset, and runs.

        Raises:
            BootFailed: it has no process.
        """
        ...

    def destroy(self, server_id: ServerId) -> None:
        """End the machine and remove its disks and all its files. Nothing is left; unknown ids are fine."""
        ...

    def states(self) -> Mapping[ServerId, MachineState]:
        """Every machine that has files here, as it is now (not as it was recorded)."""
        ...

    def console(self, server_id: ServerId, *, last_bytes: int = 65536) -> bytes:
        """The end of what the machine wrote on its serial console, over all its boots; empty if unknown."""
        ...

    def snapshot(self, server_id: ServerId, target: Path) -> None:
        """Write the root disk as it is at one moment to `target`, a qcow2 file without a backing file.

        The machine runs on. Its file systems are frozen for the moment itself where a guest agent answers.
        After failure `target` does not exist.

        Raises:
            BootFailed: the machine is unknown, or the copy failed (disk full, …).
        """
        ...


class Sleep(Protocol):
    """Lets machines stand still without ending them. Every call is safe to repeat."""

    def pause(self, server_id: ServerId) -> None:
        """Stop its processors; after success it is PAUSED. Raises BootFailed if it does not run."""
        ...

    def unpause(self, server_id: ServerId) -> None:
        """Let its processors turn again; after success it is RUNNING. Raises BootFailed if it has no process."""
        ...

    def suspend(self, server_id: ServerId) -> None:
        """Write its memory to disk and end its process; after success it is SUSPENDED, after failure it runs on.

        Raises:
            BootFailed: it does not run, or the memory could not be written (disk full, …).
        """
        ...

    def resume(self, spec: MachineSpec) -> None:
        """Go on from the memory on disk, with its clock set; after success it is RUNNING and the memory file gone.

        After failure it is SUSPENDED still. Volumes and ports are those that it was suspended with.

        Raises:
            BootFailed: it is neither SUSPENDED nor running again, or does not go on.
        """
        ...


class Devices(Protocol):
    """Plugs cards and disks into machines, and pulls them out. Calls are safe to repeat.

    On a machine that is STOPPED or unknown they change nothing and succeed: `boot` takes its devices from the spec.
    One that is SUSPENDED keeps the devices that its memory knows: plugging and pulling raise BootFailed.
    """

    def plug_port(self, server_id: ServerId, port: PortSpec) -> None:
        """Give a running machine one more network card. Raises BootFailed; then it has none more than before."""
        ...

    def unplug_port(self, server_id: ServerId, port_id: PortId) -> None:
        """Pull a card. Raises BootFailed if the guest does not let go of it in 20 s; then the card stays."""
        ...

    def plug_volume(self, server_id: ServerId, volume: VolumeSpec) -> None:
        """Give a running machine one more disk. Raises BootFailed; then it has none more than before."""
        ...

    def unplug_volume(self, server_id: ServerId, volume_id: VolumeId) -> None:
        """Pull a disk. All that the guest wrote is in the volume's file after success.

        Raises:
            BootFailed: the guest does not let go of it in 20 s; then the disk stays.
        """
        ...

    def grow_volume(self, server_id: ServerId, volume_id: VolumeId, size: GiB) -> bool:
        """Make an attached volume's file and disk larger; False if no running machine holds it (nothing is done)."""
        ...

    def copy_volume(self, server_id: ServerId, volume_id: VolumeId, target: Path) -> bool:
        """Write an attached volume as it is at one moment to `target`, a file of the volume's own format.

        The machine runs on, and its file systems are frozen for the moment itself, as in `Machines.snapshot`.
        False if no running machine holds it: then its file is at rest and may be copied as it lies.

        Raises:
            BootFailed: the copy failed; `target` does not exist.
        """
        ...

    def consoles(self, server_id: ServerId) -> ConsoleSockets:
        """Where a machine's consoles are reached while it runs; both None if it does not run."""
        ...


class RootDisks(Protocol):
    """Changes the root disk of a machine that does not run. Calls are safe to repeat; unknown ids are fine.

    All but `settle_root` raise BootFailed if the machine is not STOPPED.
    """

    def keep_root(self, server_id: ServerId) -> None:
        """Set the root disk aside, so that it can come back; the next `boot` goes on with a (larger) copy of it."""
        ...

    def settle_root(self, server_id: ServerId) -> None:
        """Forget the disk that was set aside: there is no way back. May be called while the machine runs."""
        ...

    def restore_root(self, server_id: ServerId) -> None:
        """Bring the disk that was set aside back, and drop what was written since."""
        ...

    def forget_root(self, server_id: ServerId) -> None:
        """Remove root and ephemeral disks; the next `boot` makes them anew from its spec's image."""
        ...


class Checkpoints(Protocol):
    """Keeps templates as they were when they waited, so that machines like them need not boot.

    A checkpoint is whole or not there, also after a kill, and nothing of a template is left beside it. A machine
    goes on when the checkpoint that it began from is gone.
    """

    def prepare(self, spec: MachineSpec, *, pause: Callable[[float], bool]) -> bool:
        """Boot the template of `spec` in the shape of `spec`, and keep it as its checkpoint; return whether there is one.

        It takes as long as a boot. There is none, and nothing is begun, if `spec` has no template or more than one card or
        volumes, if checkpoints are switched off, if somebody makes this one already, or if it failed lately.

        Args:
            spec: a machine that would have begun from the checkpoint.
            pause: waits so many seconds; when it says False, the template is ended and the work given up.

        Raises:
            BootFailed: the template does not boot or come to wait, or there is not enough memory or disk.
        """
        ...

    def checkpoints(self) -> Sequence[Checkpoint]:
        """Those that are kept, the one that was used last at the end. Older ones go when there are too many."""
        ...

    def forget_checkpoint(self, key: str) -> None:
        """Remove one; unknown keys are fine."""
        ...


class Measures(Protocol):
    """Tells what machines use."""

    def measure(self, server_id: ServerId) -> MachineUse | None:
        """What a machine has used since its process started; None if it does not run, or does not tell now."""
        ...


class Hypervisor(Machines, Sleep, Devices, RootDisks, Checkpoints, Measures, Protocol):
    """What an engine for machines is, whole. A service asks only for the part that it uses."""


class Fabric(Protocol):
    """Connects machines. The plan is declarative: apply the whole of it, as often as you like."""

    def apply(self, plan: NetworkPlan) -> None:
        """Make the network be as `plan` says; ports and rules that it does not name are closed.

        Ports of machines on one network reach each other as the rules allow; a floating IP answers on this
        computer's loopback for what the port's ingress rules open. Machines that do not run are skipped and
        are served when they do, by the next call. Established connections that the plan forbids may be cut.
        """
        ...

    def addresses(self, server_id: ServerId) -> Mapping[int, tuple[str, int]]:
        """Where a machine's open TCP ports truly answer now: guest port -> (host address, host port).

        The host port equals the guest port unless this user may not bind it (below 1024 without the right).
        """
        ...

    def traffic(self, ports: Sequence[PortId]) -> Mapping[PortId, CardUse]:
        """What went through the cards of these ports; those of which nothing is known are missing."""
        ...
