"""What the portal needs besides the subjects' services to run the place: notices, the audit trail, use, draining."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.accounts.trail import Trail
from armillary.batch.draining import Draining
from armillary.batch.ledger import Ledger
from armillary.batch.reports import Reports
from armillary.notices.announcements import Announcements
from armillary.notices.service import Notices
from armillary.portal.use_records import UseRecords


@dataclass(frozen=True, kw_only=True)
class Office:
    """Made once, with the portal."""

    notices: Notices
    announcements: Announcements
    trail: Trail
    draining: Draining
    reports: Reports
    ledger: Ledger
    use: UseRecords
