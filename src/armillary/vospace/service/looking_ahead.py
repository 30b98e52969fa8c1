"""Whether something may be written, and how much room there is for it, before anything is."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.base.errors import Conflict
from armillary.vospace.core.permissions import Action
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath, check_name
from armillary.vospace.service.access import Who, denied, home_of
from armillary.vospace.service.base import TreeService
from armillary.vospace.service.placing import Goal


@dataclass(frozen=True, kw_only=True)
class Place:
    """The home that a file would count against, and what is left there in bytes; None: no limit."""

    home: str
    room: int | None


def place_of(service: TreeService, who: Who, path: VOSPath, *, folder: bool = False) -> Place:
    """Return where a file would be written, or a `folder` made, with the folders above it that are missing.

    A folder that is there already is fine. Raises what doing it would raise now, except for want of room.
    """
    asker = service.access.asker(who)
    if asker is None:
        raise denied(asker, Action.WRITE, path)
    with service.records.reading() as tree:
        way = tree.walk(path)
    is_there = len(way) > len(path.names)
    if not way[-1].is_container and (folder if is_there else way[-1].is_file):
        raise _no_folder(service.access.require(asker, Action.READ, way))
    if not is_there:
        service.container_for(asker, way, VOSPath(path.names[: len(way)]))
        for name in path.names[len(way) - 1 :]:
            check_name(name)
    elif folder:
        service.access.require(asker, Action.READ, way)
    else:
        Goal(asker=asker, path=path).check(service, way)
    home = home_of(way)
    limit = service.quota.limit(home) if home else None
    return Place(
        home=str(home.path) if home else "",
        room=None if home is None or limit is None else max(0, limit - home.used),
    )


def _no_folder(node: Node) -> Conflict:
    return Conflict(
        f"{node.path} is a {node.kind.value}, not a folder.",
        code="duplicate_node",
        facts={"path": str(node.path), "kind": node.kind.value},
        remedy="Choose another name.",
    )
