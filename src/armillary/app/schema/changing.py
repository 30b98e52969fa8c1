"""What revisions do, in a way that suits a database of any age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op
from sqlalchemy import Column, inspect


def add_columns(table: str, columns: Sequence[Column[Any]]) -> None:
    """Add the columns that a table lacks. One that is not there at all is made whole by its store, later."""
    found = inspect(op.get_bind())
    if not found.has_table(table):
        return
    have = {column["name"] for column in found.get_columns(table)}
    for column in columns:
        if column.name not in have:
            op.add_column(table, column)


def allow_null(table: str, *columns: str) -> None:
    """Let columns be empty."""
    if not inspect(op.get_bind()).has_table(table):
        return
    with op.batch_alter_table(table) as changed:
        for column in columns:
            changed.alter_column(column, nullable=True)


def add_index(name: str, table: str, columns: Sequence[str]) -> None:
    """Make an index that is missing."""
    found = inspect(op.get_bind())
    if found.has_table(table) and name not in {index["name"] for index in found.get_indexes(table)}:
        op.create_index(name, table, list(columns))
