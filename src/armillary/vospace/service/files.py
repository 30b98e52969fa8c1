"""The bytes of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from armillary.base.errors import Invalid, NotFound
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import VOSPath, is_local_uri, parse_uri
from armillary.vospace.ports import Tree
from armillary.vospace.service.access import Who, denied
from armillary.vospace.service.base import TreeService, as_path
from armillary.vospace.service.uploads import Upload

_MAX_LINKS = 8


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Bytes of a file, from `start` up to `stop` (exclusive), with the node they belong to."""

    node: Node
    start: int
    stop: int
    chunks: Iterator[bytes]


class Files(TreeService):
    """Writing and reading files."""

    def begin_upload(
        self,
        who: Who,
        path: VOSPath | str,
        *,
        length: int | None = None,
        md5: str = "",
        content_type: str = "",
    ) -> Upload:
        """Start to write a file, new or in place of the old bytes. `md5` (hexadecimal) is verified."""
        path = as_path(path)
        asker = self.access.asker(who)
        if asker is None:
            raise denied(None, Action.WRITE, path)
        return Upload(service=self, asker=asker, path=path, length=length, md5=md5, content_type=content_type)

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
        asker = self.access.asker(who)
        path = as_path(path)
        for attempt in range(3):
            with self.records.reading() as tree:
                node = self._file(tree, asker, path)
            end = node.length if stop is None else min(stop, node.length)
            if node.blob is None or head or start >= end:
                return Opened(node=node, start=start, stop=end, chunks=iter(()))
            try:
                chunks = self.bytes.read(node.blob, start, end)
            except NotFound:
                # The bytes were replaced between looking and opening: look again.
                if attempt == 2:
                    raise
                continue
            return Opened(node=node, start=start, stop=end, chunks=chunks)
        raise AssertionError("unreachable")

    def _file(self, tree: Tree, asker: Asker | None, path: VOSPath) -> Node:
        for _ in range(_MAX_LINKS):
            node = self.look(tree, asker, path)[-1]
            if node.kind is NodeKind.DATA:
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
