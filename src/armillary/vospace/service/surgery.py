"""Operations on whole branches of the tree: each happens in one transaction, wholly or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from armillary.base.errors import Conflict, Forbidden, Invalid
from armillary.vospace.core.names import FROZEN
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import Node
from armillary.vospace.paths import NULL, VOSPath
from armillary.vospace.ports import Tree
from armillary.vospace.service.access import HOME_DEPTH, Who, denied, refuse_locked
from armillary.vospace.service.base import TreeService, as_path, audit, settled
from armillary.vospace.service.fullness import naming_the_largest


class Surgery(TreeService):
    """Deleting, moving and copying branches."""

    def delete(self, who: Who, path: VOSPath | str) -> int:
        """Delete a node and all below it; return how many nodes that were.

        All of it must be the asker's to write, and nothing of it locked.
        """
        asker = self.access.asker(who)
        path = as_path(path)
        with self.records.writing() as tree:
            way = self.deletable(tree, asker, path)
            count = length = 0
            for node in chain(way[-1:], tree.below(way[-1])):
                self._require_write(asker, way, node)
                refuse_locked(node)
                count += 1
                length += node.length
            tree.remove(way[-1])
            self.witness.delete(tree, asker, way[-1])
            self.quota.charge(tree, way, -length)
        self.reap()
        audit.info(
            "vospace.delete %s", path, extra={"user": asker.user_name if asker else "", "nodes": count}
        )
        return count

    def move(self, who: Who, source: VOSPath | str, target: VOSPath | str) -> Node:
        """Move a branch to `target`, or into it when that is a container. Owners and sharing stay.

        `.auto` as the last name of `target` stands for one that we choose; what is moved to `.null` is deleted.
        """
        asker = self.access.asker(who)
        source, target = as_path(source), settled(target)
        if target.name == NULL:
            gone = self._discarded(asker, source, target)
            self.delete(who, source)
            return gone
        with naming_the_largest(self, asker), self.records.writing() as tree:
            way = self.deletable(tree, asker, source)
            refuse_locked(way[-1])
            goal, place = self._place(tree, asker, source, target)
            length = self.measure(asker, tree, way, place)
            if goal[HOME_DEPTH].id != way[HOME_DEPTH].id:
                self.quota.charge(tree, way, -length)
                self.quota.charge(tree, goal, length)
            moved = replace(way[-1], parent_id=goal[-1].id, path=place)
            tree.save(moved)
            self.witness.moved(tree, asker, way[-1], moved)
        audit.info("vospace.move %s to %s", source, place, extra={"user": asker.user_name if asker else ""})
        return moved

    def copy(self, who: Who, source: VOSPath | str, target: VOSPath | str) -> Node:
        """Copy a branch to `target`, or into it when that is a container.

        The copy belongs to who makes it and is shared as its new container is. No bytes are copied: they
        never change, so both nodes name the same ones; they count twice all the same. `.auto` is as in `move`.
        """
        asker = self.access.asker(who)
        source, target = as_path(source), settled(target)
        if target.name == NULL:
            return self._discarded(asker, source, target)
        with naming_the_largest(self, asker), self.records.writing() as tree:
            way = self.access.find(asker, tree.walk(source), source)
            self.access.require(asker, Action.READ, way)
            goal, place = self._place(tree, asker, source, target)
            assert asker is not None, "strangers write nothing"
            copies: dict[int, Node] = {}
            top: Node | None = None
            length = 0
            for node in chain(way[-1:], tree.below(way[-1])):
                if not self.access.allowed(asker, Action.READ, (*way[: HOME_DEPTH + 1], node)):
                    raise denied(asker, Action.READ, node.path)
                parent = copies.get(node.parent_id or 0, goal[-1])
                new = self.new_node(asker, parent, _moved(node.path, source, place), node.kind)
                copy = tree.add(
                    replace(
                        new,
                        written_at=node.written_at,
                        length=node.length,
                        md5=node.md5,
                        blob=node.blob,
                        content_type=node.content_type,
                        content_encoding=node.content_encoding,
                        target=node.target,
                        properties={name: value for name, value in node.properties.items() if name != FROZEN},
                    )
                )
                if copy.is_container:
                    copies[node.id] = copy
                elif copy.is_file:
                    self.witness.copied(tree, asker, node, copy)
                top = top or copy
                length += node.length
            self.quota.charge(tree, goal, length)
        assert top is not None, "the source itself was copied"
        audit.info("vospace.copy %s to %s", source, place, extra={"user": asker.user_name})
        return top

    def _discarded(self, asker: Asker | None, source: VOSPath, target: VOSPath) -> Node:
        """Return what goes to `.null`, if both ends may be seen."""
        with self.records.reading() as tree:
            self.look(tree, asker, target)
            return self.look(tree, asker, source)[-1]

    def deletable(self, tree: Tree, asker: Asker | None, path: VOSPath) -> Sequence[Node]:
        """Return the way to a branch that may be cut off."""
        way = self.access.find_within(asker, tree.walk(path), path)
        if len(path.names) <= HOME_DEPTH:
            self.access.require(asker, Action.READ, way)
            raise Forbidden(
                f"{path} stays where it is.",
                code="permission_denied",
                facts={"path": str(path)},
                remedy="Choose something inside a home.",
            )
        self.access.require(asker, Action.WRITE, way[:-1])
        self.access.require(asker, Action.WRITE, way)
        refuse_locked(way[-2])
        return way

    def _place(
        self, tree: Tree, asker: Asker | None, source: VOSPath, target: VOSPath
    ) -> tuple[Sequence[Node], VOSPath]:
        """Return the way to the container where `source` goes, and its path there."""
        goal = tree.walk(target)
        place = target
        if len(goal) == len(target.names) + 1 and goal[-1].is_container:
            place = target / source.name
            goal = tree.walk(place)
        if len(goal) == len(place.names) + 1:
            self.access.require(asker, Action.READ, goal)
            raise Conflict(
                f"{place} exists already.",
                code="duplicate_node",
                facts={"path": str(place)},
                remedy="Choose another name, or delete the other first.",
            )
        if source.contains(place):
            raise Invalid(
                f"{source} cannot go into itself.",
                code="invalid_argument",
                facts={"source": str(source), "target": str(place)},
                remedy="Choose a place outside of it.",
            )
        self.container_for(asker, goal, place)
        return goal, place

    def measure(self, asker: Asker | None, tree: Tree, way: Sequence[Node], place: VOSPath) -> int:
        """Return the bytes of a branch that is to move; refuse when something of it cannot."""
        length = 0
        for node in chain(way[-1:], tree.below(way[-1])):
            self._require_write(asker, way, node)
            if FROZEN in node.properties:
                refuse_locked(node)
            _moved(node.path, way[-1].path, place)
            length += node.length
        return length

    def _require_write(self, asker: Asker | None, way: Sequence[Node], node: Node) -> None:
        if not self.access.allowed(asker, Action.WRITE, (*way[: HOME_DEPTH + 1], node)):
            raise denied(asker, Action.WRITE, node.path)


def _moved(path: VOSPath, source: VOSPath, place: VOSPath) -> VOSPath:
    """Return where `path`, at or below `source`, comes to lie.

    Raises:
        Invalid: it would be too long.
    """
    return VOSPath((*place.names, *path.names[len(source.names) :]))
