"""POST /servers/{id}/action: which word is which action, and in which microversions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import ArmillaryError, Conflict, Invalid
from armillary.cloud.api.compute import server_bodies as bodies
from armillary.cloud.api.compute.consoles import Consoles, open_older
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, since, until
from armillary.cloud.api.compute.rebuilding import (
    console_output,
    create_backup,
    create_image,
    rebuild,
    rescue,
)
from armillary.cloud.api.compute.told import Told, accepted
from armillary.cloud.api.shared import Caller, RequestId
from armillary.cloud.compute.model import VmState

router = APIRouter()

_NEWEST = 999


@dataclass(frozen=True, kw_only=True)
class Action:
    """How an action is done, and from which microversion 2.N to which."""

    do: Callable[[Told], Response]
    since: int = 1
    until: int = _NEWEST


class Gone(ArmillaryError):
    """An action that OpenStack took away."""

    code = "action_gone"
    status = 410


def _reboot(told: Told) -> Response:
    told.compute.acts.reboot(told.doing, hard=told.read(bodies.Reboot).type.upper() == "HARD")
    return accepted()


def _lock(told: Told) -> Response:
    # before 2.73 an argument is ignored, whatever it is
    told_why = told.body is not None and told.version >= 73
    told.compute.acts.lock(told.doing, reason=told.read(bodies.Lock).locked_reason if told_why else None)
    return accepted()


def _resize(told: Told) -> Response:
    asked = told.read(bodies.Resize)
    told.compute.sizing.resize(told.doing, asked.flavor_ref, disk_config=asked.disk_config)
    return accepted()


def _confirm(told: Told) -> Response:
    told.compute.sizing.confirm(told.doing)
    return Response(status_code=204)


def _unshelve(told: Told) -> Response:
    if told.version >= 77 and told.body is not None:
        asked = told.read(bodies.Unshelve)
        if "host" in asked.model_fields_set and told.version < 91:
            raise Invalid(
                "Invalid input for field/attribute unshelve. Additional properties are not allowed ('host' was "
                "unexpected)"
            )
        if asked.availability_zone not in {None, "nova"}:
            raise Invalid(
                "The requested availability zone is not available", code="availability_zone_unknown"
            )
    told.compute.acts.unshelve(told.doing)
    return accepted()


def _force_delete(told: Told) -> Response:
    told.compute.acts.delete(told.doing)
    return accepted()


def _restore(told: Told) -> Response:
    # nothing is ever soft-deleted here (Nova's reclaim_instance_interval is 0, its default): no state allows this
    told.compute.acts.refuse(told.doing, "restore", "Nothing to restore.", code="no_valid_host")
    return accepted()


def _reset_state(told: Told) -> Response:
    told.compute.acts.reset_state(told.doing, VmState(told.read(bodies.ResetState).state))
    return accepted()


def _change_password(told: Told) -> Response:
    told.read(bodies.NewPassword)
    doing = told.doing
    told.compute.acts.check(doing, "changePassword")
    raise Conflict(
        f"QEMU guest agent is not enabled on instance {doing.server_id}.",
        code="guest_agent_needed",
        remedy="Sign in with a key and change it inside (passwd).",
    )


def _elsewhere(told: Told) -> Response:
    """Every way to another host: there is none."""
    told.compute.acts.refuse(
        told.doing,
        told.name,
        "No valid host was found. There are not enough hosts available.",
        code="no_valid_host",
    )
    return accepted()


def _gone(told: Told) -> Response:
    told.compute.get(told.who, told.server_id)
    raise Gone("The resource has been removed.")


def _inject_network(told: Told) -> Response:
    told.compute.acts.note(told.doing, "inject_network_info")
    return accepted()


def _crash_dump(told: Told) -> Response:
    told.compute.acts.check(told.doing, "trigger_crash_dump")
    raise Invalid(
        "Driver does not support triggering a crash dump.",
        code="crash_dump_unsupported",
        remedy="Crash it inside (echo c > /proc/sysrq-trigger).",
    )


def _add_fixed_ip(told: Told) -> Response:
    told.compute.interfaces.add_fixed_ip(told.doing, told.read(bodies.FixedIp).network_id)
    return accepted()


def _remove_fixed_ip(told: Told) -> Response:
    told.compute.interfaces.remove_fixed_ip(told.doing, told.read(bodies.OldFixedIp).address)
    return accepted()


def _add_floating_ip(told: Told) -> Response:
    asked = told.read(bodies.FloatingIp)
    told.compute.interfaces.add_floating_ip(told.doing, asked.address, asked.fixed_address)
    return accepted()


def _remove_floating_ip(told: Told) -> Response:
    told.compute.interfaces.remove_floating_ip(told.doing, told.read(bodies.OldFloatingIp).address)
    return accepted()


def _add_group(told: Told) -> Response:
    told.compute.interfaces.add_group(told.doing, told.read(bodies.GroupName).name)
    return accepted()


def _remove_group(told: Told) -> Response:
    told.compute.interfaces.remove_group(told.doing, told.read(bodies.GroupName).name)
    return accepted()


def _plainly(do: Callable[[Told], None]) -> Action:
    """An action without an argument."""

    def done(told: Told) -> Response:
        do(told)
        return accepted()

    return Action(do=done)


ACTIONS: Mapping[str, Action] = {
    "os-stop": _plainly(lambda told: told.compute.acts.stop(told.doing)),
    "os-start": _plainly(lambda told: told.compute.acts.start(told.doing)),
    "reboot": Action(do=_reboot),
    "pause": _plainly(lambda told: told.compute.acts.pause(told.doing)),
    "unpause": _plainly(lambda told: told.compute.acts.unpause(told.doing)),
    "suspend": _plainly(lambda told: told.compute.acts.suspend(told.doing)),
    "resume": _plainly(lambda told: told.compute.acts.resume(told.doing)),
    "lock": Action(do=_lock),
    "unlock": _plainly(lambda told: told.compute.acts.unlock(told.doing)),
    "rescue": Action(do=rescue),
    "unrescue": _plainly(lambda told: told.compute.acts.unrescue(told.doing)),
    "rebuild": Action(do=rebuild),
    "resize": Action(do=_resize),
    "confirmResize": Action(do=_confirm),
    "revertResize": _plainly(lambda told: told.compute.sizing.revert(told.doing)),
    "shelve": _plainly(lambda told: told.compute.acts.shelve(told.doing)),
    "shelveOffload": _plainly(lambda told: told.compute.acts.shelve_offload(told.doing)),
    "unshelve": Action(do=_unshelve),
    "createImage": Action(do=create_image),
    "createBackup": Action(do=create_backup),
    "os-getConsoleOutput": Action(do=console_output),
    "changePassword": Action(do=_change_password),
    "os-resetState": Action(do=_reset_state),
    "resetNetwork": Action(do=_gone),
    "injectNetworkInfo": Action(do=_inject_network),
    "forceDelete": Action(do=_force_delete),
    "restore": Action(do=_restore),
    "migrate": Action(do=_elsewhere),
    "os-migrateLive": Action(do=_elsewhere),
    "evacuate": Action(do=_elsewhere),
    "trigger_crash_dump": Action(do=_crash_dump, since=17),
    "addSecurityGroup": Action(do=_add_group),
    "removeSecurityGroup": Action(do=_remove_group),
    "addFixedIp": Action(do=_add_fixed_ip, until=43),
    "removeFixedIp": Action(do=_remove_fixed_ip, until=43),
    "addFloatingIp": Action(do=_add_floating_ip, until=43),
    "removeFloatingIp": Action(do=_remove_floating_ip, until=43),
    "os-getVNCConsole": Action(do=open_older, until=5),
    "os-getSPICEConsole": Action(do=open_older, until=5),
    "os-getRDPConsole": Action(do=open_older, until=5),
    "os-getSerialConsole": Action(do=open_older, until=5),
}
NAMES = frozenset(ACTIONS)
"""of the actions that there are; each has its row in the policy"""


@router.post("/servers/{server_id}/action")
def act(
    server_id: str, body: dict[str, Any], who: Caller, compute: Compute, network: Network, consoles: Consoles,
    version: Version, base_url: BaseUrl, request_id: RequestId,
) -> Response:  # fmt: skip
    if len(body) != 1:
        raise Invalid(
            "There is no such action" if not body else "Only one action may be asked for at a time."
        )
    ((name, argument),) = body.items()
    action = ACTIONS.get(name)
    if action is None:
        raise Invalid(f"There is no such action: {name}", code="no_such_action")
    since(version, action.since)
    until(version, action.until)
    told = Told(
        compute=compute, network=network, consoles=consoles, who=who, server_id=server_id, request_id=request_id,
        version=version, base_url=base_url, name=name, body=argument,
    )  # fmt: skip
    return action.do(told)
