"""Nova's state machine: which action a server takes in which state, and what its status is called."""

from __future__ import annotations

from armillary.cloud.compute.model import TaskState, VmState
from armillary.cloud.model import MachineState

_STATUS = {
    VmState.BUILDING: "BUILD",
    VmState.ACTIVE: "ACTIVE",
    VmState.STOPPED: "SHUTOFF",
    VmState.ERROR: "ERROR",
    VmState.DELETED: "DELETED",
}
_POWER = {VmState.ACTIVE: 1, VmState.STOPPED: 4, VmState.ERROR: 0}

_RUNNING_OR_NOT = frozenset({VmState.ACTIVE, VmState.STOPPED})
_HARD_REBOOT = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR})
_ALLOWED: dict[str, frozenset[VmState]] = {
    "stop": frozenset({VmState.ACTIVE, VmState.ERROR}),
    "start": frozenset({VmState.STOPPED}),
    "reboot": frozenset({VmState.ACTIVE}),
    "reboot_hard": _HARD_REBOOT,
    "createImage": _RUNNING_OR_NOT,
    "update server metadata": _RUNNING_OR_NOT,
    "delete server metadata": _RUNNING_OR_NOT,
    "attach_interface": _RUNNING_OR_NOT,
    "detach_interface": _RUNNING_OR_NOT,
}
_WHATEVER_IS_BEING_DONE = frozenset({"update server metadata", "delete server metadata"})
_SPOKEN = {"reboot_hard": "reboot"}
"""actions whose name in a message differs"""


def status_of(vm_state: VmState, task_state: TaskState | None) -> str:
    """The status that the API shows."""
    if vm_state is VmState.ACTIVE and task_state is TaskState.REBOOTING:
        return "REBOOT"
    if task_state is TaskState.REBOOTING_HARD:
        return "HARD_REBOOT"
    return _STATUS[vm_state]


def states_of_status(status: str) -> frozenset[VmState]:
    """The states that a `status=` filter means; empty for a status that we never show."""
    return frozenset(state for state, name in _STATUS.items() if name == status.upper())


def power_state_of(vm_state: VmState) -> int:
    """Nova's number: 0 unknown, 1 running, 4 shut down."""
    return _POWER.get(vm_state, 0)


def refusal(action: str, vm_state: VmState, task_state: TaskState | None) -> str | None:
    """Why a server may not take `action` now, in Nova's words without the server's name; None if it may."""
    spoken = _SPOKEN.get(action, action)
    if vm_state not in _ALLOWED[action]:
        return f"Cannot '{spoken}' instance %s while it is in vm_state {vm_state.value}"
    if task_state is not None and action not in _WHATEVER_IS_BEING_DONE:
        return f"Cannot '{spoken}' instance %s while it is in task_state {task_state.value}"
    return None


def observed(vm_state: VmState, machine: MachineState) -> VmState:
    """What a server at rest is, given what its engine says.

    A machine that ended by itself or crashed makes a server SHUTOFF; one whose disks are gone makes it ERROR.
    """
    if vm_state not in _RUNNING_OR_NOT:
        return vm_state
    match machine:
        case MachineState.MISSING:
            return VmState.ERROR
        case MachineState.STOPPED:
            return VmState.STOPPED
        case _:
            return VmState.ACTIVE
