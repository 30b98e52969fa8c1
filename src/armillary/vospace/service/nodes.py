"""The tree: what can be done with its nodes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from armillary.accounts import trail
from armillary.accounts.model import Person
from armillary.base.errors import Conflict, Invalid
from armillary.base.units import GiB
from armillary.vospace.core.groups import with_own_groups
from armillary.vospace.core.names import FROZEN, QUOTA
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.core.properties import without_echo
from armillary.vospace.model import EMPTY_MD5, Change, Node, NodeKind, Page
from armillary.vospace.paths import NULL, VOSPath, is_local_uri, parse_uri
from armillary.vospace.service.access import HOME_DEPTH, Who, denied, refuse_locked
from armillary.vospace.service.base import HOMES, as_path, audit, changed, settled
from armillary.vospace.service.files import Files
from armillary.vospace.service.marking import Marking
from armillary.vospace.service.surgery import Surgery

_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A page of nodes that were shared, by path; and where the next one starts, if there is one."""

    nodes: Sequence[Node]
    following: int | None


def _shared(nodes: Sequence[Node], rest: Sequence[Node]) -> Shared:
    ordered = sorted(nodes, key=lambda node: node.path)
    return Shared(nodes=ordered, following=rest[0].id if rest else None)


class VOSpaceService(Files, Surgery, Marking):
    """The tree of files.

    Every method takes who asks first: a principal, or None for a stranger. Paths are `VOSPath` or text such
    as `/home/ada/a b.fits`. Refusals are `ArmillaryError`s.
    """

    # -- looking -------------------------------------------------------------------------------------------

    def node(self, who: Who, path: VOSPath | str) -> Node:
        """Return a node. A home comes with its quota."""
        with self.records.reading() as tree:
            way = self.look(tree, self.access.asker(who), path)
        return self._with_quota(way)

    def children(self, who: Who, path: VOSPath | str, page: Page | None = None) -> Iterator[Node]:
        """Yield a container's children; with `page` from its start, at most its limit, else all by name.

        Refusals come at once; the children are read while they are taken, a thousand at a time.
        Of `/home` only those are shown that may be read.
        """
        node, children = self.listed(who, path, page or Page(limit=2**62))
        if not node.is_container:
            raise Invalid(f"{node.path} has no children.", code="invalid_argument")
        return children

    def listed(self, who: Who, path: VOSPath | str, page: Page) -> tuple[Node, Iterator[Node]]:
        """Return a node as `node`, and its children as `children`: both as they were at one moment.

        What is no container has none.
        """
        asker = self.access.asker(who)
        with self.records.reading() as tree:
            way = self.look(tree, asker, path)
            wanted = replace(page, limit=min(page.limit, _PAGE))
            first = tree.children(way[-1], wanted) if way[-1].is_container and page.limit else ()
        return self._with_quota(way), self._children(asker, way, page, first)

    def _children(
        self, asker: Asker | None, way: Sequence[Node], page: Page, found: Sequence[Node]
    ) -> Generator[Node]:
        left, size = page.limit, min(page.limit, _PAGE)
        while left > 0:
            for child in found:
                if way[-1].path != HOMES or self.access.allowed(asker, Action.READ, (*way, child)):
                    left -= 1
                    yield child
            if len(found) < size:
                return
            size = min(left, _PAGE)
            page = replace(page, after=found[-1], limit=size)
            found = ()  # two pages at once would be twice the memory
            with self.records.reading() as tree:
                found = tree.children(way[-1], page)

    def offered(self, who: Who, *, start: int = 0, most: int = 500) -> Shared:
        """Return what others have shared with a person's groups, and is theirs to read: `most` nodes, by path.

        Not what was made below it later. `start` is where the page before said that it goes on.
        """
        asker = self.access.asker(who)
        if asker is None or not asker.groups:
            return Shared(nodes=(), following=None)
        with self.records.reading() as tree:
            paths = tree.offered_to(asker.groups, most + 1, start, asker.person_id)
            ways = [tree.walk(path) for path in paths]
        mine = [way for way in ways[:most] if self.access.allowed(asker, Action.READ, way)]
        return _shared([way[-1] for way in mine], [way[-1] for way in ways[most:]])

    def offering(self, who: Person, *, start: int = 0, most: int = 500) -> Shared:
        """Return a person's own nodes that were shared with groups, as `offered`; not what inherits it."""
        with self.records.reading() as tree:
            found = [tree.walk(path)[-1] for path in tree.offered_by(who.id, most + 1, start)]
        return _shared(found[:most], found[most:])

    # -- making --------------------------------------------------------------------------------------------

    def shared_with(self, who: Person, group: str, *, most: int = 100) -> Sequence[VOSPath]:
        """Return where nodes of a person's own are that they have shared with a group, by path."""
        with self.records.reading() as tree:
            return tree.shared_with(who.id, group, most)

    def ensure_home(self, person: Person, quota: GiB | None = None) -> Node:
        """Return a person's home, made when it is missing. With `quota` it gets that one as its own."""
        path = HOMES / person.user_name
        own = None if quota is None else quota * 2**30
        with self.records.reading() as tree:
            way = tree.walk(path)
        if len(way) == HOME_DEPTH + 1 and own in {None, way[-1].quota}:
            return self._own_home(way[-1], person)
        with self.records.writing() as tree:
            way = tree.walk(path)
            if len(way) == HOME_DEPTH + 1:
                home = self._own_home(way[-1], person)
                if own is not None:
                    home = replace(home, quota=own)
                    tree.save(home)
                return home
            asker = Asker(person_id=person.id, user_name=person.user_name)
            return tree.add(replace(self.new_node(asker, way[-1], path, NodeKind.CONTAINER), quota=own))

    def make_container(
        self, who: Who, path: VOSPath | str, change: Change | None = None, *, parents: bool = False
    ) -> Node:
        """Make a container; with `parents` also those above it, and one that is there already is fine."""
        path = as_path(path)
        if parents:
            for depth in range(HOME_DEPTH + 1, len(path.names) + 1):
                try:
                    node = self.make_container(who, VOSPath(path.names[:depth]))
                except Conflict:
                    node = self.node(who, VOSPath(path.names[:depth]))
                    if not node.is_container:
                        raise
            return self.node(who, path)
        return self._make(who, path, NodeKind.CONTAINER, change)

    def make_link(self, who: Who, path: VOSPath | str, target: str, change: Change | None = None) -> Node:
        """Make a link to a `vos:`, `http:` or `https:` URI. A local target must be a path, not exist."""
        self._check_target(target)
        return self._make(who, path, NodeKind.LINK, change, target=target)

    def make_file(
        self, who: Who, path: VOSPath | str, change: Change | None = None, kind: NodeKind = NodeKind.DATA
    ) -> Node:
        """Make an empty file, of one of the kinds of data."""
        return self._make(who, path, kind, change, md5=EMPTY_MD5)

    def _check_target(self, target: str) -> None:
        if is_local_uri(target, self.authorities):
            parse_uri(target, self.authorities)
        elif not target.startswith(("vos://", "http://", "https://")) or len(target) > 8192:
            raise Invalid(
                "A link points to a vos, http or https URI.",
                code="invalid_argument",
                facts={"field": "target"},
                remedy="Give the whole URI of the target.",
            )

    def _make(
        self,
        who: Who,
        path: VOSPath | str,
        kind: NodeKind,
        change: Change | None,
        *,
        md5: str = "",
        target: str = "",
    ) -> Node:
        asker = self.access.asker(who)
        path = settled(path)
        with self.records.writing() as tree:
            way = tree.walk(path)
            if len(way) == len(path.names) + 1:
                self.access.require(asker, Action.READ, way)
                raise Conflict(
                    f"{path} exists already.",
                    code="duplicate_node",
                    facts={"path": str(path)},
                    remedy="Choose another name.",
                )
            parent = self.container_for(asker, way, path)
            assert asker is not None, "strangers write nothing"
            node = replace(self.new_node(asker, parent, path, kind), md5=md5, target=target)
            if change:
                if change.of_sharing:
                    self._require_share(asker, way, node)
                    change = self.sharing_with_groups(change, node)
                node = changed(node, change)
            if path.name == NULL:
                return node
            node = tree.add(node)
            if change and change.of_sharing:
                tree.note_sharing(node)
        audit.info("vospace.make %s", path, extra={"user": asker.user_name, "kind": kind.value})
        return node

    # -- changing ------------------------------------------------------------------------------------------

    def set_properties(
        self, who: Who, path: VOSPath | str, change: Change | Callable[[Node], Change]
    ) -> Node:
        """Change a node's properties; `change` may be made from the node as it is.

        Who it is shared with, only owners decide; of quotas, administrators. Clients post whole nodes: what
        is there already is no change. Of a locked node only the lock changes, of a frozen one only
        who it is shared with.
        """
        asker = self.access.asker(who)
        path = as_path(path)
        with self.records.writing() as tree:
            way = self.access.find_within(asker, tree.walk(path), path)
            node = self.access.require(asker, Action.WRITE, way)
            asked = change(self._with_quota(way)) if callable(change) else change
            wanted = without_echo(with_own_groups(asked, self.group_services), node)
            if wanted.of_sharing:
                self.access.require(asker, Action.SHARE, way)
                wanted = self.sharing_with_groups(wanted, node)
            if wanted.of_quota:
                _require_quota(asker, way)
            if wanted.target is not None:
                self._check_target(wanted.target)
            after = changed(node, wanted)
            if FROZEN in node.properties:
                if replace(after, sharing=node.sharing) != node:
                    refuse_locked(node)
            elif wanted.is_locked is not False and after != node:
                refuse_locked(node)
            after = replace(after, modified_at=self.clock.now())
            tree.save(after)
            trail.changed(f"{path}: quota", node.quota, after.quota)
            if wanted.of_sharing:
                tree.note_sharing(after)
        return self._with_quota((*way[:-1], after))

    def property_names(self) -> Sequence[str]:
        """Return the URIs of all properties in use that are not ours."""
        with self.records.reading() as tree:
            return tree.property_names()

    def _require_share(self, asker: Asker, way: Sequence[Node], node: Node) -> None:
        if not self.access.allowed(asker, Action.SHARE, (*way[: HOME_DEPTH + 1], node)):
            raise denied(asker, Action.SHARE, node.path)

    def _with_quota(self, way: Sequence[Node]) -> Node:
        node = way[-1]
        return replace(node, quota=self.quota.limit(node)) if len(way) == HOME_DEPTH + 1 else node

    @staticmethod
    def _own_home(home: Node, person: Person) -> Node:
        if home.owner_id != person.id:
            raise Conflict(f"{home.path} belongs to somebody else.", code="duplicate_node")
        return home


def _require_quota(asker: Asker | None, way: Sequence[Node]) -> None:
    if asker is None or not asker.is_admin:
        raise denied(asker, Action.SHARE, way[-1].path)
    if len(way) != HOME_DEPTH + 1:
        raise Invalid(
            f"{way[-1].path} is not a home.",
            code="invalid_argument",
            facts={"field": QUOTA, "path": str(way[-1].path)},
            remedy="Set the quota of the home that it is in.",
        )
