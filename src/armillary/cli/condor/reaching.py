"""What every one of the commands has at hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from armillary.client.batch import Batch
from armillary.client.http import Armillary
from armillary.client.targets import is_target


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The platform, as the person who is signed in."""

    http: Armillary

    @property
    def batch(self) -> Batch:
        """Its batch service."""
        return Batch(http=self.http)

    @staticmethod
    def told_apart(words: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return which words name jobs, and which people."""
        ids: list[str] = []
        people: list[str] = []
        for word in words:
            (ids if is_target(word) else people).append(word)
        return ids, people
