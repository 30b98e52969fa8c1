"""Nova's state machine: which action a server takes in which state, and what its status is called."""

from __future__ import annotations

from armillary.cloud.compute.model import TaskState, VmState
from armillary.cloud.model import MachineState

_STATUS = {
    VmState.BUILDING: "BUILD",
    VmState.ACTIVE: "ACTIVE",
    VmState.STOPPED: "SHUTOFF",
    VmState.PAUSED: "PAUSED",
    VmState.SUSPENDED: "SUSPENDED",
    VmState.RESCUED: "RESCUE",
    VmState.RESIZED: "VERIFY_RESIZE",
    VmState.SHELVED: "SHELVED",
    VmState.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
    VmState.SOFT_DELETED: "SOFT_DELETED",
    VmState.ERROR: "ERROR",
    VmState.DELETED: "DELETED",
}
_RESIZING = (TaskState.RESIZE_PREP, TaskState.RESIZE_MIGRATING, TaskState.RESIZE_FINISH)
_RESIZE = dict.fromkeys(_RESIZING, "RESIZE")
_REBUILD = {TaskState.REBUILDING: "REBUILD"}
_STATUS_IN_TASK: dict[VmState, dict[TaskState, str]] = {
    VmState.ACTIVE: {
        TaskState.REBOOTING: "REBOOT", TaskState.REBOOTING_HARD: "HARD_REBOOT", **_REBUILD, **_RESIZE,
    },
    VmState.STOPPED: {**_REBUILD, **_RESIZE},
    VmState.ERROR: _REBUILD,
    VmState.RESIZED: {TaskState.RESIZE_REVERTING: "REVERT_RESIZE"},
}  # fmt: skip
_POWER = {
    VmState.ACTIVE: 1,
    VmState.RESCUED: 1,
    VmState.RESIZED: 1,
    VmState.PAUSED: 3,
    VmState.STOPPED: 4,
    VmState.SUSPENDED: 4,
    VmState.SHELVED: 4,
    VmState.SHELVED_OFFLOADED: 4,
}

_RUNNING_OR_NOT = frozenset({VmState.ACTIVE, VmState.STOPPED})
_STILL = frozenset({VmState.PAUSED, VmState.SUSPENDED})
_BROKEN_TOO = _RUNNING_OR_NOT | {VmState.ERROR}
_SHELVED = frozenset({VmState.SHELVED, VmState.SHELVED_OFFLOADED})
_VOLUMES = _RUNNING_OR_NOT | _SHELVED | {VmState.PAUSED, VmState.RESIZED, VmState.SOFT_DELETED}
_CARDS = _RUNNING_OR_NOT | {VmState.PAUSED}
_ALLOWED: dict[str, frozenset[VmState]] = {
    "stop": frozenset({VmState.ACTIVE, VmState.ERROR}),
    "start": frozenset({VmState.STOPPED}),
    "reboot": frozenset({VmState.ACTIVE}),
    "reboot_hard": _BROKEN_TOO | _STILL,
    "pause": frozenset({VmState.ACTIVE}),
    "unpause": frozenset({VmState.PAUSED}),
    "suspend": frozenset({VmState.ACTIVE}),
    "resume": frozenset({VmState.SUSPENDED}),
    "rescue": _BROKEN_TOO,
    "unrescue": frozenset({VmState.RESCUED}),
    "rebuild": _BROKEN_TOO,
    "resize": _RUNNING_OR_NOT,
    "migrate": _RUNNING_OR_NOT,
    "confirmResize": frozenset({VmState.RESIZED}),
    "revertResize": frozenset({VmState.RESIZED}),
    "shelve": _RUNNING_OR_NOT | _STILL,
    "shelveOffload": frozenset({VmState.SHELVED}),
    "unshelve": _SHELVED,
    "createImage": _RUNNING_OR_NOT | _STILL,
    "createBackup": _RUNNING_OR_NOT | _STILL,
    "changePassword": frozenset({VmState.ACTIVE}),
    "restore": frozenset({VmState.SOFT_DELETED}),
    "os-migrateLive": frozenset({VmState.ACTIVE, VmState.PAUSED}),
    "evacuate": _BROKEN_TOO,
    "trigger_crash_dump": frozenset(
        {VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED, VmState.RESIZED, VmState.ERROR}
    ),
    "update server metadata": _RUNNING_OR_NOT | _STILL,
    "delete server metadata": _RUNNING_OR_NOT | _STILL,
    "attach_volume": _VOLUMES,
    "detach_volume": _VOLUMES,
    "swap_volume": frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.RESIZED}),
    "attach_interface": _CARDS,
    "detach_interface": _CARDS,
}
_WHATEVER_IS_BEING_DONE = frozenset({"update server metadata", "delete server metadata"})
_SPOKEN = {"reboot_hard": "reboot"}
"""actions whose name in a message differs"""


def status_of(vm_state: VmState, task_state: TaskState | None) -> str:
    """The status that the API shows."""
    in_task = _STATUS_IN_TASK.get(vm_state, {})
    return in_task.get(task_state, _STATUS[vm_state]) if task_state else _STATUS[vm_state]


def power_state_of(vm_state: VmState) -> int:
    """Nova's number: 0 unknown, 1 running, 3 paused, 4 shut down."""
    return _POWER.get(vm_state, 0)


def refusal(action: str, vm_state: VmState, task_state: TaskState | None) -> str | None:
    """Why a server may not take `action` now, in Nova's words without the server's name; None if it may."""
    spoken = _SPOKEN.get(action, action)
    if vm_state not in _ALLOWED[action]:
        return f"Cannot '{spoken}' instance %s while it is in vm_state {vm_state.value}"
    if task_state is not None and action not in _WHATEVER_IS_BEING_DONE:
        return f"Cannot '{spoken}' instance %s while it is in task_state {task_state.value}"
    return None


_SEEN: dict[MachineState, VmState] = {
    MachineState.RUNNING: VmState.ACTIVE,
    MachineState.PAUSED: VmState.PAUSED,
    MachineState.SUSPENDED: VmState.SUSPENDED,
    MachineState.STOPPED: VmState.STOPPED,
    MachineState.MISSING: VmState.ERROR,
}


def observed(vm_state: VmState, machine: MachineState) -> VmState:
    """What a server at rest is, given what its engine says.

    A machine that ended by itself or crashed makes a server SHUTOFF, one that stands still PAUSED or SUSPENDED; one
    whose disks are gone makes it ERROR. A server in rescue, after a resize or shelved stays that, unless its disks
    are gone: its owner has a step to make first.
    """
    if vm_state in _RUNNING_OR_NOT | _STILL:
        return _SEEN[machine]
    if vm_state in {VmState.RESCUED, VmState.RESIZED, VmState.SHELVED} and machine is MachineState.MISSING:
        return VmState.ERROR
    return vm_state
