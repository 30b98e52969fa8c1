"""QoS specs, attachments, messages, and the collections that are empty here."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.cloud.api.volume import schemas
from armillary.cloud.api.volume.checks import check, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, links, since, stamp, takes
from armillary.cloud.api.volume.listing import Filter, all_projects, conditions, equals, listed, page_asked
from armillary.cloud.volumes.model import Attachment, Message, QosSpecs
from armillary.cloud.volumes.store import attachments as attachment_table
from armillary.cloud.volumes.store import messages as message_table

router = APIRouter()

# QoS specs


def _qos(item: QosSpecs) -> JSON:
    return {"id": item.id, "name": item.name, "consumer": item.consumer, "specs": dict(item.specs)}


def _qos_answer(item: QosSpecs, request: Request) -> JSON:
    return {"qos_specs": _qos(item), "links": links(request, "qos-specs", item.id)}


@router.get("/qos-specs")
def list_qos(request: Request, who: Who, service: Volumes) -> JSON:
    del who
    page = page_asked(request, keys=frozenset({"id", "name", "consumer", "created_at"}))
    return listed(
        request, "qos_specs", [_qos(item) for item in service.qos.list(page)], page, path="qos-specs"
    )


@router.post("/qos-specs", openapi_extra=takes(schemas.CREATE_QOS))
def create_qos(request: Request, body: Body, who: Who, service: Volumes) -> JSON:
    del who
    asked = dict(check(schemas.CREATE_QOS, body)["qos_specs"])
    name, consumer = asked.pop("name").strip(), str(asked.pop("consumer", "back-end"))
    specs = {key: str(value) for key, value in asked.items()}
    return _qos_answer(service.qos.create(name=name, consumer=consumer, specs=specs), request)


@router.get("/qos-specs/{qos_id}")
def show_qos(qos_id: str, request: Request, who: Who, service: Volumes) -> JSON:
    del who
    return _qos_answer(service.qos.show(qos_id), request)


@router.put("/qos-specs/{qos_id}", openapi_extra=takes(schemas.SET_QOS))
def set_qos(qos_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    del who
    asked = check(schemas.SET_QOS, body)
    service.qos.set(qos_id, {key: str(value) for key, value in asked["qos_specs"].items()})
    return asked


@router.put("/qos-specs/{qos_id}/delete_keys", status_code=202)
def unset_qos(qos_id: str, body: Body, who: Who, service: Volumes) -> Response:
    del who
    inner: JSON = {"type": "array", "items": {"type": "string"}}
    service.qos.unset(qos_id, check(schemas.wrapped("keys", inner), body)["keys"])
    return Response(status_code=202)


@router.delete("/qos-specs/{qos_id}", status_code=202)
def delete_qos(qos_id: str, who: Who, service: Volumes, force: str = "False") -> Response:
    del who
    service.qos.delete(qos_id, force=truth(force))
    return Response(status_code=202)


@router.get("/qos-specs/{qos_id}/associations")
def list_associations(qos_id: str, who: Who, service: Volumes) -> JSON:
    del who
    return {
        "qos_associations": [
            {"association_type": "volume_type", "name": kind.name, "id": kind.id}
            for kind in service.qos.types_of(qos_id)
        ]
    }


@router.get("/qos-specs/{qos_id}/associate", status_code=202)
def associate(qos_id: str, who: Who, service: Volumes, vol_type_id: str = "") -> Response:
    del who
    if not vol_type_id:
        raise Invalid("Volume Type id must not be None.", code="bad_body")
    service.qos.associate(qos_id, vol_type_id)
    return Response(status_code=202)


@router.get("/qos-specs/{qos_id}/disassociate", status_code=202)
def disassociate(qos_id: str, who: Who, service: Volumes, vol_type_id: str = "") -> Response:
    del who
    if not vol_type_id:
        raise Invalid("Volume Type id must not be None.", code="bad_body")
    service.qos.disassociate(qos_id, vol_type_id)
    return Response(status_code=202)


@router.get("/qos-specs/{qos_id}/disassociate_all", status_code=202)
def disassociate_all(qos_id: str, who: Who, service: Volumes) -> Response:
    del who
    service.qos.disassociate(qos_id, None)
    return Response(status_code=202)


# attachments


def _attachment(item: Attachment, *, detail: bool) -> JSON:
    answer: JSON = {
        "id": item.id,
        "status": item.status,
        "instance": item.server_id,
        "volume_id": item.volume_id,
    }
    if detail:
        answer["attached_at"] = stamp(item.attached_at) or ""
        answer["detached_at"] = ""
        answer["attach_mode"] = item.mode
        answer["connection_info"] = {}
    return answer


@router.get("/attachments")
def list_attachments(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _attachments(request, who, service, version, detail=False)


@router.get("/attachments/detail")
def list_attachments_in_detail(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _attachments(request, who, service, version, detail=True)


def _attachments(request: Request, who: Who, service: Volumes, version: int, *, detail: bool) -> JSON:
    since(version, 27)
    page = page_asked(request, keys=frozenset({"id", "created_at"}))
    known: dict[str, Filter] = {
        "volume_id": equals(attachment_table.c.volume_id),
        "status": equals(attachment_table.c.status),
        "attach_status": equals(attachment_table.c.status),
        "instance_id": equals(attachment_table.c.server_id),
    }
    where = conditions(request, who, attachment_table, known, version=version)
    found = service.attachments.list(who, page, where=where, all_projects=all_projects(request, who))
    items = [_attachment(item, detail=detail) for item in found]
    return listed(request, "attachments", items, page, path="attachments")


@router.post("/attachments", openapi_extra=takes(schemas.ATTACHMENT))
def create_attachment(body: Body, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 27)
    asked = check(schemas.ATTACHMENT, body)["attachment"]
    if asked.get("connector"):
        raise _no_connection()
    made = service.attachments.create(
        who,
        asked["volume_uuid"],
        server_id=asked.get("instance_uuid"),
        mode=(asked.get("mode") or "null") if version >= 54 else "null",
    )
    return {"attachment": _attachment(made, detail=True)}


@router.get("/attachments/{attachment_id}")
def show_attachment(attachment_id: str, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 27)
    return {"attachment": _attachment(service.attachments.show(who, attachment_id), detail=True)}


@router.put("/attachments/{attachment_id}", openapi_extra=takes(schemas.UPDATE_ATTACHMENT))
def update_attachment(attachment_id: str, body: Body, who: Who, service: Volumes, version: Version) -> None:
    since(version, 27)
    check(schemas.UPDATE_ATTACHMENT, body)
    service.attachments.show(who, attachment_id)
    raise _no_connection()


@router.delete("/attachments/{attachment_id}")
def delete_attachment(attachment_id: str, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 27)
    left = service.attachments.delete(who, attachment_id)
    return {"attachments": [_attachment(item, detail=False) for item in left]}


@router.post("/attachments/{attachment_id}/action")
def complete_attachment(attachment_id: str, body: Body, who: Who, service: Volumes, version: Version) -> None:
    since(version, 44)
    if list(body) != ["os-complete"]:
        raise Invalid(f"There is no such action: {next(iter(body), '')}", code="unknown_action")
    service.attachments.show(who, attachment_id)
    raise _no_connection()


def _no_connection() -> Conflict:
    return Conflict(
        "Volumes of this cloud are files of its own, and cannot be reached over a network.",
        code="no_connection",
        remedy="Attach the volume to a server of this cloud.",
    )


# messages


def _message(item: Message, request: Request) -> JSON:
    return {
        "id": item.id,
        "event_id": item.event_id,
        "user_message": item.text,
        "message_level": "ERROR",
        "resource_type": item.resource_type,
        "resource_uuid": item.resource_id,
        "request_id": item.request_id,
        "created_at": stamp(item.created_at),
        "guaranteed_until": stamp(item.expires_at),
        "links": links(request, "messages", item.id),
    }


@router.get("/messages")
def list_messages(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 3)
    keys = frozenset({"id", "event_id", "resource_type", "resource_uuid", "request_id", "created_at"})
    page = page_asked(request, keys=keys - {"resource_uuid"})
    known: dict[str, Filter] = {
        "resource_uuid": equals(message_table.c.resource_id),
        "resource_type": equals(message_table.c.resource_type),
        "event_id": equals(message_table.c.event_id),
        "request_id": equals(message_table.c.request_id),
    }
    where = conditions(request, who, message_table, known, version=version)
    items = [_message(item, request) for item in service.messages.list(who, page, where=where)]
    return listed(request, "messages", items, page, path="messages")


@router.get("/messages/{message_id}")
def show_message(message_id: str, request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 3)
    return {"message": _message(service.messages.show(who, message_id), request)}


@router.delete("/messages/{message_id}", status_code=204)
def delete_message(message_id: str, who: Who, service: Volumes, version: Version) -> Response:
    since(version, 3)
    service.messages.delete(who, message_id)
    return Response(status_code=204)


# what is empty here: groups need volumes that are stopped at one moment, which one disk has no use for

EMPTY = {
    "consistencygroups": ("ConsistencyGroup", 0),
    "cgsnapshots": ("CgSnapshot", 0),
    "group_types": ("Group type", 11),
    "groups": ("Group", 13),
    "group_snapshots": ("GroupSnapshot", 14),
    "manageable_volumes": ("Manageable volume", 8),
    "manageable_snapshots": ("Manageable snapshot", 8),
}
_KEYS = {"manageable_volumes": "manageable-volumes", "manageable_snapshots": "manageable-snapshots"}


def _empty(collection: str) -> None:
    """Add the routes of one collection."""
    kind, needed = EMPTY[collection]

    def show_list(who: Who, version: Version) -> JSON:
        since(version, needed)
        del who
        return {_KEYS.get(collection, collection): []}

    def show_one(item_id: str, who: Who, version: Version) -> None:
        since(version, needed)
        del who
        raise NotFound(f"{kind} {item_id} could not be found.")

    def create(who: Who, version: Version) -> None:
        since(version, needed)
        del who
        raise Invalid(
            f"This cloud keeps no {collection.replace('_', ' ')}.",
            code="no_volume_groups",
            remedy="Take the snapshots of volumes one by one.",
        )

    router.add_api_route(f"/{collection}", show_list, methods=["GET"])
    router.add_api_route(f"/{collection}/detail", show_list, methods=["GET"])
    router.add_api_route(f"/{collection}/{{item_id}}", show_one, methods=["GET"])
    router.add_api_route(f"/{collection}", create, methods=["POST"])


for _name in EMPTY:
    _empty(_name)
