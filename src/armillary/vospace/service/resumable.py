"""Uploads that can break off and go on: seen whole, verified, or not at all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from armillary.base.errors import Conflict, NotFound, PreconditionFailed, QuotaExceeded
from armillary.base.ids import new_hex
from armillary.vospace.core.conditions import Conditions
from armillary.vospace.core.permissions import Action, Asker
from armillary.vospace.model import EMPTY_MD5
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import ByteWriter
from armillary.vospace.service.access import HOME_DEPTH, Who, denied
from armillary.vospace.service.base import TreeService
from armillary.vospace.service.digests import Digests
from armillary.vospace.service.fullness import naming_the_largest
from armillary.vospace.service.pieces import Asked, Live, Piece, Progress
from armillary.vospace.service.placing import Arrived, Goal, verify
from armillary.vospace.service.uploads import wrong_length
from armillary.vospace.upload_model import ResumableUpload

IDLE = timedelta(hours=24)
"""An upload that nobody goes on with is swept after this time."""
LONGEST = timedelta(days=7)
"""No upload is kept for longer, however it goes on."""
MOST = 1000
"""unfinished uploads of one person"""
_REMEMBERED = 500
_PATIENCE = 20.0


class ResumableUploads:
    """Resumable uploads. What they promise survives the end of the process at any moment.

    An upload belongs to whom it was begun by; access to its place is checked anew with each piece, and at the
    end. Its bytes lie in the byte store under a key that no node names; with the last one it is verified and put
    into the tree in one transaction, as every other upload is.
    """

    def __init__(self, *, service: TreeService) -> None:
        """Put files into the tree of `service`."""
        self.bytes = service.bytes
        self._service = service
        self._records = service.records.uploads
        self._live: OrderedDict[str, Live] = OrderedDict()
        self._lock = threading.Lock()

    def create(
        self,
        who: Who,
        path: VOSPath,
        *,
        length: int,
        md5: str = "",
        sha256: str = "",
        content_type: str = "",
        conditions: Conditions | None = None,
        in_segments: bool = False,
        notes: str = "",
    ) -> ResumableUpload:
        """Begin an upload. An empty file is in the tree at once, unless it comes in segments.

        Raises:
            QuotaExceeded: it will not fit beside the files, and the other unfinished uploads.
            ArmillaryError: as `placing.Goal.put`.
        """
        asker = self._asker(who, path)
        now = self._service.clock.now()
        upload = ResumableUpload(
            id=new_hex(),
            key=new_hex(),
            person_id=asker.person_id,
            user_name=asker.user_name,
            path=path,
            length=length,
            created_at=now,
            expires_at=now + IDLE,
            md5=md5,
            sha256=sha256,
            content_type=content_type,
            conditions=conditions or Conditions(),
            in_segments=in_segments,
            notes=notes,
            mark=0 if in_segments else None,
        )
        goal = _goal(upload, asker)
        self._make_room(upload, goal)
        self._records.save_upload(upload)
        if length == 0 and not in_segments:
            with self._held(upload.id) as live:
                return self.finish(upload, goal, live)
        return upload

    def progress(self, who: Who, upload_id: str, *, take_over: bool = False) -> Progress:
        """Tell how far an upload has come; finish it if all of it is there and a crash came in between.

        With `take_over` a piece that is still coming in ends where it is, so that the answer stays true: who asks
        is about to go on, and the connection that was there before may hang.

        Raises:
            NotFound: with code `upload_not_found`: it never was, is somebody else's, or was swept.
        """
        asker, upload = self._mine(who, upload_id)
        with self._held(upload_id) as live:
            if take_over:
                self._end_piece(live)
            if live.writer is None:
                live.offset = self._offset(upload)
            if live.offset == upload.length and not (live.writer or upload.is_over or upload.in_segments):
                upload = self.finish(upload, _goal(upload, asker), live)
            return Progress(upload=upload, offset=live.offset)

    def piece(self, who: Who, upload_id: str, asked: Asked) -> Piece:
        """Go on with an upload. A piece that another request is still sending ends where it is.

        Raises:
            NotFound: as `progress`.
            Conflict: the piece does not begin where the upload stands (code `offset_mismatch`).
            ArmillaryError: as `placing.Goal.put`.
        """
        asker, upload = self._mine(who, upload_id)
        goal = _goal(upload, asker)
        with self._service.records.reading() as tree:
            way = tree.walk(upload.path)
        with self._held(upload_id) as live:
            if not upload.is_over:
                goal.check(self._service, way)
            self._end_piece(live)
            live.offset = self._offset(upload)
            complete = live.offset == upload.length and self.bytes.size(upload.key) is not None
            if asked.offset not in {None, live.offset} or upload.is_over or complete:
                raise Conflict(
                    f"The upload stands at {live.offset}.",
                    code="offset_mismatch",
                    facts={"offset": live.offset, "length": upload.length},
                    remedy="Go on from there.",
                )
            self._recall(upload, asker, live)
            live.writer = self._writer(upload, live.offset)
            mark = live.offset if asked.is_whole_or_nothing(upload) else None
            if mark != upload.mark:  # after the cut: what is beyond the old mark is gone by now
                upload = replace(upload, mark=mark)
                self._records.save_upload(upload)
            return Piece(uploads=self, upload=upload, goal=goal, live=live, asked=asked)

    def revert(self, who: Who, upload_id: str) -> Progress:
        """Take the last segment back.

        Raises:
            Conflict: there is none that could be (code `offset_mismatch`).
        """
        _, upload = self._mine(who, upload_id)
        with self._held(upload_id) as live:
            if upload.mark_before is None or upload.is_over:
                raise Conflict(
                    "There is no segment to take back.",
                    code="offset_mismatch",
                    facts={"offset": self._offset(upload)},
                    remedy="Abort, and begin anew.",
                )
            live.turn += 1
            live.writer = live.digests = None
            live.offset = upload.mark_before
            self.bytes.resume(upload.key, live.offset).pause()
            upload = replace(upload, mark=live.offset, mark_before=None)
            self._records.save_upload(upload)
            return Progress(upload=upload, offset=live.offset)

    def md5_so_far(self, who: Who, upload_id: str) -> str:
        """Return the MD5 of what is kept (hexadecimal); empty when nothing is."""
        asker, upload = self._mine(who, upload_id)
        with self._held(upload_id) as live:
            if live.writer is None:
                live.offset = self._offset(upload)
            if upload.is_over or not live.offset:
                return upload.outcome
            return self._digests(upload, asker, live).md5

    def commit(self, who: Who, upload_id: str) -> ResumableUpload:
        """Put a file that came in segments into the tree. Harmless when it is there already.

        Raises:
            Invalid: some of it is missing (code `truncated`).
            ArmillaryError: as `Piece.end`.
        """
        asker, upload = self._mine(who, upload_id)
        with self._held(upload_id) as live:
            if upload.is_over:
                return upload
            live.offset = self._offset(upload)
            return self.finish(upload, _goal(upload, asker), live)

    def abandon(self, who: Who, upload_id: str) -> None:
        """Forget an upload and give its room back; of one that is over, the file stays.

        Raises:
            NotFound: as `progress`.
        """
        self._forget(self._mine(who, upload_id)[1])

    def sweep(self) -> int:
        """Forget the uploads whose time has come; return how many."""
        count = 0
        while expired := self._records.expired_uploads(self._service.clock.now(), 100):
            for upload in expired:
                self._forget(upload)
            count += len(expired)
        return count

    # -- for the pieces ------------------------------------------------------------------------------------

    def touched(self, upload: ResumableUpload, live: Live, start: int | None) -> ResumableUpload:
        """Keep an upload for longer: somebody goes on with it. `start` of a piece that was whole."""
        expires_at = min(self._service.clock.now() + IDLE, upload.created_at + LONGEST)
        upload = replace(upload, expires_at=expires_at)
        if start is not None:
            upload = replace(upload, mark=live.offset, mark_before=start)
        self._records.save_upload(upload)
        return upload

    def finish(self, upload: ResumableUpload, goal: Goal, live: Live) -> ResumableUpload:
        """Verify a file and put it into the tree. Every step may have been done before a crash.

        Raises:
            ArmillaryError: as `Piece.end`. What can never succeed any more is forgotten.
        """
        if live.offset != upload.length:
            raise wrong_length(upload.length, live.offset)
        try:
            digests = self._digests(upload, goal.asker, live)
            md5 = digests.md5 if upload.length else EMPTY_MD5
            verify(
                md5=md5,
                expected_md5=upload.md5,
                sha256=digests.sha256,
                expected_sha256=upload.sha256,
            )
            if upload.length and self.bytes.size(upload.key) is None:
                self.bytes.resume(upload.key, upload.length).publish()
            if not self._is_placed(upload):
                blob = upload.key if upload.length else None
                goal.put(
                    self._service, Arrived(length=upload.length, md5=md5, blob=blob, sha256=digests.sha256)
                )
        except PreconditionFailed:
            self._forget(upload)
            raise
        upload = replace(upload, outcome=md5)
        self._records.save_upload(upload)
        live.digests = None
        return upload

    # -- inside --------------------------------------------------------------------------------------------

    def _is_placed(self, upload: ResumableUpload) -> bool:
        return bool(upload.length and self._service.records.blobs_in_use([upload.key]))

    def _asker(self, who: Who, path: VOSPath) -> Asker:
        asker = self._service.access.asker(who)
        if asker is None:
            raise denied(None, Action.WRITE, path)
        return asker

    def _mine(self, who: Who, upload_id: str) -> tuple[Asker, ResumableUpload]:
        asker = self._asker(who, VOSPath())
        upload = self._records.upload(upload_id)
        if upload is None or upload.person_id != asker.person_id:
            raise NotFound(
                "There is no such upload.",
                code="upload_not_found",
                facts={"upload": upload_id[:40]},
                remedy="Begin anew.",
            )
        return asker, upload

    def _make_room(self, upload: ResumableUpload, goal: Goal) -> None:
        """See to it that an upload may begin: in this place, and beside the other unfinished ones of its home."""
        service = self._service
        with service.records.reading() as tree:
            way = tree.walk(upload.path)
        existing = goal.check(service, way)
        others = self._records.unfinished_uploads(upload.person_id)
        if len(others) >= MOST:
            raise Conflict(
                f"{upload.user_name} has {len(others)} unfinished uploads.",
                code="too_many_uploads",
                facts={"most": MOST},
                remedy="Finish or terminate some.",
            )
        home = upload.path.names[:HOME_DEPTH]
        beside = [other for other in others if other.path.names[:HOME_DEPTH] == home]
        needed = upload.length - (existing.length if existing else 0)
        try:
            service.quota.check(way, needed + sum(other.length for other in beside))
        except QuotaExceeded:
            # Who begins the same file again has most likely lost the first attempt.
            for other in beside:
                if other.path == upload.path:
                    self._forget(other)
            beside = [other for other in beside if other.path != upload.path]
            with naming_the_largest(service, goal.asker):
                service.quota.check(way, needed + sum(other.length for other in beside))

    def _forget(self, upload: ResumableUpload) -> None:
        with self._held(upload.id) as live:
            live.turn += 1
            writer, live.writer, live.digests = live.writer, None, None
            if not upload.is_over:
                if writer is not None:
                    writer.discard()
                self.bytes.forget(upload.key)
                if not self._is_placed(upload):
                    self.bytes.delete(upload.key)
            self._records.forget_upload(upload.id)

    @contextmanager
    def _held(self, upload_id: str) -> Generator[Live]:
        """Have an upload to oneself."""
        with self._lock:
            live = self._live.setdefault(upload_id, Live())
            self._live.move_to_end(upload_id)
            live.users += 1
        try:
            if not live.lock.acquire(timeout=_PATIENCE):
                raise Conflict("This upload is busy.", code="upload_busy", remedy="Try again in a minute.")
            try:
                yield live
            finally:
                live.lock.release()
        finally:
            with self._lock:
                live.users -= 1
                for name in list(self._live)[:-_REMEMBERED]:
                    if not self._live[name].users and self._live[name].writer is None:
                        del self._live[name]

    def _end_piece(self, live: Live) -> None:
        writer, live.writer = live.writer, None
        if writer is not None:
            writer.pause()
        live.turn += 1

    def _offset(self, upload: ResumableUpload) -> int:
        """Return how much is kept, asking the byte store."""
        if upload.is_over:
            return upload.length
        kept = self.bytes.kept(upload.key)
        if kept is None:
            kept = self.bytes.size(upload.key) or 0
        return kept if upload.mark is None else min(kept, upload.mark)

    def _writer(self, upload: ResumableUpload, offset: int) -> ByteWriter:
        if self.bytes.kept(upload.key) is None:
            return self.bytes.begin(upload.key)
        return self.bytes.resume(upload.key, offset)

    def _recall(self, upload: ResumableUpload, asker: Asker, live: Live) -> None:
        """See to it that the sums of what is kept go on, if they are known."""
        if live.offset == 0:
            live.digests, live.added = self._no_digests(upload, asker), 0
        elif live.added != live.offset:
            live.digests = None

    def _digests(self, upload: ResumableUpload, asker: Asker, live: Live) -> Digests:
        """Return the sums of the first `live.offset` bytes; they are read again if they must be."""
        known = live.digests is not None and live.added == live.offset
        if not known or (asker.job and live.digests and not live.digests.sha256):
            digests = self._no_digests(upload, asker)
            if live.offset:
                published = self.bytes.size(upload.key) is not None
                read = self.bytes.read(upload.key, 0, live.offset) if published else None
                for chunk in read or self.bytes.read_kept(upload.key, live.offset):
                    digests.update(chunk)
            digests.settle()
            live.digests, live.added = digests, live.offset
        assert live.digests is not None, "they were just made"
        return live.digests

    def _no_digests(self, upload: ResumableUpload, asker: Asker) -> Digests:
        """Return sums of nothing yet: with SHA-256 where it was announced, or a job's record will name it."""
        return Digests(self._service.adding_up, sha256=bool(upload.sha256 or asker.job))


def _goal(upload: ResumableUpload, asker: Asker) -> Goal:
    return Goal(asker=asker, path=upload.path, content_type=upload.content_type, conditions=upload.conditions)
