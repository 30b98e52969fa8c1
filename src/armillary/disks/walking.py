"""All files of an image, in the order of their paths, and no more work than an honest image needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from armillary.base.errors import ArmillaryError, Invalid
from armillary.disks.filesystems import FAULTS, FileSystem, Node
from armillary.disks.model import Bounds, File

_PIECE = 1 << 20
Wanted = Callable[[str], bool]
Progress = Callable[[str], None]
_TOLD_EVERY = 5000


@dataclass(kw_only=True)
class Tree:
    """What a walk found."""

    files: list[File] = field(default_factory=list[File])
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """of the files that were asked for"""
    problems: list[str] = field(default_factory=list[str])


def walk(
    root: FileSystem,
    mounts: Mapping[str, FileSystem],
    *,
    wanted: Wanted,
    bounds: Bounds,
    progress: Progress = lambda _: None,
) -> Tree:
    """Return every path with its digest, and the contents of those that are `wanted`.

    A file that cannot be read stands there without a digest, and is named among the problems.

    Raises:
        Invalid: `image_too_big`, when there is more than the bounds allow.
    """
    return _Walk(mounts=mounts, wanted=wanted, bounds=bounds, progress=progress).all(root)


class _Walk:
    def __init__(
        self, *, mounts: Mapping[str, FileSystem], wanted: Wanted, bounds: Bounds, progress: Progress
    ) -> None:
        self._mounts, self._wanted, self._bounds, self._progress = mounts, wanted, bounds, progress
        self._tree = Tree()
        self._digests: dict[object, tuple[int, str]] = {}
        self._hashed = self._names = self._kept = self._more = 0

    def all(self, root: FileSystem) -> Tree:
        # a stack of our own: a tree as deep as an attacker likes must not be as deep a recursion
        waiting: list[tuple[str, Node, int, FileSystem]] = [("", root.root, 0, root)]
        seen: set[tuple[int, object]] = set()
        while waiting:
            path, node, depth, filesystem = waiting.pop()
            if path in self._mounts and node.kind == "dir":
                filesystem = self._mounts[path]
                node = filesystem.root
            if path:
                self._add(path, node, filesystem)
            if node.kind != "dir":
                continue
            if (id(filesystem), node.number) in seen:
                self._problem(f"/{path}: the same directory is elsewhere, too")
                continue
            seen.add((id(filesystem), node.number))
            if depth >= self._bounds.depth:
                self._problem(f"/{path}: deeper than {self._bounds.depth} directories; not entered")
                continue
            for name, child in reversed(self._children(path, node)):
                waiting.append((f"{path}/{name}" if path else name, child, depth + 1, filesystem))
        if self._more:
            self._tree.problems.append(f"and {self._more} more")
        return self._tree

    def _children(self, path: str, node: Node) -> list[tuple[str, Node]]:
        found: dict[str, Node] = {}
        try:
            for name, child in node.entries():
                if name in ("", ".", "..") or "/" in name or "\0" in name:
                    if name not in (".", ".."):
                        self._problem(f"/{path}: an entry with a name that none can have")
                    continue
                if name in found:
                    self._problem(f"/{path}/{name}: there twice")
                    continue
                found[name] = child
                self._names += len(path) + len(name)
                self._within("names", self._names, self._bounds.name_bytes)
                self._within("files", len(self._tree.files) + len(found), self._bounds.files)
        except Invalid as error:
            if error.code == "image_too_big":
                raise
            self._problem(f"/{path}: {error.message}")
        except FAULTS as error:
            self._problem(f"/{path}: {type(error).__name__}: {error}")
        return sorted(found.items())

    def _add(self, path: str, node: Node, filesystem: FileSystem) -> None:
        digest = target = ""
        size = 0
        try:
            if node.kind == "file":
                size = node.size
                digest = self._digest(path, node, filesystem)
            elif node.kind == "link":
                target = node.target()
        except ArmillaryError as error:
            if error.code == "image_too_big":
                raise
            self._problem(f"/{path}: {error.message}")
        except FAULTS as error:
            self._problem(f"/{path}: {type(error).__name__}: {error}")
        self._tree.files.append(
            File(
                path=_shown(path),
                kind=node.kind,
                mode=node.mode,
                uid=node.uid,
                gid=node.gid,
                size=size,
                sha256=digest,
                target=_shown(target),
            )
        )
        if len(self._tree.files) % _TOLD_EVERY == 0:
            self._progress(f"{len(self._tree.files)} files, {self._hashed >> 20} MiB read")

    def _digest(self, path: str, node: Node, filesystem: FileSystem) -> str:
        keep = self._wanted(path) and node.size <= self._bounds.kept
        key = (id(filesystem), node.number)
        known = self._digests.get(key)
        if known is not None and not keep:
            return known[1]  # another name of the same file
        if node.size > self._bounds.one_file:
            self._problem(f"/{path}: its {node.size} bytes are too many to read")
            return ""
        self._hashed += node.size
        self._within("bytes", self._hashed, self._bounds.hashed)
        digest, pieces, left = hashlib.sha256(), list[bytes](), node.size
        stream = node.open()
        while left:
            piece = stream.read(min(_PIECE, left))
            if not piece:
                self._problem(f"/{path}: it ends {left} bytes too early")
                return ""
            digest.update(piece)
            left -= len(piece)
            if keep:
                pieces.append(piece)
        if keep:
            self._kept += node.size
            self._within("bytes of packages' records", self._kept, 4 * self._bounds.kept)
            self._tree.contents[path] = b"".join(pieces)
        self._digests[key] = (node.size, digest.hexdigest())
        return digest.hexdigest()

    def _within(self, what: str, there: int, most: int) -> None:
        if there > most:
            raise Invalid(
                f"The image has more {what} than are read: {there}, and {most} is the most.",
                code="image_too_big",
                facts={"what": what, "limit": most},
            )

    def _problem(self, text: str) -> None:
        if len(self._tree.problems) < self._bounds.problems:
            self._tree.problems.append(_shown(text)[:500])
        else:
            self._more += 1


def _shown(text: str) -> str:
    """A name as JSON can carry it: bytes that are no text are written in hexadecimal."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
