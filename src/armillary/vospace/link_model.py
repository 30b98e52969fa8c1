"""What a share link is. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from armillary.base.ids import PersonId
from armillary.vospace.paths import VOSPath


@dataclass(frozen=True, kw_only=True)
class ShareLink:
    """An address for people without an account: it lets read one file, or one folder and what is below it.

    It is good for the very node `node_id` as long as that is at `path`: what is put in its place later is not meant.
    `most` is how many files may be fetched with it, `used` how many were. With `lists` a folder shows what is in it;
    else it can only be fetched as a whole.
    """

    id: str
    path: VOSPath
    node_id: int
    is_folder: bool
    owner_id: PersonId
    owner_name: str
    lists: bool
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    most: int | None = None
    used: int = 0
    used_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        left = self.most is None or self.used < self.most
        return self.revoked_at is None and now < self.expires_at and left
