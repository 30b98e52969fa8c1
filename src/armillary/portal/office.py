"""What the portal needs besides the subjects' services to run the place: notices, announcements, the audit trail, use."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.notices.announcements import Announcements
from armillary.notices.service import Notices


@dataclass(frozen=True, kw_only=True)
class Office:
    """Made once, with the portal."""

    notices: Notices
    announcements: Announcements
