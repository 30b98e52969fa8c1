"""Where share links are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from armillary.base.ids import PersonId
from armillary.vospace.link_model import ShareLink
from armillary.vospace.paths import VOSPath


class LinkRecords(Protocol):
    """Records of share links, each call in a transaction of its own."""

    def add_link(self, link: ShareLink) -> None:
        """Keep a new link."""
        ...

    def link(self, link_id: str) -> ShareLink | None:
        """Return a link; None when there is none."""
        ...

    def links_of(self, owner_id: PersonId, path: VOSPath | None = None) -> Sequence[ShareLink]:
        """Return the links that a person made, the newest first; with `path` those to that node."""
        ...

    def revoke_link(self, link_id: str, at: datetime) -> None:
        """Say that a link is good no more. The first moment stays."""
        ...

    def use_link(self, link_id: str, at: datetime) -> bool:
        """Count one use, if there is one left; of two who take the last one, one gets it."""
        ...

    def forget_links(self, before: datetime, limit: int) -> int:
        """Forget links that ended before a moment; return how many."""
        ...
