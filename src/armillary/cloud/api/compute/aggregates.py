"""/os-aggregates"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import Invalid
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import Compute, Version
from armillary.cloud.compute.registers import Aggregate

router = APIRouter()


def _moment(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") if moment else None


def _view(aggregate: Aggregate, version: int, *, made: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": aggregate.number, "name": aggregate.name}
    if version >= 41:
        shown["uuid"] = aggregate.id
    if not made:
        shown |= {"hosts": list(aggregate.hosts), "metadata": dict(aggregate.metadata)}
    return shown | {
        "availability_zone": aggregate.availability_zone,
        "created_at": _moment(aggregate.created_at),
        "updated_at": _moment(aggregate.updated_at),
        "deleted_at": None,
        "deleted": False,
    }


def _number(said: str) -> str:
    if not said.isdecimal():
        raise Invalid("Invalid input received: id must be an integer", code="bad_number")
    return said


@router.get("/os-aggregates")
def list_aggregates(compute: Compute, version: Version) -> dict[str, Any]:
    return {"aggregates": [_view(aggregate, version) for aggregate in compute.hosts.aggregates()]}


@router.post("/os-aggregates")
def create_aggregate(body: wire.CreateAggregate, compute: Compute, version: Version) -> dict[str, Any]:
    made = compute.hosts.create_aggregate(body.aggregate.name, body.aggregate.availability_zone)
    return {"aggregate": _view(made, version, made=True)}


@router.get("/os-aggregates/{aggregate_id}")
def show_aggregate(aggregate_id: str, compute: Compute, version: Version) -> dict[str, Any]:
    return {"aggregate": _view(compute.hosts.aggregate(_number(aggregate_id)), version)}


@router.put("/os-aggregates/{aggregate_id}")
def change_aggregate(
    aggregate_id: str, body: wire.UpdateAggregate, compute: Compute, version: Version
) -> dict[str, Any]:
    changes = body.aggregate.model_dump(exclude_unset=True)
    if not changes or changes.get("name", "") is None:
        raise Invalid(
            f"Invalid input for field/attribute aggregate. Value: {changes}. {changes} is not valid under any of the "
            "given schemas",
            code="nothing_to_change",
        )
    return {"aggregate": _view(compute.hosts.change_aggregate(_number(aggregate_id), **changes), version)}


@router.delete("/os-aggregates/{aggregate_id}")
def delete_aggregate(aggregate_id: str, compute: Compute) -> Response:
    compute.hosts.delete_aggregate(_number(aggregate_id))
    return Response(status_code=200)


@router.post("/os-aggregates/{aggregate_id}/action")
def act_on_aggregate(
    aggregate_id: str, body: wire.AggregateAction, compute: Compute, version: Version
) -> dict[str, Any]:
    number = _number(aggregate_id)
    if body.set_metadata is not None:
        changed = compute.hosts.mark_aggregate(number, body.set_metadata.metadata)
    elif body.add_host is not None:
        changed = compute.hosts.move_host(number, body.add_host.host, into=True)
    elif body.remove_host is not None:
        changed = compute.hosts.move_host(number, body.remove_host.host, into=False)
    else:
        raise Invalid("There is no such action", code="no_such_action")
    return {"aggregate": _view(changed, version)}
