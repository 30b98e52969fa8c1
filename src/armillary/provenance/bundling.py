"""Writes crates into VOSpace: whole, or nothing stays, also when the platform is killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from armillary.accounts.model import Principal
from armillary.base.errors import QuotaExceeded
from armillary.base.units import format_size
from armillary.crates.describing import descriptions
from armillary.crates.layout import Crate, disk_path
from armillary.provenance.disks import Disks
from armillary.provenance.exporting import Exports
from armillary.provenance.frozen_store import Begun, FrozenStore
from armillary.vospace.paths import VOSPath


class Space(Protocol):
    """VOSpace as far as bundles need it."""

    def identity(self, who: Principal, path: VOSPath) -> str | None:
        """Return what no other node ever has, or None when nothing is there for the caller."""
        ...

    def make_folder(self, who: Principal, path: VOSPath) -> None: ...

    def write(self, who: Principal, path: VOSPath, chunks: Iterator[bytes], size: int) -> None: ...

    def delete(self, who: Principal, path: VOSPath) -> None: ...

    def thaw(self, who: Principal, path: VOSPath, name: str) -> int: ...

    def room(self, who: Principal, path: VOSPath) -> int | None: ...


class Bundles:
    """Crates as folders, into which nobody has written yet."""

    def __init__(self, *, exports: Exports, disks: Disks, space: Space, store: FrozenStore) -> None:
        self._exports = exports
        self._disks = disks
        self._space = space
        self._store = store

    def write(self, who: Principal, path: VOSPath, crate: Crate, *, with_image: bool) -> None:
        """Write a crate, `with_image` if that is wanted. After a failure nothing of it is there.

        Raises:
            QuotaExceeded: there is no room for it.
        """
        disk = self._disks.disk(who, crate) if with_image else None
        if disk:
            room = self._space.room(who, path)
            if room is not None and disk.image.size > room:
                raise no_room(disk.image.size, room)
        cluster = crate.cluster.document.cluster
        self._space.make_folder(who, path)
        node = self._space.identity(who, path) or ""
        self._store.begin(Begun(cluster=cluster, person=who.person.id, path=str(path), node=node))
        try:
            self._fill(who, path, disk.crate if disk else crate, self._disks.chunks(disk) if disk else None)
        except BaseException:
            self.undo(who, path, cluster)
            raise

    def image_size(self, who: Principal, crate: Crate) -> int:
        """Return how many bytes the machine image would add. Raises what `write` would."""
        return self._disks.disk(who, crate).image.size

    def undo(self, who: Principal, path: VOSPath, cluster: int) -> None:
        """Remove a folder that was written just now."""
        if self._space.identity(who, path):
            self._space.thaw(who, path, str(cluster))
            self._space.delete(who, path)
        self._store.end(cluster, who.person.id)

    def sweep(self, who: Principal, cluster: int) -> None:
        """Remove what we did not live to finish for the caller; a folder that took its place is left alone."""
        begun = self._store.begun(cluster, who.person.id)
        if begun is None:
            return
        path = VOSPath.parse(begun.path)
        if begun.node == self._space.identity(who, path):
            self.undo(who, path, cluster)
        else:
            self._store.end(cluster, who.person.id)

    def _fill(self, who: Principal, path: VOSPath, crate: Crate, image: Iterator[bytes] | None) -> None:
        folders = {path}

        def put(name: str, chunks: Iterator[bytes], size: int) -> None:
            place = VOSPath((*path.names, *name.split("/")))
            if place.parent not in folders:
                self._space.make_folder(who, place.parent)
                folders.add(place.parent)
            self._space.write(who, place, chunks, size)

        if crate.image and image:  # the largest first: where there is no room for it, no more is begun
            put(disk_path(crate.image.document), image, crate.image.document.size)
        for entry in crate.papers():
            put(entry.path, iter([entry.data or b""]), entry.size)
        for name, data in descriptions(crate).items():
            put(name, iter([data]), len(data))
        for entry in crate.contents():
            put(entry.path, self._exports.chunks(who, entry), entry.size)


def no_room(needed: int, room: int) -> QuotaExceeded:
    """Return the refusal of what is larger than what is left in a home."""
    return QuotaExceeded(
        f"{format_size(needed)} do not fit: {format_size(room)} are left in the home.",
        code="no_room_to_freeze",
        facts={"needed": format_size(needed), "room": format_size(room)},
        remedy="Delete files, freeze into another folder, or ask for more storage.",
    )
