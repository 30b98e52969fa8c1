"""Where accounts are kept: SQLAlchemy core over SQLite or PostgreSQL. Only `accounts.service` talks to it."""

from armillary.accounts.store.certificates import Bearer
from armillary.accounts.store.records import AccountsStore, Records
from armillary.accounts.store.tokens import KnownToken

__all__ = ["AccountsStore", "Bearer", "KnownToken", "Records"]
