"""What fills a folder: the figures that a person needs to make room."""

from __future__ import annotations

from collections.abc import Sequence

from armillary.vospace.model import Weight
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.access import Who
from armillary.vospace.service.base import TreeService, as_path

MOST_NODES = 100_000
"""Nodes that are looked at: some tenths of a second."""


def weigh(space: TreeService, who: Who, path: VOSPath | str) -> tuple[Sequence[Weight], bool]:
    """Return the heaviest children of a folder, the heaviest first, and whether that is all of it.

    Raises:
        ArmillaryError: as `VOSpaceService.node`.
    """
    with space.records.reading() as tree:
        way = space.look(tree, space.access.asker(who), as_path(path))
        found = tree.weights(way[-1], MOST_NODES)
    return found, sum(weight.nodes for weight in found) < MOST_NODES
