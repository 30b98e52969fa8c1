"""The bin: what people delete in the portal stays in their home for a while, where it can be put back.

A bin is the folder `.bin` of a home, a folder like any other: its files count against the home, as they take room, and
the stock clients see it. Each deletion has a folder of its own there, which knows where it came from. A DELETE of the
protocol, and `vrm`, delete at once, as they always did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from armillary.base.errors import ArmillaryError, Conflict, Forbidden, NotFound
from armillary.base.ids import PersonId, new_hex
from armillary.vospace.core.names import CAME_FROM
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import Node, NodeKind, Page, Sharing
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import Tree
from armillary.vospace.service.access import HOME_DEPTH, Who, refuse_locked
from armillary.vospace.service.base import HOMES, as_path, audit
from armillary.vospace.service.branches import Branches
from armillary.vospace.service.nodes import VOSpaceService

BIN = ".bin"
LIFETIME = timedelta(days=14)
_PAGE = 200
_SWEEPER = Asker(person_id=PersonId("bin"), user_name="bin", is_admin=True, may_write=False)
"""Who looks through all homes."""


@dataclass(frozen=True, kw_only=True)
class Binned:
    """Something in a bin. `id` names its folder there; it goes for good at `until`."""

    id: str
    node: Node
    came_from: VOSPath
    by: str
    deleted_at: datetime
    until: datetime


def in_bin(path: VOSPath) -> bool:
    """Whether a path is a bin, or in one."""
    return path.names[: len(HOMES.names)] == HOMES.names and path.names[HOME_DEPTH : HOME_DEPTH + 1] == (BIN,)


class Bins:
    """Deletes with a way back."""

    def __init__(self, *, space: VOSpaceService, lifetime: timedelta = LIFETIME) -> None:
        """Keep what is deleted in `space` for `lifetime`."""
        self._space = space
        self._clock = space.clock
        self.lifetime = lifetime

    def put(self, who: Who, path: VOSPath | str) -> str:
        """Delete a node and all below it, into the bin of its home; return the id to put it back with.

        It takes no more room than before, so a full home is no reason to refuse.

        Raises:
            ArmillaryError: as `VOSpaceService.delete`.
            Forbidden: it is in the bin already; see `VOSpaceService.delete`.
        """
        path = as_path(path)
        asker = self._space.access.asker(who)
        with self._space.records.writing() as tree:
            way = self._space.deletable(tree, asker, path)
            assert asker is not None, "strangers delete nothing"
            if in_bin(path):
                raise Forbidden(
                    f"{path} is in the bin already.",
                    code="permission_denied",
                    facts={"path": str(path)},
                    remedy="Delete it for good.",
                )
            home = way[HOME_DEPTH]
            for node in (way[-1], *tree.below(way[-1])):
                refuse_locked(node)
            folder = self._new_folder(tree, asker, home, path)
            place = folder.path / path.name
            self._space.measure(asker, tree, way, place)
            tree.save(replace(way[-1], parent_id=folder.id, path=place))
        audit.info("vospace.bin %s", path, extra={"user": asker.user_name})
        return folder.name

    def restore(self, who: Who, home: VOSPath | str, binned_id: str) -> Node:
        """Put something back where it was, and make the folders around it again if they went.

        Raises:
            NotFound: it is in no bin any more.
            Conflict: something else has its place.
            ArmillaryError: they may not write there.
        """
        folder, child = self._find(who, as_path(home), binned_id)
        target = VOSPath.parse(folder.properties.get(CAME_FROM, ""))
        if self._is_there(who, target):
            raise Conflict(
                f"{target} exists already.",
                code="duplicate_node",
                facts={"path": str(target)},
                remedy="Move or rename the other one first.",
            )
        if len(target.names) > HOME_DEPTH + 1:
            self._space.make_container(who, target.parent, parents=True)
        moved = self._space.move(who, child.path, target)
        with (
            self._space.records.writing() as tree
        ):  # the bin around it is not theirs when they are guests here
            way = tree.walk(folder.path)
            if way[-1].id == folder.id and not tree.children(folder, Page(limit=1)):
                tree.remove(folder)
        return moved

    def contents(
        self, who: Who, home: VOSPath | str, start: str = "", limit: int = _PAGE
    ) -> Sequence[Binned]:
        """Return what is in the bin of a home, the newest first, from the id `start`."""
        home = as_path(home)
        asker = self._space.access.asker(who)
        found: list[Binned] = []
        with self._space.records.reading() as tree:
            way = tree.walk(home / BIN)
            if len(way) < HOME_DEPTH + 2:
                return []
            self._space.access.require(asker, Action.READ, way)
            for folder in tree.children(way[-1], Page(start=start, limit=limit, descending=True)):
                found += [
                    Binned(
                        id=folder.name,
                        node=child,
                        came_from=VOSPath.parse(folder.properties.get(CAME_FROM, child.name)),
                        by=folder.owner_name,
                        deleted_at=folder.created_at,
                        until=folder.created_at + self.lifetime,
                    )
                    for child in tree.children(folder, Page(limit=1))
                ]
        return found

    def empty(self, who: Who, home: VOSPath | str) -> int:
        """Delete for good what is in the bin of a home; return how many nodes went."""
        asker = self._space.access.asker(who)
        path = as_path(home) / BIN
        if asker is None or not self._is_there(who, path):
            return 0
        return Branches(space=self._space).delete(asker, path, lambda _counts: None)["done"]

    def sweep(self) -> None:
        """Delete for good what has been in a bin for its time."""
        homes = self._space.children(_SWEEPER, HOMES)
        for home in homes:
            before = self._clock.now() - self.lifetime
            for folder in self._old(home, before):
                owner = Asker(person_id=home.owner_id, user_name=home.owner_name)
                try:
                    Branches(space=self._space).delete(owner, folder.path, lambda _counts: None)
                except ArmillaryError as error:  # somebody was quicker, or locked it
                    audit.info("vospace.bin_kept %s", folder.path, extra={"reason": error.code})

    def _old(self, home: Node, before: datetime) -> Sequence[Node]:
        with self._space.records.reading() as tree:
            way = tree.walk(home.path / BIN)
            if len(way) < HOME_DEPTH + 2:
                return []
            # their names begin with their time: the oldest come first
            return [node for node in tree.children(way[-1], Page(limit=_PAGE)) if node.created_at < before]

    def _new_folder(self, tree: Tree, asker: Asker, home: Node, path: VOSPath) -> Node:
        owner = Asker(person_id=home.owner_id, user_name=home.owner_name)
        way = tree.walk(home.path / BIN)
        if len(way) > HOME_DEPTH + 1:
            top = way[-1]
            if not top.is_container:
                raise Conflict(
                    f"{top.path} is not a folder.",
                    code="duplicate_node",
                    facts={"path": str(top.path)},
                    remedy="Move it: the bin has this name.",
                )
        else:
            closed = Sharing(inherits=False)
            new = self._space.new_node(owner, home, home.path / BIN, NodeKind.CONTAINER)
            top = tree.add(replace(new, sharing=closed))
        # it belongs to who deletes: in a folder of a group that may be somebody else, who may think better of it
        name = f"{self._clock.now():%Y%m%dT%H%M%SZ}-{new_hex()[:16]}"
        new = self._space.new_node(asker, top, top.path / name, NodeKind.CONTAINER)
        closed = Sharing(inherits=False)
        return tree.add(replace(new, sharing=closed, properties={CAME_FROM: str(path)}))

    def _find(self, who: Who, home: VOSPath, binned_id: str) -> tuple[Node, Node]:
        asker = self._space.access.asker(who)
        path = home / BIN / binned_id
        with self._space.records.reading() as tree:
            way = tree.walk(path)
            children = tree.children(way[-1], Page(limit=1)) if len(way) == len(path.names) + 1 else ()
            if not children or not in_bin(path):
                raise NotFound(
                    "This is not in the bin any more.",
                    code="node_not_found",
                    facts={"path": str(path)},
                    remedy="Look into the bin.",
                )
            self._space.access.require(asker, Action.WRITE, way)
        return way[-1], children[0]

    def _is_there(self, who: Who, path: VOSPath) -> bool:
        try:
            self._space.node(who, path)
        except NotFound:
            return False
        return True
