"""What the file pages use beside the tree itself."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.vospace.service import Bins, Links
from armillary.vospace.service.views import Views


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Pictures and tables of files, the bins, and the links for people without an account."""

    views: Views
    bins: Bins
    links: Links

    def sweep(self) -> None:
        """Let go of what has had its time."""
        self.bins.sweep()
        self.links.sweep()
