"""Any sequence of operations, by several people, leaves the tree as a simple model says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path as File

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from plain_tree import Path, PlainTree, Refused, Thing

from armillary.accounts.model import Person, Principal
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import PersonId
from armillary.vospace.bytes import MemoryBytes
from armillary.vospace.model import Change, Node, NodeKind
from armillary.vospace.service import VOSpaceService
from armillary.vospace.store import SqlRecords, create_all

PEOPLE = ("ada", "bob", "eve")
NAMES = ("a", "b", "c d%")
GROUPS = ("m51", "ngc")
OURS = "vos://armillary.example~vault"
KINDS = {"container": NodeKind.CONTAINER, "file": NodeKind.DATA, "link": NodeKind.LINK}


def principal(name: str, *, is_admin: bool = False) -> Principal:
    person = Person(
        id=PersonId(f"id-{name}"),
        user_name=name,
        full_name=name,
        email=f"{name}@example.org",
        institute="Observatory",
        is_admin=is_admin,
        enabled=True,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Principal(person=person)


WHO = {name: principal(name) for name in PEOPLE}
ROOT = principal("root", is_admin=True)


def text_of(path: Path) -> str:
    return "/home/" + "/".join(path)


def link_to(path: Path) -> str:
    return OURS + text_of(path).replace("%", "%25")


people = st.sampled_from(PEOPLE)
some_groups = st.frozensets(st.sampled_from(GROUPS))


class Trees(RuleBasedStateMachine):
    """The service and the model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = make_engine(f"sqlite:///{File(self.folder.name)}/tree.db", durable=False)
        create_all(self.engine)
        self.members: dict[str, set[str]] = {"m51": {"bob"}, "ngc": set()}
        self.plain = PlainTree(members=self.members)
        self.space = VOSpaceService(
            records=SqlRecords(self.engine),
            bytes_=MemoryBytes(),
            clock=VirtualClock(),
            authorities=["armillary.example/vault"],
            groups=self._groups_of,
            quota=lambda _: None,
        )

    def _groups_of(self, person_id: PersonId) -> frozenset[str]:
        name = person_id.removeprefix("id-")
        return frozenset(group for group, members in self.members.items() if name in members)

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()

    @initialize()
    def homes(self) -> None:
        for name in ("ada", "bob"):
            self.space.ensure_home(WHO[name].person)
            self.plain.things[(name,)] = Thing(kind="container", owner=name)

    def there(self, data: st.DataObject) -> Path:
        return data.draw(st.sampled_from(sorted(self.plain.things)), label="node")

    def place(self, data: st.DataObject) -> Path:
        """A path that exists, or would be a child of one."""
        path = self.there(data)
        name = data.draw(st.sampled_from(("", *NAMES)), label="name")
        return (*path, name) if name and len(path) < 5 else path

    def both(self, model: Callable[[], object], service: Callable[[], object]) -> None:
        """Do it twice: both do it with one result, or both refuse and change nothing."""
        try:
            expected = model()
        except Refused:
            expected = Refused
        try:
            found = service()
        except ArmillaryError:
            found = Refused
        assert found == expected

    @rule(data=st.data(), who=people)
    def make_container(self, data: st.DataObject, who: str) -> None:
        path = self.place(data)
        self.both(
            lambda: self.plain.make(who, path, "container"),
            lambda: self.space.make_container(WHO[who], text_of(path)) and None,
        )

    @rule(data=st.data(), who=people, octets=st.binary(max_size=3))
    def write(self, data: st.DataObject, who: str, octets: bytes) -> None:
        path = self.place(data)
        self.both(
            lambda: self.plain.write_bytes(who, path, octets),
            lambda: self.space.put_bytes(WHO[who], text_of(path), [octets]) and None,
        )

    @rule(data=st.data(), who=people)
    def link(self, data: st.DataObject, who: str) -> None:
        path, target = self.place(data), self.there(data)
        self.both(
            lambda: self.plain.make(who, path, "link", target),
            lambda: self.space.make_link(WHO[who], text_of(path), link_to(target)) and None,
        )

    @rule(data=st.data(), who=people)
    def delete(self, data: st.DataObject, who: str) -> None:
        path = self.there(data)
        self.both(
            lambda: self.plain.delete(who, path),
            lambda: self.space.delete(WHO[who], text_of(path)) and None,
        )

    @rule(data=st.data(), who=people)
    def move(self, data: st.DataObject, who: str) -> None:
        path, goal = self.there(data), self.place(data)
        self.both(
            lambda: self.plain.move(who, path, goal),
            lambda: self.space.move(WHO[who], text_of(path), text_of(goal)) and None,
        )

    @rule(data=st.data(), who=people)
    def copy(self, data: st.DataObject, who: str) -> None:
        path, goal = self.there(data), self.place(data)
        self.both(
            lambda: self.plain.copy(who, path, goal),
            lambda: self.space.copy(WHO[who], text_of(path), text_of(goal)) and None,
        )

    @rule(data=st.data(), who=people, read=some_groups, write=some_groups, public=st.booleans())
    def share(
        self, data: st.DataObject, who: str, read: frozenset[str], write: frozenset[str], public: bool
    ) -> None:
        path = self.there(data)
        change = Change(group_read=read, group_write=write, is_public=public)
        self.both(
            lambda: self.plain.change(who, path, read=read, write=write, public=public),
            lambda: self.space.set_properties(WHO[who], text_of(path), change) and None,
        )

    @rule(data=st.data(), who=people, inherits=st.booleans())
    def let_inherit(self, data: st.DataObject, who: str, inherits: bool) -> None:
        path = self.there(data)
        self.both(
            lambda: self.plain.change(who, path, inherits=inherits),
            lambda: self.space.set_properties(WHO[who], text_of(path), Change(inherits=inherits)) and None,
        )

    @rule(data=st.data(), who=people, locked=st.booleans())
    def lock(self, data: st.DataObject, who: str, locked: bool) -> None:
        path = self.there(data)
        self.both(
            lambda: self.plain.change(who, path, locked=locked),
            lambda: self.space.set_properties(WHO[who], text_of(path), Change(is_locked=locked)) and None,
        )

    @rule(who=people, group=st.sampled_from(GROUPS))
    def join_or_leave(self, who: str, group: str) -> None:
        self.members[group] ^= {who}

    @rule(data=st.data(), who=people)
    def look(self, data: st.DataObject, who: str) -> None:
        path = self.place(data)
        self.both(
            lambda: self.plain.children(who, path),
            lambda: [child.name for child in self.space.children(WHO[who], text_of(path))],
        )

    @rule(data=st.data(), who=people)
    def read(self, data: st.DataObject, who: str) -> None:
        path = self.place(data)
        self.both(
            lambda: self.plain.read_bytes(who, path),
            lambda: b"".join(self.space.open_bytes(WHO[who], text_of(path)).chunks),
        )

    @invariant()
    def they_are_the_same(self) -> None:
        found: dict[Path, Node] = {}
        with self.space.records.reading() as tree:
            for home in ("ada", "bob"):
                way = tree.walk(self.space.node(ROOT, f"/home/{home}").path) if self.plain.things else []
                for node in (*way[-1:], *(tree.below(way[-1]) if way else ())):
                    found[node.path.names[1:]] = node
        assert {path: told(node) for path, node in found.items()} == {
            path: plainly(thing) for path, thing in self.plain.things.items()
        }
        for home in ("ada", "bob"):
            if (home,) in found:
                lengths = [node.length for path, node in found.items() if path[0] == home]
                assert found[home,].used == sum(lengths)


def told(node: Node) -> tuple[object, ...]:
    sharing = node.sharing
    shared = (sharing.is_public, sharing.group_read, sharing.group_write, sharing.inherits)
    return node.kind, node.owner_name, node.length, node.target, shared, node.is_locked


def plainly(thing: Thing) -> tuple[object, ...]:
    length = len(thing.data) if thing.kind == "file" else 0
    target = link_to(thing.data) if isinstance(thing.data, tuple) else ""
    shared = (thing.public, thing.read, thing.write, thing.inherits)
    return KINDS[thing.kind], thing.owner, length, target, shared, thing.locked


TestTrees = Trees.TestCase
TestTrees.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
