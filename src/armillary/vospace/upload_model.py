"""Resumable uploads: what is known of a file that is still on its way. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from armillary.base.ids import PersonId
from armillary.vospace.core.conditions import Conditions
from armillary.vospace.paths import VOSPath


@dataclass(frozen=True, kw_only=True)
class ResumableUpload:
    """A file that comes in pieces.

    `key` is the one that its bytes have in the byte store. Checksums are hexadecimal, empty when none was
    announced. `notes` are the client's own, given back as they came. With a `mark`, bytes beyond it do not count:
    they belong to a piece that is taken whole or not at all; `mark_before` is where the last such piece began.
    `outcome` is the MD5 of the file once it is in the tree.
    """

    id: str
    key: str
    person_id: PersonId
    user_name: str
    path: VOSPath
    length: int
    created_at: datetime
    expires_at: datetime
    md5: str = ""
    sha256: str = ""
    content_type: str = ""
    conditions: Conditions = field(default_factory=Conditions)
    in_segments: bool = False
    notes: str = ""
    mark: int | None = None
    mark_before: int | None = None
    outcome: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the file is in the tree."""
        return bool(self.outcome)
