"""Where accounts are kept: SQLAlchemy core over SQLite or PostgreSQL. Only `accounts.service` talks to it."""

from armillary.accounts.store.records import AccountsStore, Records

__all__ = ["AccountsStore", "Records"]
