"""A hundred thousand specs that are nearly the same, in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class SharedSpec(Mapping[str, Any]):
    """One job's spec over what all jobs of its submit say alike: a hundred thousand of them take little memory."""

    __slots__ = ("common", "own")

    def __init__(self, common: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self.common = common
        self.own = own

    def __getitem__(self, name: str) -> Any:
        return self.own[name] if name in self.own else self.common[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.common
        for name in self.own:
            if name not in self.common:
                yield name

    def __len__(self) -> int:
        return len(self.common.keys() | self.own.keys())
