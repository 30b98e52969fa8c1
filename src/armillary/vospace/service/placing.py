"""Where bytes that have arrived are put into the tree: one place, one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from armillary.base.errors import Conflict, PreconditionFailed
from armillary.vospace.core.conditions import Conditions, require_for_writing
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import NULL, VOSPath
from armillary.vospace.service.access import refuse_locked
from armillary.vospace.service.base import audit
from armillary.vospace.service.fullness import naming_the_largest

if TYPE_CHECKING:
    from armillary.vospace.service.base import TreeService


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """Bytes in the byte store that no node names yet. No bytes have no blob."""

    length: int
    md5: str
    blob: str | None
    sha256: str = ""
    """where it was added up"""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A file that somebody wants to write, new or in place of the old bytes."""

    asker: Asker
    path: VOSPath
    content_type: str = ""
    conditions: Conditions = field(default_factory=Conditions)

    def check(self, service: TreeService, way: Sequence[Node]) -> Node | None:
        """Return the file that is there already, if any.

        `way` leads to the goal, as far as it exists. Raises what `put` raises, except for quotas.
        """
        if len(way) == len(self.path.names) + 1:
            node = service.access.require(self.asker, Action.WRITE, way)
            if not node.is_file:
                raise Conflict(
                    f"{node.path} is a {node.kind.value}, not a file.",
                    code="duplicate_node",
                    facts={"path": str(node.path), "kind": node.kind.value},
                    remedy="Choose another name.",
                )
            refuse_locked(node)
            require_for_writing(self.conditions, node)
            return node
        service.container_for(self.asker, way, self.path)
        require_for_writing(self.conditions, None)
        return None

    def put(self, service: TreeService, arrived: Arrived) -> Node:
        """Point the node at the bytes, and return it. After an error nothing has changed.

        At `.null` no node comes to be, and the bytes are deleted.

        Raises:
            NotFound, Forbidden, Conflict: the place is gone, closed or locked.
            QuotaExceeded: the bytes do not fit.
            PreconditionFailed: somebody else has written meanwhile, and it was asked that nobody had.
        """
        with naming_the_largest(service, self.asker), service.records.writing() as tree:
            way = tree.walk(self.path)
            existing = self.check(service, way)
            if self.path.name == NULL and not existing:
                if arrived.blob:
                    service.bytes.delete(arrived.blob)
                return service.nothing(way[-1], self.path)
            now = service.clock.now()
            if existing:
                node = replace(
                    existing,
                    length=arrived.length,
                    md5=arrived.md5,
                    blob=arrived.blob,
                    content_type=self.content_type or existing.content_type,
                    modified_at=now,
                    written_at=now,
                    written_by=self.asker.user_name,
                )
                tree.save(node)
            else:
                node = tree.add(
                    replace(
                        service.new_node(self.asker, way[-1], self.path, NodeKind.DATA),
                        length=arrived.length,
                        md5=arrived.md5,
                        blob=arrived.blob,
                        content_type=self.content_type,
                    )
                )
            service.witness.write(tree, self.asker, node, arrived.sha256)
            service.quota.charge(tree, way, arrived.length - (existing.length if existing else 0))
        if existing and existing.blob:
            service.reap()
        audit.info("vospace.write %s", node.path, extra={"user": self.asker.user_name, "length": node.length})
        return node


def verify(*, md5: str, expected_md5: str, sha256: str, expected_sha256: str) -> None:
    """Compare checksums with the announced ones, where there are such.

    Raises:
        PreconditionFailed: with code `checksum_mismatch`.
    """
    for name, found, expected in (("md5", md5, expected_md5), ("sha256", sha256, expected_sha256)):
        if expected and found != expected:
            raise PreconditionFailed(
                "The bytes that arrived are not those that were sent.",
                code="checksum_mismatch",
                facts={f"expected_{name}": expected, name: found},
                remedy="Send the file again.",
            )
