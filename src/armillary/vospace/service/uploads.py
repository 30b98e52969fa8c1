"""Bytes on their way into the tree: seen whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armillary.base.errors import Invalid
from armillary.base.ids import new_hex
from armillary.vospace.model import Node
from armillary.vospace.ports import ByteWriter
from armillary.vospace.service.digests import Digests
from armillary.vospace.service.fullness import naming_the_largest
from armillary.vospace.service.placing import Arrived, Goal, verify
from armillary.vospace.service.quota import over_quota

if TYPE_CHECKING:
    from armillary.vospace.service.base import TreeService


class Upload:
    """One upload. Ends with `commit` or `abort`; the latter is harmless after the former.

    The bytes go to the byte store first, under a key that nobody knows. `commit` makes them durable there and
    then points the node at them in one transaction, so readers see the old bytes or the new ones, never a
    mixture, and of two writers at once the later commit wins whole.
    """

    def __init__(
        self, *, service: TreeService, goal: Goal, length: int | None, md5: str = "", sha256: str = ""
    ) -> None:
        """Check what can be checked before bytes flow. Made by `VOSpaceService.begin_upload`."""
        self._service = service
        self._goal = goal
        self._expected = length
        self._expected_md5 = md5.lower()
        self._expected_sha256 = sha256.lower()
        self._digests = Digests(service.adding_up, sha256=bool(sha256 or goal.asker.job))
        self._length = 0
        self._key = new_hex()
        self._writer: ByteWriter | None = None
        with service.records.reading() as tree:
            self._way = tree.walk(goal.path)
        existing = goal.check(service, self._way)
        freed = existing.length if existing else 0
        if length is not None:
            with naming_the_largest(service, goal.asker):
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
            raise wrong_length(self._expected, self._length)
        if self._room is not None and self._length > self._room:
            home = self._way[2]
            with naming_the_largest(self._service, self._goal.asker):
                raise over_quota(home, self._service.quota.limit(home) or 0, home.used, self._length)
        if chunk:
            if self._writer is None:
                self._writer = self._service.bytes.begin(self._key)
            self._digests.update(chunk)
            self._writer.write(chunk)

    def commit(self) -> Node:
        """Make the file visible and return its node.

        Raises:
            Invalid: fewer bytes came than were announced (code `truncated`).
            PreconditionFailed: the checksum is not the announced one (code `checksum_mismatch`), or somebody
                else has written meanwhile.
            QuotaExceeded, Forbidden, NotFound, Conflict: things have changed since the beginning.
        """
        if self._expected is not None and self._length != self._expected:
            raise wrong_length(self._expected, self._length)
        md5 = self._digests.md5
        verify(
            md5=md5,
            expected_md5=self._expected_md5,
            sha256=self._digests.sha256,
            expected_sha256=self._expected_sha256,
        )
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.publish()
        blob = self._key if writer else None
        try:
            return self._goal.put(
                self._service, Arrived(length=self._length, md5=md5, blob=blob, sha256=self._digests.sha256)
            )
        except BaseException:
            if writer is not None:
                self._service.bytes.delete(self._key)
            raise

    def abort(self) -> None:
        """Leave nothing behind."""
        self._digests.settle()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()


def wrong_length(expected: int, received: int) -> Invalid:
    """Return the refusal of bytes that are more or fewer than was announced."""
    return Invalid(
        "The upload does not have the announced length.",
        code="truncated",
        facts={"expected": expected, "received": received},
        remedy="Send the file again.",
    )
