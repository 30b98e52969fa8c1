"""What the pages of records work with: crates, reruns, imports, what is frozen, and work that takes a while."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.portal.chores import Chores
from armillary.provenance.disks import Disks
from armillary.provenance.exporting import Exports
from armillary.provenance.freezing import Freezes
from armillary.provenance.importing import Imports
from armillary.provenance.rerunning import Reruns
from armillary.provenance.unpacking import Unpacking


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Made once, with the portal."""

    exports: Exports
    disks: Disks
    freezes: Freezes
    reruns: Reruns
    imports: Imports
    unpacking: Unpacking
    chores: Chores
