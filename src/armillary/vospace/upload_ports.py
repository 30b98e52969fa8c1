"""Where resumable uploads are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from armillary.base.ids import PersonId
from armillary.vospace.upload_model import ResumableUpload


class UploadRecords(Protocol):
    """Resumable uploads. Each call is a transaction of its own, on disk when it returns."""

    def save_upload(self, upload: ResumableUpload) -> None:
        """Add an upload, or replace the one with its id."""
        ...

    def upload(self, upload_id: str) -> ResumableUpload | None:
        """Return an upload."""
        ...

    def unfinished_uploads(self, person_id: PersonId) -> Sequence[ResumableUpload]:
        """Return all uploads of a person that are not over."""
        ...

    def expired_uploads(self, before: datetime, limit: int) -> Sequence[ResumableUpload]:
        """Return uploads, over or not, whose time ended before a moment."""
        ...

    def upload_keys(self) -> frozenset[str]:
        """Return the keys in the byte store of all uploads that are not over."""
        ...

    def forget_upload(self, upload_id: str) -> None:
        """Remove an upload. No error when there is none."""
        ...
