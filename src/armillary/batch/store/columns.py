"""Where the tables of batch are gathered."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData()
