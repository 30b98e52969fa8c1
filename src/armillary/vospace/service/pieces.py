"""One piece of a resumable upload on its way in."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from armillary.base.errors import ArmillaryError, Conflict, PreconditionFailed
from armillary.vospace.ports import ByteWriter
from armillary.vospace.service.digests import Digests
from armillary.vospace.service.placing import Goal
from armillary.vospace.service.uploads import wrong_length
from armillary.vospace.upload_model import ResumableUpload

if TYPE_CHECKING:
    from armillary.vospace.service.resumable import ResumableUploads


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an upload has come: `offset` bytes of it are kept."""

    upload: ResumableUpload
    offset: int


@dataclass(kw_only=True)
class Live:
    """What this process remembers of an upload, all of which can be found again from records and bytes.

    `digests` are those of the first `added` bytes; None when they have to be read again. `turn` counts the
    pieces: one whose turn has passed writes no more, though its connection may seem to be alive. `users` are the
    threads that hold the lock or wait for it.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    writer: ByteWriter | None = None
    offset: int = 0
    digests: Digests | None = None
    added: int = 0
    turn: int = 0
    users: int = 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is said about a piece: its place, its length if it is known, and its own checksum if it has one."""

    offset: int | None
    length: int | None = None
    algorithm: str = ""
    checksum: str = ""

    def is_whole_or_nothing(self, upload: ResumableUpload) -> bool:
        """Whether the part of a piece that broke off is dropped."""
        return upload.in_segments or bool(self.checksum)


class Piece:
    """A piece. Ends with `end` or `cut`; the latter is harmless after the former."""

    def __init__(
        self, *, uploads: ResumableUploads, upload: ResumableUpload, goal: Goal, live: Live, asked: Asked
    ) -> None:
        """Made by `ResumableUploads.piece`, with the lock of `live` held and its writer open."""
        self._uploads = uploads
        self._upload = upload
        self._goal = goal
        self._live = live
        self._asked = asked
        self._turn = live.turn
        self._start = live.offset
        self._own: Any = hashlib.new(asked.algorithm, usedforsecurity=False) if asked.checksum else None
        self._before = live.digests.copy() if live.digests and self._is_strict else None

    @property
    def _is_strict(self) -> bool:
        return self._asked.is_whole_or_nothing(self._upload)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Invalid: more has come than the upload or the piece was to have; nothing of this chunk is kept.
            Conflict: a newer piece has taken over (code `upload_taken_over`).
            OutOfSpace: the medium is full; the piece is dropped.
        """
        live = self._live
        with live.lock:
            self._require_turn()
            stop = live.offset + len(chunk)
            if stop > self._upload.length:
                raise wrong_length(self._upload.length, stop)
            if self._own is not None:
                self._own.update(chunk)
            assert live.writer is not None, "write after the end"
            if live.digests is not None:
                live.digests.update(chunk)
                live.added += len(chunk)
            try:
                live.writer.write(chunk)
            except ArmillaryError:
                self._drop()
                raise
            live.offset = stop

    def end(self) -> Progress:
        """Keep the piece, durably. When it was the last, the file is in the tree when this returns.

        Raises:
            Invalid: it is shorter than was said (code `truncated`).
            PreconditionFailed: its checksum is not the announced one (code `piece_mismatch`): it is dropped;
                or that of the file is not: all of it is.
            Conflict: as `write`.
            ArmillaryError: as `placing.Goal.put`, for the last piece; it is kept.
        """
        live = self._live
        with live.lock:
            self._require_turn()
            if self._asked.length is not None and live.offset - self._start != self._asked.length:
                raise wrong_length(self._asked.length, live.offset - self._start)
            if self._own is not None and self._own.hexdigest() != self._asked.checksum:
                self._drop()
                raise PreconditionFailed(
                    "The bytes of this piece are not those that were sent.",
                    code="piece_mismatch",
                    facts={"offset": self._start},
                    remedy="Send the piece again.",
                )
            self._let_go()
            upload = self._uploads.touched(self._upload, live, self._start if self._is_strict else None)
            if live.offset == upload.length and not upload.in_segments:
                upload = self._uploads.finish(upload, self._goal, live)
            return Progress(upload=upload, offset=live.offset)

    def cut(self) -> None:
        """End where it is: the sender has gone. What came is kept, unless it counts as a whole only."""
        with self._live.lock:
            if self._turn != self._live.turn or self._live.writer is None:
                return
            if self._is_strict:
                self._drop()
            else:
                self._let_go()

    def _require_turn(self) -> None:
        if self._turn != self._live.turn:
            raise Conflict(
                "A newer request goes on with this upload.",
                code="upload_taken_over",
                remedy="Ask for the offset, and go on from there.",
            )

    def _let_go(self) -> None:
        writer, self._live.writer = self._live.writer, None
        if self._live.digests is not None:
            self._live.digests.settle()
        if writer is not None:
            writer.pause()

    def _drop(self) -> None:
        """Go back to where the piece began, and give its room back."""
        live = self._live
        if live.digests is not None:
            live.digests.settle()
        live.writer = None
        live.offset = self._start
        live.digests, live.added = self._before, self._start
        self._uploads.bytes.resume(self._upload.key, self._start).pause()
