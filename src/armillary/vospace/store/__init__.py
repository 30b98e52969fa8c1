"""Records in SQL: SQLite or PostgreSQL."""

from armillary.vospace.store.inspection import SqlInspection
from armillary.vospace.store.jobs import SqlJobRecords
from armillary.vospace.store.links import SqlLinkRecords
from armillary.vospace.store.nodes import SqlRecords
from armillary.vospace.store.tables import create_all

__all__ = ["SqlInspection", "SqlJobRecords", "SqlLinkRecords", "SqlRecords", "create_all"]
