"""The compliance matrix of VOSpace 2.1 (its appendix B): one row for each item, with the tests that show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Clause:
    """One row. `item` is the number in the matrix, 0 for what the text demands beside it."""

    item: int
    section: str
    demand: str
    test: str
    refused: str = ""
    """Why an optional feature is not offered; the test shows the refusal."""


CLAUSES: list[Clause] = []


def clause(item: int, section: str, demand: str, *, refused: str = "") -> Callable[[F], F]:
    """Say which clause a test shows."""

    def note(test: F) -> F:
        where = f"{test.__module__}.py::{test.__name__}"
        CLAUSES.append(Clause(item=item, section=section, demand=demand, test=where, refused=refused))
        return test

    return note
