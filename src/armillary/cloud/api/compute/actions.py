"""POST /servers/{id}/action, and what else hangs on one server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, nics, since
from armillary.cloud.api.compute.faults import describe
from armillary.cloud.api.compute.groups import group_view
from armillary.cloud.api.shared import Caller, RequestId
from armillary.cloud.compute.service import ComputeService

router = APIRouter()
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class _Act:
    compute: ComputeService
    who: Principal
    server_id: str
    request_id: str
    version: int
    base_url: str
    body: Any

    def read(self, kind: type[M]) -> M:
        try:
            return kind.model_validate(self.body if self.body is not None else {})
        except ValidationError as error:
            raise Invalid(describe(error.errors()[0])) from error


_ACCEPTED = 202
_NOT_HERE = (
    "pause", "unpause", "suspend", "resume", "rebuild", "resize", "confirmResize", "revertResize", "rescue",
    "unrescue", "shelve", "shelveOffload", "unshelve", "changePassword", "os-resetState", "createBackup", "migrate",
    "os-migrateLive", "evacuate", "injectNetworkInfo", "resetNetwork", "restore", "forceDelete", "trigger_crash_dump",
    "addFixedIp", "removeFixedIp", "addFloatingIp", "removeFloatingIp", "os-getVNCConsole", "os-getSPICEConsole",
    "os-getSerialConsole", "os-getRDPConsole",
)  # fmt: skip


def _stop(act: _Act) -> Response:
    act.compute.stop(act.who, act.server_id, request_id=act.request_id)
    return Response(status_code=_ACCEPTED)


def _start(act: _Act) -> Response:
    act.compute.start(act.who, act.server_id, request_id=act.request_id)
    return Response(status_code=_ACCEPTED)


def _reboot(act: _Act) -> Response:
    hard = act.read(wire.RebootIn).type.upper() == "HARD"
    act.compute.reboot(act.who, act.server_id, hard=hard, request_id=act.request_id)
    return Response(status_code=_ACCEPTED)


def _create_image(act: _Act) -> Response:
    asked = act.read(wire.SnapshotIn)
    image = act.compute.create_image(
        act.who, act.server_id, asked.name, asked.metadata, request_id=act.request_id
    )
    if act.version >= 45:
        return JSONResponse({"image_id": image.id}, _ACCEPTED)
    return Response(status_code=_ACCEPTED, headers={"Location": f"{act.base_url}/images/{image.id}"})


def _console(act: _Act) -> Response:
    length = act.read(wire.ConsoleIn).length
    return JSONResponse({"output": act.compute.console(act.who, act.server_id, lines=length)})


def _add_group(act: _Act) -> Response:
    act.compute.add_security_group(act.who, act.server_id, act.read(wire.GroupName).name)
    return Response(status_code=_ACCEPTED)


def _remove_group(act: _Act) -> Response:
    act.compute.remove_security_group(act.who, act.server_id, act.read(wire.GroupName).name)
    return Response(status_code=_ACCEPTED)


def _lock(act: _Act) -> Response:
    reason = act.read(wire.LockIn).locked_reason
    act.compute.lock(act.who, act.server_id, locked=True, reason=reason)
    return Response(status_code=_ACCEPTED)


def _unlock(act: _Act) -> Response:
    act.compute.lock(act.who, act.server_id, locked=False)
    return Response(status_code=_ACCEPTED)


_ACTIONS: dict[str, Callable[[_Act], Response]] = {
    "os-stop": _stop,
    "os-start": _start,
    "reboot": _reboot,
    "createImage": _create_image,
    "os-getConsoleOutput": _console,
    "addSecurityGroup": _add_group,
    "removeSecurityGroup": _remove_group,
    "lock": _lock,
    "unlock": _unlock,
}
NAMES = frozenset({*_ACTIONS, *_NOT_HERE})
"""of the actions that there is a word for; each has its row in the policy"""


@router.post("/servers/{server_id}/action")
def act(
    server_id: str, body: dict[str, Any], who: Caller, compute: Compute, version: Version, base_url: BaseUrl,
    request_id: RequestId,
) -> Response:  # fmt: skip
    if len(body) != 1:
        raise Invalid(
            "There is no such action" if not body else "Only one action may be asked for at a time."
        )
    ((name, argument),) = body.items()
    action = _ACTIONS.get(name)
    if action is not None:
        asked = _Act(
            compute=compute, who=who, server_id=server_id, request_id=request_id, version=version, base_url=base_url,
            body=argument,
        )  # fmt: skip
        return action(asked)
    if name in _NOT_HERE:
        compute.get(who, server_id)
        raise Invalid(f"This cloud does not know how to '{name}' a server.", code="action_not_supported")
    raise Invalid(f"There is no such action: {name}", code="no_such_action")


@router.get("/servers/{server_id}/os-instance-actions")
def list_actions(server_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    return {"instanceActions": [views.action(a, version=version) for a in compute.actions(who, server_id)]}


@router.get("/servers/{server_id}/os-instance-actions/{action_id}")
def show_action(
    server_id: str, action_id: str, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    for entry in compute.actions(who, server_id):
        if entry.id == action_id:
            return {"instanceAction": views.action(entry, version=version, in_full=True)}
    raise NotFound(f"Action for request_id {action_id} on instance {server_id} not found")


@router.get("/servers/{server_id}/os-security-groups")
def list_groups(server_id: str, who: Caller, compute: Compute, network: Network) -> dict[str, Any]:
    server = compute.get(who, server_id)
    groups = {g.id: g for nic in nics(network, [server]).get(server.id, ()) for g in nic.groups}
    rules = network.groups.rules(who)
    names = {group.id: group for group in network.groups.list(who)}
    return {"security_groups": [group_view(group, rules, names) for group in groups.values()]}


@router.get("/servers/{server_id}/os-interface")
def list_interfaces(
    server_id: str, who: Caller, compute: Compute, network: Network, version: Version
) -> dict[str, Any]:
    server = compute.get(who, server_id)
    shown: list[dict[str, Any]] = []
    for nic in nics(network, [server]).get(server.id, ()):
        view: dict[str, Any] = {
            "net_id": nic.port.network_id,
            "port_id": nic.port.id,
            "mac_addr": nic.port.mac_address,
            "port_state": "ACTIVE",
            "fixed_ips": [vars(fixed) for fixed in nic.port.fixed_ips],
        }
        shown.append(view | ({"tag": None} if version >= 70 else {}))
    return {"interfaceAttachments": shown}


@router.get("/servers/{server_id}/os-volume_attachments")
def list_volume_attachments(server_id: str, who: Caller, compute: Compute) -> dict[str, Any]:
    compute.get(who, server_id)
    return {"volumeAttachments": []}


@router.post("/servers/{server_id}/os-volume_attachments")
def attach_volume(server_id: str, who: Caller, compute: Compute) -> None:
    compute.get(who, server_id)
    raise Invalid("This cloud offers no volumes.", code="action_not_supported")


@router.post("/servers/{server_id}/os-interface")
def attach_interface(server_id: str, who: Caller, compute: Compute) -> None:
    compute.get(who, server_id)
    raise Invalid(
        "This cloud cannot attach a network card to a server that exists.",
        code="action_not_supported",
        remedy="Name all networks when the server is made.",
    )


@router.post("/servers/{server_id}/remote-consoles")
def open_console(server_id: str, who: Caller, compute: Compute, version: Version) -> Response:
    since(version, 6)
    compute.get(who, server_id)
    raise Invalid(
        "Unavailable console type: this cloud offers no graphical consoles.",
        code="console_type_unavailable",
        remedy="Read the boot log (openstack console log show), or use ssh.",
    )


@router.get("/servers/{server_id}/migrations")
def list_migrations(server_id: str, who: Caller, compute: Compute) -> dict[str, Any]:
    compute.get(who, server_id)
    return {"migrations": []}
