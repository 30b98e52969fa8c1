"""A tree with permissions in the simplest words: what the service must agree with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

Path = tuple[str, ...]


class Refused(Exception):
    """It may not, or cannot, be done."""


@dataclass(kw_only=True)
class Thing:
    """A node. `data` is what a file holds and where a link leads."""

    kind: str
    owner: str
    data: bytes | Path = b""
    public: bool = False
    read: frozenset[str] = frozenset()
    write: frozenset[str] = frozenset()
    inherits: bool = True
    locked: bool = False


@dataclass(kw_only=True)
class PlainTree:
    """Nodes by path below `/home`, whose first names are the homes."""

    members: dict[str, set[str]]
    things: dict[Path, Thing] = field(default_factory=dict)

    def may_read(self, who: str, path: Path) -> bool:
        thing = self.things[path]
        return thing.public or self._may(who, path, thing.read | thing.write)

    def may_write(self, who: str, path: Path) -> bool:
        return self._may(who, path, self.things[path].write)

    def _may(self, who: str, path: Path, groups: frozenset[str]) -> bool:
        return who in {self.things[path].owner, path[0]} or any(
            who in self.members[group] for group in groups
        )

    def below(self, path: Path) -> list[Path]:
        """The path and all below, parents first."""
        return sorted(other for other in self.things if other[: len(path)] == path)

    def children(self, who: str, path: Path) -> list[str]:
        path = self._follow(who, path)
        self._need(path in self.things and self.may_read(who, path) and self.things[path].kind == "container")
        return sorted(other[-1] for other in self.things if other[:-1] == path)

    def make(self, who: str, path: Path, kind: str, data: bytes | Path = b"") -> None:
        self._need(path not in self.things)
        self._open_for_new(who, path)
        parent = self.things[path[:-1]]
        new = Thing(kind=kind, owner=who, data=data, inherits=parent.inherits)
        if parent.inherits:
            new = replace(new, public=parent.public, read=parent.read, write=parent.write)
        self.things[path] = new

    def write_bytes(self, who: str, path: Path, data: bytes) -> None:
        if path not in self.things:
            self.make(who, path, "file", data)
            return
        thing = self.things[path]
        self._need(self.may_write(who, path) and thing.kind == "file" and not thing.locked)
        thing.data = data

    def read_bytes(self, who: str, path: Path) -> bytes:
        for _ in range(8):
            path = self._follow(who, path)
            self._need(path in self.things and self.may_read(who, path))
            data = self.things[path].data
            self._need(self.things[path].kind != "container")
            if isinstance(data, bytes):
                return data
            path = data
        raise Refused

    def delete(self, who: str, path: Path) -> None:
        self._cuttable(who, path)
        for other in self.below(path):
            self._need(self.may_write(who, other) and not self.things[other].locked)
        for other in self.below(path):
            del self.things[other]

    def move(self, who: str, source: Path, goal: Path) -> None:
        self._cuttable(who, source)
        place = self._place(who, source, goal)
        self._need(not self.things[source].locked)
        branch = self.below(source)
        self._need(all(self.may_write(who, other) for other in branch))
        moved = {place + other[len(source) :]: self.things.pop(other) for other in branch}
        self.things.update(moved)

    def copy(self, who: str, source: Path, goal: Path) -> None:
        self._need(source in self.things and self.may_read(who, source))
        place = self._place(who, source, goal)
        branch = self.below(source)
        self._need(all(self.may_read(who, other) for other in branch))
        for other in branch:
            thing = self.things[other]
            new = place + other[len(source) :]
            parent = self.things[new[:-1]]
            copy = Thing(kind=thing.kind, owner=who, data=thing.data, inherits=parent.inherits)
            if parent.inherits:
                copy = replace(copy, public=parent.public, read=parent.read, write=parent.write)
            self.things[new] = copy

    def change(self, who: str, path: Path, **changes: object) -> None:
        """Share, lock and unlock. Only owners share; of a locked node only the lock changes."""
        self._need(path in self.things and self.may_write(who, path))
        thing = self.things[path]
        after = replace(thing, **changes)
        unlocked = replace(after, locked=thing.locked)
        if unlocked != thing:
            self._need(self._may(who, path, frozenset()))
            self._need(not thing.locked or changes.get("locked") is False)
        self.things[path] = after

    def _follow(self, who: str, path: Path) -> Path:
        """Return the path without the links above its end, which who looks follows."""
        for _ in range(8):
            last = max((len(other) for other in self.things if other == path[: len(other)]), default=0)
            link = path[:last]
            if last == len(path) or self.things[link].kind != "link":
                break
            self._need(self.may_read(who, link))
            target = self.things[link].data
            assert isinstance(target, tuple)
            path = target + path[last:]
        return path

    def _cuttable(self, who: str, path: Path) -> None:
        self._need(path in self.things and len(path) > 1)
        above = path[:-1]
        self._need(self.may_write(who, above) and self.may_write(who, path) and not self.things[above].locked)

    def _open_for_new(self, who: str, path: Path) -> None:
        above = path[:-1]
        self._need(above in self.things and self.things[above].kind == "container")
        self._need(self.may_write(who, above) and not self.things[above].locked)

    def _place(self, who: str, source: Path, goal: Path) -> Path:
        if goal in self.things and self.things[goal].kind == "container":
            goal = (*goal, source[-1])
        self._need(goal not in self.things and goal[: len(source)] != source)
        self._open_for_new(who, goal)
        return goal

    @staticmethod
    def _need(holds: bool) -> None:
        if not holds:
            raise Refused
