"""What all services of the tree share."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from armillary.base.clock import Clock
from armillary.base.ids import PersonId, new_hex
from armillary.base.units import GiB
from armillary.vospace.core.groups import group_services, new_groups, unknown_groups, with_own_groups
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.core.properties import merged
from armillary.vospace.model import EMPTY_MD5, Change, Node, NodeKind, Sharing
from armillary.vospace.paths import AUTO, NULL, VOSPath, check_name, is_local_uri, parse_uri
from armillary.vospace.ports import ByteStore, Records, Tree
from armillary.vospace.service.access import Access, refuse_locked
from armillary.vospace.service.quota import Quota
from armillary.vospace.service.witness import Witness

audit = logging.getLogger("armillary.audit")

_T = TypeVar("_T")

HOMES = VOSPath(("home",))
MAX_LINKS = 8
"""How many links are followed for one path."""


class TreeService:
    """Records, bytes and rules in one hand."""

    def __init__(
        self,
        *,
        records: Records,
        bytes_: ByteStore,
        clock: Clock,
        authorities: Sequence[str],
        groups: Callable[[PersonId], frozenset[str]],
        quota: Callable[[PersonId], GiB | None],
        known_groups: Callable[[frozenset[str]], frozenset[str]] = lambda names: names,
    ) -> None:
        """Serve the space that is called by `authorities` (`authority/service`, our own first).

        `known_groups` says which of some names are groups.
        """
        self.records = records
        self.bytes = bytes_
        self.clock = clock
        self.authorities = tuple(authorities)
        self.groups = groups
        self.witness = Witness(records=records.accesses, bytes_=bytes_, clock=clock)
        self.access = Access(groups=groups, job=self.witness.job)
        self._known_groups = known_groups
        self.group_services = group_services(self.authorities)
        self.quota = Quota(granted=quota)
        # Adding up checksums lets go of Python's lock: it takes the other core.
        self._reaping, self._to_reap = threading.Lock(), threading.Event()
        self.adding_up = ThreadPoolExecutor(max_workers=4, thread_name_prefix="checksums")

    def new_node(self, asker: Asker, parent: Node, path: VOSPath, kind: NodeKind) -> Node:
        """Return a node to be added: the maker owns it.

        It is shared as its container is, where that lets its children inherit; else it is private.
        """
        now = self.clock.now()
        return Node(
            id=0,
            parent_id=parent.id,
            path=path,
            kind=kind,
            owner_id=asker.person_id,
            owner_name=asker.user_name,
            written_by=asker.user_name,
            created_at=now,
            modified_at=now,
            written_at=now if kind.is_file else None,
            sharing=parent.sharing if parent.sharing.inherits else Sharing(inherits=False),
        )

    def sharing_with_groups(self, change: Change, node: Node) -> Change:
        """Return a change of `node` with the bare names of our groups.

        A group that does not exist cannot be shared with: whoever made it later would find what was meant for
        others, and a typing error would go unnoticed until somebody misses the file.

        Raises:
            Invalid: there is no such group, or it is another service's.
        """
        own = with_own_groups(change, self.group_services)
        added = new_groups(own, node)
        missing = added - self._known_groups(added) if added else added
        if missing:
            raise unknown_groups(missing)
        return own

    def container_for(self, asker: Asker | None, way: Sequence[Node], path: VOSPath) -> Node:
        """Return the container in which `path` may be made, `way` being what exists of it."""
        parent = way[-1]
        if len(way) < len(path.names) or not parent.is_container:
            self.access.find(asker, way, path, as_container=True)
        check_name(path.name)
        self.access.require(asker, Action.WRITE, way)
        refuse_locked(parent)
        return parent

    def look(self, tree: Tree, asker: Asker | None, path: VOSPath | str) -> Sequence[Node]:
        """Return the way to a node that may be read. At `.null` there is always an empty file.

        Links in the middle of a path are followed: `vcp -L` reads below them. (What makes, moves or deletes nodes
        meets LinkFound there, as the standard has it.)
        """
        path, way = self._follow(tree, asker, as_path(path))
        if path.name == NULL and len(way) == len(path.names) and way[-1].is_container:
            self.access.require(asker, Action.READ, way)
            return [*way, self.nothing(way[-1], path)]
        self.access.find(asker, way, path)
        self.access.require(asker, Action.READ, way)
        return way

    def _follow(self, tree: Tree, asker: Asker | None, path: VOSPath) -> tuple[VOSPath, Sequence[Node]]:
        """Return a path without the links above its end, and what exists of it."""
        way = tree.walk(path)
        for _ in range(MAX_LINKS):
            link = way[-1]
            if len(way) > len(path.names) or link.kind is not NodeKind.LINK:
                break
            self.access.require(asker, Action.READ, way)
            if not is_local_uri(link.target, self.authorities):
                break
            below = path.names[len(way) - 1 :]
            path = VOSPath((*parse_uri(link.target, self.authorities).names, *below))
            way = tree.walk(path)
        return path, way

    def nothing(self, parent: Node, path: VOSPath) -> Node:
        """Return the file that takes everything and holds nothing. It belongs to whom its container does."""
        owner = Asker(person_id=parent.owner_id, user_name=parent.owner_name)
        return replace(self.new_node(owner, parent, path, NodeKind.DATA), md5=EMPTY_MD5)

    # -- housekeeping --------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Give back the room of bytes that no node names any more; one thread does it for all who come meanwhile."""
        self._to_reap.set()
        while self._to_reap.is_set() and self._reaping.acquire(blocking=False):
            try:
                self._to_reap.clear()
                while self.records.reap(self.bytes.delete, 200) == 200:
                    pass
            finally:
                self._reaping.release()

    def recover(self, grace: timedelta = timedelta(hours=1)) -> None:
        """Clear away what a crash left: unfinished uploads, and bytes that no node ever named.

        Only what is older than `grace` goes: another process may be writing.
        """
        before = self.clock.now() - grace
        self.bytes.forget_unfinished(before, self.records.uploads.upload_keys())
        self.reap()
        batch: list[str] = []
        for stored in self.bytes.published():
            if stored.published_at < before:
                batch.append(stored.key)
            if len(batch) >= 500:
                self._forget_orphans(batch)
                batch = []
        self._forget_orphans(batch)

    def _forget_orphans(self, keys: Sequence[str]) -> None:
        # Of an upload that was finished but not yet placed when the process ended, the bytes are published.
        # Uploads are asked first: what leaves them is in the tree by then.
        used = self.records.uploads.upload_keys() | self.records.blobs_in_use(keys)
        for key in keys:
            if key not in used:
                self.bytes.delete(key)

    def signing_key(self) -> bytes:
        """Return the secret for pre-authorised URLs."""
        return self.records.signing_key(secrets.token_bytes(32))


def as_path(path: VOSPath | str) -> VOSPath:
    """Return a path that may have been given as text."""
    return path if isinstance(path, VOSPath) else VOSPath.parse(path)


def settled(path: VOSPath | str) -> VOSPath:
    """Return a path where something is to be made, with a new name in the place of `.auto`."""
    path = as_path(path)
    return VOSPath((*path.names[:-1], new_hex())) if path.name == AUTO else path


def _pick(new: _T | None, old: _T) -> _T:
    return old if new is None else new


def changed(node: Node, change: Change) -> Node:
    """Return the node with a change applied."""
    return replace(
        node,
        sharing=Sharing(
            is_public=_pick(change.is_public, node.sharing.is_public),
            group_read=_pick(change.group_read, node.sharing.group_read),
            group_write=_pick(change.group_write, node.sharing.group_write),
            inherits=_pick(change.inherits, node.sharing.inherits),
        ),
        is_locked=_pick(change.is_locked, node.is_locked),
        content_type=_pick(change.content_type, node.content_type),
        content_encoding=_pick(change.content_encoding, node.content_encoding),
        target=_pick(change.target, node.target),
        quota=None if change.drops_quota else _pick(change.quota, node.quota),
        properties=merged(node.properties, change.properties),
    )
