"""Branches of any size, node by node: deleted or changed in many small transactions, so that nobody waits long.

What may not be touched is counted and left. Memory grows with the depth of the tree only. Between two
transactions the tree may change: each one looks again whether the container where it goes on is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from armillary.base.errors import NotFound
from armillary.vospace.core.names import FROZEN
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import Change, Node, Page
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import Tree
from armillary.vospace.service.access import HOME_DEPTH
from armillary.vospace.service.base import audit, changed
from armillary.vospace.service.nodes import VOSpaceService

BATCH = 200
"""Nodes in one transaction: some tens of milliseconds."""

_PAGE = 50

Step = Callable[[Mapping[str, int]], None]
"""Hears after each transaction how far it is; may raise to end the work."""


@dataclass(kw_only=True)
class _Frame:
    """A container that is being worked through, up to the child named `at` (inclusive)."""

    node: Node
    at: str = ""
    keeps: bool = False
    """Whether something in it had to stay."""


@dataclass(kw_only=True)
class _Tally:
    done: int = 0
    refused: int = 0
    octets: int = 0

    def counts(self) -> dict[str, int]:
        return {"done": self.done, "refused": self.refused}


class Branches:
    """Works on branches of the tree of a space."""

    def __init__(self, *, space: VOSpaceService, batch: int = BATCH) -> None:
        """Work in `space`, on `batch` nodes in a transaction."""
        self._space = space
        self._batch = batch

    def delete(
        self, asker: Asker, path: VOSPath, step: Step, before: Mapping[str, int] | None = None
    ) -> Mapping[str, int]:
        """Delete what can be deleted at and below `path`; return the counts `done` and `refused`.

        `before` is what an earlier run counted that did not come to its end.

        Raises:
            NotFound, Forbidden, Conflict: nothing of it can be deleted, as for one node.
        """
        tally = _Tally(done=(before or {}).get("done", 0), refused=0)
        space = self._space
        with space.records.reading() as tree:
            try:
                top = space.deletable(tree, asker, path)[-1]
            except NotFound:
                if tally.done:  # the earlier run was killed after its last transaction
                    return tally.counts()
                raise
        stack = [_Frame(node=top)] if top.is_container else []
        if not stack:
            with space.records.writing() as tree:
                way = space.deletable(tree, asker, path)
                self._remove(tree, way[-1:], tally)
                space.quota.charge(tree, way, -tally.octets)
        while stack:
            with space.records.writing() as tree:
                self._delete_some(tree, asker, stack, tally)
            space.reap()
            step(tally.counts())
        space.reap()
        audit.info("vospace.delete %s", path, extra={"user": asker.user_name, "nodes": tally.done})
        return tally.counts()

    def change(self, asker: Asker, path: VOSPath, change: Change, step: Step) -> Mapping[str, int]:
        """Change the properties of `path` and of all below it where that may be; return the counts.

        Raises:
            NotFound, Forbidden, Unauthorized: the first node may not be changed.
            Invalid: it would be shared with a group that is none.
        """
        tally = _Tally()
        space = self._space
        action = Action.SHARE if change.of_sharing else Action.WRITE
        with space.records.writing() as tree:
            way = space.access.find(asker, tree.walk(path), path)
            space.access.require(asker, action, way)
            change = space.sharing_with_groups(change, way[-1])
            first = self._changed(asker, way, way[-1], change, tally)
            tree.save_properties(first)
            for node in first if change.of_sharing else ():
                tree.note_sharing(node)
        stack = [_Frame(node=way[-1])] if way[-1].is_container else []
        step(tally.counts())
        while stack:
            with space.records.writing() as tree:
                left = self._batch
                while stack and left > 0:
                    way = self._way(tree, stack)
                    if not way:
                        continue
                    children = self._next(tree, stack[-1], left)
                    left -= 1
                    if not children:
                        stack.pop()
                    new: list[Node] = []
                    for child in children:
                        stack[-1].at = child.name
                        left -= 1
                        new += self._changed(asker, way, child, change, tally)
                        if child.is_container:
                            stack.append(_Frame(node=child))
                            break
                    tree.save_properties(new)
            step(tally.counts())
        audit.info("vospace.change %s", path, extra={"user": asker.user_name, "nodes": tally.done})
        return tally.counts()

    def _delete_some(self, tree: Tree, asker: Asker, stack: list[_Frame], tally: _Tally) -> None:
        left = self._batch
        home: Sequence[Node] = ()
        tally.octets = 0
        while stack and left > 0:
            frame = stack[-1]
            way = self._way(tree, stack)
            if not way:
                continue
            home = way
            children = self._next(tree, frame, left)
            left -= 1
            removed: list[Node] = []
            for child in children:
                frame.at = child.name
                left -= 1
                if child.is_locked or not self._allowed(asker, Action.WRITE, way, child):
                    tally.refused += 1
                    frame.keeps = True
                elif child.is_container and tree.children(child, Page(limit=1)):
                    stack.append(_Frame(node=child))
                    break
                else:
                    removed.append(child)
            self._remove(tree, removed, tally)
            if not children:
                self._leave(tree, asker, stack, tally)
        if home:
            self._space.quota.charge(tree, home, -tally.octets)

    def _leave(self, tree: Tree, asker: Asker, stack: list[_Frame], tally: _Tally) -> None:
        """Delete a container that has been worked through, if nothing is in it."""
        frame = stack.pop()
        way = tree.walk(frame.node.path)
        frame.keeps |= way[-1].is_locked or not self._allowed(asker, Action.WRITE, way, way[-1])
        # somebody may have put something into it meanwhile, before the place where we were
        if frame.keeps or tree.children(way[-1], Page(limit=1)):
            tally.refused += 1
            if stack:
                stack[-1].keeps = True
        else:
            self._remove(tree, way[-1:], tally)

    def _way(self, tree: Tree, stack: list[_Frame]) -> Sequence[Node]:
        """Return the way to the container of the last frame; empty, and the frame is dropped, if it has gone."""
        frame = stack[-1]
        way = tree.walk(frame.node.path)
        if way[-1].id == frame.node.id:
            return way
        stack.pop()
        return ()

    @staticmethod
    def _next(tree: Tree, frame: _Frame, left: int) -> Sequence[Node]:
        page = tree.children(frame.node, Page(start=frame.at, limit=min(left, _PAGE) + 1))
        return [child for child in page if child.name != frame.at][:left]

    def _allowed(self, asker: Asker, action: Action, way: Sequence[Node], node: Node) -> bool:
        return self._space.access.allowed(asker, action, (*way[: HOME_DEPTH + 1], node))

    @staticmethod
    def _remove(tree: Tree, removed: Sequence[Node], tally: _Tally) -> None:
        if removed:
            tree.remove(*removed)
        tally.done += len(removed)
        tally.octets += sum(node.length for node in removed)

    def _changed(
        self, asker: Asker, way: Sequence[Node], node: Node, change: Change, tally: _Tally
    ) -> Sequence[Node]:
        """Return the node as it is to be, or nothing if it may not be changed."""
        action = Action.SHARE if change.of_sharing else Action.WRITE
        after = changed(node, change)
        if FROZEN in node.properties:
            locked = replace(after, sharing=node.sharing) != node
        else:
            locked = node.is_locked and change.is_locked is None
        if locked or not self._allowed(asker, action, way, node):
            tally.refused += 1
            return ()
        tally.done += 1
        return (replace(after, modified_at=self._space.clock.now()),)
