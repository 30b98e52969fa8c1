"""Bytes on their way into the tree: seen whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from armillary.base.errors import Conflict, Invalid, PreconditionFailed
from armillary.base.ids import new_hex
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import EMPTY_MD5, Node, NodeKind
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import ByteWriter
from armillary.vospace.service.access import refuse_locked
from armillary.vospace.service.quota import over_quota

if TYPE_CHECKING:
    from collections.abc import Sequence

    from armillary.vospace.service.base import TreeService

audit = logging.getLogger("armillary.audit")


class Upload:
    """One upload. Ends with `commit` or `abort`; the latter is harmless after the former.

    The bytes go to the byte store first, under a key that nobody knows. `commit` makes them durable there and
    then points the node at them in one transaction, so readers see the old bytes or the new ones, never a
    mixture, and of two writers at once the later commit wins whole.
    """

    def __init__(
        self,
        *,
        service: TreeService,
        asker: Asker,
        path: VOSPath,
        length: int | None,
        md5: str,
        content_type: str,
    ) -> None:
        """Check what can be checked before bytes flow. Made by `VOSpaceService.begin_upload`."""
        self._service = service
        self._asker = asker
        self._path = path
        self._expected = length
        self._expected_md5 = md5.lower()
        self._content_type = content_type
        self._digest = hashlib.md5(usedforsecurity=False)
        self._length = 0
        self._key = new_hex()
        self._writer: ByteWriter | None = None
        with service.records.reading() as tree:
            self._way = tree.walk(path)
        existing = self._check(self._way)
        freed = existing.length if existing else 0
        if length is not None:
            service.quota.check(self._way, length - freed)
        self._room = service.quota.room(self._way, freed)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            QuotaExceeded: more than fits has come.
            Invalid: more than was announced has come.
        """
        self._length += len(chunk)
        if self._expected is not None and self._length > self._expected:
            raise self._wrong_length()
        if self._room is not None and self._length > self._room:
            home = self._way[2]
            raise over_quota(home, self._service.quota.limit(home) or 0, home.used, self._length)
        self._digest.update(chunk)
        if chunk:
            if self._writer is None:
                self._writer = self._service.bytes.begin(self._key)
            self._writer.write(chunk)

    def commit(self) -> Node:
        """Make the file visible and return its node.

        Raises:
            Invalid: fewer bytes came than were announced (code `truncated`).
            PreconditionFailed: the MD5 is not the announced one (code `checksum_mismatch`).
            QuotaExceeded, Forbidden, NotFound, Conflict: things have changed since the beginning.
        """
        if self._expected is not None and self._length != self._expected:
            raise self._wrong_length()
        md5 = self._digest.hexdigest()
        if self._expected_md5 and md5 != self._expected_md5:
            raise PreconditionFailed(
                "The bytes that arrived are not those that were sent.",
                code="checksum_mismatch",
                facts={"expected_md5": self._expected_md5, "md5": md5},
                remedy="Send the file again.",
            )
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.publish()
        try:
            node = self._point(md5 if self._length else EMPTY_MD5, self._key if writer else None)
        except BaseException:
            if writer is not None:
                self._service.bytes.delete(self._key)
            raise
        self._service.reap()
        audit.info(
            "vospace.write %s", node.path, extra={"user": self._asker.user_name, "length": node.length}
        )
        return node

    def abort(self) -> None:
        """Leave nothing behind."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()

    def _check(self, way: Sequence[Node]) -> Node | None:
        """Return the data node that is there already, if any; raise if it or a new one may not be written."""
        service = self._service
        if len(way) == len(self._path.names) + 1:
            node = service.access.require(self._asker, Action.WRITE, way)
            if node.kind is not NodeKind.DATA:
                raise Conflict(
                    f"{node.path} is a {node.kind.value}, not a file.",
                    code="duplicate_node",
                    facts={"path": str(node.path), "kind": node.kind.value},
                    remedy="Choose another name.",
                )
            refuse_locked(node)
            return node
        service.container_for(self._asker, way, self._path)
        return None

    def _point(self, md5: str, blob: str | None) -> Node:
        service = self._service
        now = service.clock.now()
        with service.records.writing() as tree:
            way = tree.walk(self._path)
            existing = self._check(way)
            if existing:
                node = replace(
                    existing,
                    length=self._length,
                    md5=md5,
                    blob=blob,
                    content_type=self._content_type or existing.content_type,
                    modified_at=now,
                    written_by=self._asker.user_name,
                )
                tree.save(node)
            else:
                node = tree.add(
                    replace(
                        service.new_node(self._asker, way[-1], self._path, NodeKind.DATA),
                        length=self._length,
                        md5=md5,
                        blob=blob,
                        content_type=self._content_type,
                    )
                )
            service.quota.charge(tree, way, self._length - (existing.length if existing else 0))
        return node

    def _wrong_length(self) -> Invalid:
        return Invalid(
            "The upload does not have the announced length.",
            code="truncated",
            facts={"expected": self._expected, "received": self._length},
            remedy="Send the file again.",
        )
