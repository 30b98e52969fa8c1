"""Branches of the tree that are kept as they are, until somebody says otherwise on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from armillary.vospace.core.names import FROZEN
from armillary.vospace.core.permissions import Action
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import Who
from armillary.vospace.service.base import audit
from armillary.vospace.service.nodes import VOSpaceService

_AT_ONCE = 500


class Freezing:
    """Freezes branches and lets them thaw. Both are for owners of the home, and administrators."""

    def __init__(self, *, space: VOSpaceService) -> None:
        self._space = space

    def freeze(self, who: Who, path: VOSPath, name: str) -> int:
        """Have a branch stay as it is, for `name`; return how many nodes that are. Again is fine.

        After a failure some nodes may be frozen: freezing again, or `thaw`, brings order.
        """
        return self._set(who, path, {FROZEN: name}, locked=True, only=None)

    def thaw(self, who: Who, path: VOSPath, name: str) -> int:
        """Let what is frozen for `name` at and below `path` change again; return how many nodes that were."""
        return self._set(who, path, {}, locked=False, only=name)

    def _set(
        self, who: Who, path: VOSPath, marks: Mapping[str, str], *, locked: bool, only: str | None
    ) -> int:
        space = self._space
        asker = space.access.asker(who)
        with space.records.writing() as tree:
            way = space.access.find(asker, tree.walk(path), path)
            space.access.require(asker, Action.SHARE, way)
            nodes = [
                node
                for node in chain(way[-1:], tree.below(way[-1]))
                if only is None or node.properties.get(FROZEN) == only
            ]
            for first in range(0, len(nodes), _AT_ONCE):
                tree.save_properties(
                    [
                        replace(
                            node,
                            is_locked=locked,
                            properties={k: v for k, v in node.properties.items() if k != FROZEN}
                            | dict(marks),
                        )
                        for node in nodes[first : first + _AT_ONCE]
                    ]
                )
        user = asker.user_name if asker else ""
        audit.info(
            "vospace.%s %s", "freeze" if locked else "thaw", path, extra={"user": user, "nodes": len(nodes)}
        )
        return len(nodes)
