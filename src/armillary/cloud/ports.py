"""The two promises that an engine makes: machines that run, and a network between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from armillary.base.errors import ArmillaryError
from armillary.base.ids import ServerId
from armillary.cloud.model import Capacity, MachineSpec, MachineState, NetworkPlan


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

        After success a process runs the machine. After failure nothing of a machine that did not exist before
        is left: no disk, no process; one that existed keeps its disks and is STOPPED.

        Raises:
            BootFailed: with a message that a person understands.
        """
        ...

    def stop(self, server_id: ServerId, *, hard: bool = False) -> None:
        """Shut the machine down: by its power button, or at once if `hard` or when it does not obey in 60 s.

        After success it is STOPPED, or MISSING if it was not known. Its disks stay.
        """
        ...

    def reboot(self, server_id: ServerId, *, hard: bool = False) -> None:
        """Restart the machine from inside (soft), or reset it.

        Raises:
            BootFailed: it does not run.
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
