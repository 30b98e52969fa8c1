"""The bytes of files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from armillary.base.errors import Invalid, NotFound
from armillary.vospace.core.conditions import Conditions
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath, is_local_uri, parse_uri
from armillary.vospace.ports import Tree
from armillary.vospace.service.access import Who, denied
from armillary.vospace.service.base import MAX_LINKS, TreeService, as_path, settled
from armillary.vospace.service.placing import Goal
from armillary.vospace.service.resumable import ResumableUploads
from armillary.vospace.service.uploads import Upload


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Bytes of a file, from `start` up to `stop` (exclusive), with the node they belong to."""

    node: Node
    start: int
    stop: int
    chunks: Iterator[bytes]


class Files(TreeService):
    """Writing and reading files."""

    @cached_property
    def resumable(self) -> ResumableUploads:
        """Uploads that can break off and go on."""
        return ResumableUploads(service=self)

    def begin_upload(
        self,
        who: Who,
        path: VOSPath | str,
        *,
        length: int | None = None,
        md5: str = "",
        sha256: str = "",
        content_type: str = "",
        conditions: Conditions | None = None,
    ) -> Upload:
        """Start to write a file, new or in place of the old bytes. Checksums (hexadecimal) are verified.

        `conditions` must hold now and at the end, when the bytes become visible.
        """
        path = settled(path)
        asker = self.access.asker(who)
        if asker is None:
            raise denied(None, Action.WRITE, path)
        goal = Goal(asker=asker, path=path, content_type=content_type, conditions=conditions or Conditions())
        return Upload(service=self, goal=goal, length=length, md5=md5, sha256=sha256)

    def put_bytes(
        self,
        who: Who,
        path: VOSPath | str,
        chunks: Iterable[bytes],
        *,
        length: int | None = None,
        md5: str = "",
        content_type: str = "",
    ) -> Node:
        """Write a file from an iterable. Whatever goes wrong, also in the iterable, leaves nothing."""
        upload = self.begin_upload(who, path, length=length, md5=md5, content_type=content_type)
        try:
            for chunk in chunks:
                upload.write(chunk)
            return upload.commit()
        finally:
            upload.abort()

    def open_bytes(
        self, who: Who, path: VOSPath | str, start: int = 0, stop: int | None = None, *, head: bool = False
    ) -> Opened:
        """Open a file for reading; links are followed. With `head` nothing is read, only looked up."""

        def choose(node: Node) -> Sequence[tuple[int, int]]:
            end = node.length if stop is None else min(stop, node.length)
            return [] if head or start >= end else [(start, end)]

        node, parts = self.open_parts(who, path, choose)
        end = node.length if stop is None else min(stop, node.length)
        return Opened(node=node, start=start, stop=end, chunks=parts[0] if parts else iter(()))

    def open_parts(
        self, who: Who, path: VOSPath | str, choose: Callable[[Node], Sequence[tuple[int, int]]]
    ) -> tuple[Node, Sequence[Iterator[bytes]]]:
        """Open parts of one version of a file, which `choose` picks; links are followed.

        `choose` may refuse by raising, and may be asked again, about a newer version.
        """
        asker = self.access.asker(who)
        path = as_path(path)
        for attempt in range(3):
            with self.records.reading() as tree:
                node = self._file(tree, asker, path)
            wanted = choose(node)
            blob = node.blob
            if blob is None or not wanted:
                return node, []
            try:
                parts = [self.bytes.read(blob, start, stop) for start, stop in wanted]
                self.witness.read(asker, node)
                return node, parts
            except NotFound:
                # The bytes were replaced between looking and opening: look again.
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _file(self, tree: Tree, asker: Asker | None, path: VOSPath) -> Node:
        for _ in range(MAX_LINKS):
            node = self.look(tree, asker, path)[-1]
            if node.is_file:
                return node
            if node.is_container or not is_local_uri(node.target, self.authorities):
                raise Invalid(
                    f"{node.path} has no bytes here.",
                    code="type_not_supported",
                    facts={"path": str(node.path), "kind": node.kind.value},
                    remedy="List it instead." if node.is_container else f"Its target is {node.target}.",
                )
            path = parse_uri(node.target, self.authorities)
        raise Invalid(
            "Too many links.", code="link_loop", facts={"path": str(path)}, remedy="Mend the links."
        )
