"""Rows found by a word, one page of them at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select


def found(
    db: Connection,
    shown: Sequence[ColumnElement[Any]],
    *,
    words: str,
    within: Sequence[ColumnElement[Any]],
    skip: int,
    limit: int,
) -> tuple[Sequence[RowMapping], int]:
    """Return some of the rows in one of whose columns `within` the words are, by the first of these; and how many
    there are in all.

    Case does not matter: SQLite folds that of ASCII only, so other words are looked for as people write them.
    """
    spellings = {words} if words.isascii() else {words, words.lower(), words.title(), words.upper()}
    fits = or_(*(one.icontains(word, autoescape=True) for one in within for word in sorted(spellings)))
    rows = db.execute(select(*shown).where(fits).order_by(within[0]).offset(skip).limit(limit)).mappings()
    return rows.all(), db.execute(select(func.count()).select_from(within[0].table).where(fits)).scalar_one()
