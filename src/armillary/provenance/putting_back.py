"""Puts what jobs read in VOSpace back to where it was; whether all of it can go there is known before any does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Conflict, Forbidden, NotFound, QuotaExceeded
from armillary.base.units import format_size
from armillary.crates.layout import Entry, Role
from armillary.provenance.crate_ports import Bytes
from armillary.provenance.exporting import chunks_of
from armillary.vospace.service.looking_ahead import Place


class Files(Protocol):
    """VOSpace, where what jobs read by themselves goes back to."""

    def sha256(self, who: Principal, uri: str) -> str | None:
        """Return the SHA-256 of what is there now, or None."""
        ...

    def place(self, who: Principal, uri: str, *, folder: bool) -> Place:
        """Return where `put` would write, or with `folder` what `make_place` would make. Raises what they would, but for room."""
        ...

    def put(self, who: Principal, uri: str, chunks: Iterator[bytes], size: int) -> None:
        """Write a file, with the folders above it. Raises what VOSpace refuses."""
        ...

    def make_place(self, who: Principal, uri: str) -> None:
        """Make the folders above a file. Raises what VOSpace refuses."""
        ...


@dataclass(frozen=True, kw_only=True)
class PutBack:
    """What became of the files: see `importing.Imported`."""

    written: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, kw_only=True)
class _Goal:
    uri: str
    entry: Entry

    @property
    def is_folder(self) -> bool:
        """Whether only the folder above it is made: what jobs wrote they write again."""
        return self.entry.role is Role.OUTPUT


class PuttingBack:
    """Writes what jobs read in VOSpace to where it was; what is there with other bytes is kept.

    What they wrote they write again, into folders that they find here as there: stock `vcp` leaves a file alone
    that is there with the same bytes, so that a result which had been put back would not be seen to be made.

    Where the caller may not write, such as in the home of somebody of another name, the bytes stay in the spool.
    """

    def __init__(self, *, files: Files, spool: Bytes) -> None:
        self._files = files
        self._spool = spool

    def put_back(self, who: Principal, entries: Sequence[Entry]) -> PutBack:
        """Write them.

        Raises, before anything is written:
            Conflict: places are locked, frozen or taken by something else, code `places_closed`.
            QuotaExceeded: they do not fit, code `no_room_to_import`.
        """
        done = PutBack()
        for goal in self._goals(who, entries, done):
            try:
                if goal.is_folder:
                    self._files.make_place(who, goal.uri)
                else:
                    chunks = chunks_of(self._spool.path(goal.entry.sha256))
                    self._files.put(who, goal.uri, chunks, goal.entry.size)
                    done.written.append(goal.uri)
            except (Forbidden, NotFound):  # since it was looked at
                done.refused.append(goal.uri)
        return done

    def _goals(self, who: Principal, entries: Sequence[Entry], done: PutBack) -> list[_Goal]:
        goals: list[_Goal] = []
        closed: list[tuple[str, ArmillaryError]] = []
        coming: dict[str, str] = {}
        rooms: dict[str, int | None] = {}
        needed = Counter[str]()
        for entry in entries:
            uri = entry.content.uri if entry.content else None
            if uri is None or entry.role not in {Role.INPUT, Role.OUTPUT}:
                continue
            goal = _Goal(uri=uri, entry=entry)
            if not goal.is_folder:
                there = coming.get(uri) or self._files.sha256(who, uri)
                if there not in {None, entry.sha256}:
                    done.kept.append(uri)
                if there is not None:
                    continue
            try:
                place = self._files.place(who, uri, folder=goal.is_folder)
            except (Forbidden, NotFound):
                done.refused.append(uri)
            except ArmillaryError as error:
                closed.append((uri, error))
            else:
                goals.append(goal)
                if not goal.is_folder:
                    coming[uri] = entry.sha256
                    rooms[place.home] = place.room
                    needed[place.home] += entry.size
        if closed:
            raise _closed(closed)
        for home, octets in needed.items():
            room = rooms[home]
            if room is not None and octets > room:
                raise _no_room(home, octets, room)
        return goals


def _closed(places: Sequence[tuple[str, ArmillaryError]]) -> Conflict:
    uri, first = places[0]
    return Conflict(
        f"Files cannot go back to their places ({len(places)}, the first is {uri}), so nothing was imported: {first.message}",
        code="places_closed",
        facts={"files": len(places), "first": uri, "reason": first.code},
        remedy="Unlock or unfreeze the folder, or rename what is in the way, and import again.",
    )


def _no_room(home: str, needed: int, room: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"What the jobs read needs {format_size(needed)} in {home}, where {format_size(room)} are left: nothing was imported.",
        code="no_room_to_import",
        facts={"home": home, "needed": format_size(needed), "room": format_size(room)},
        remedy="Delete files that are not needed, or ask for more storage.",
    )
