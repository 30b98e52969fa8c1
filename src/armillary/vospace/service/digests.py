"""Checksums of bytes on their way in."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, Future
from typing import Any

_WORTH_A_THREAD = 256 << 10
"""bytes; for fewer, handing over costs more than adding up"""


class Digests:
    """MD5, and SHA-256 when it is asked for.

    Large pieces are added up by `executor` while their caller writes them: MD5 is the slowest part of an upload.
    """

    def __init__(self, executor: Executor, *, sha256: bool = False) -> None:
        """Start with no bytes."""
        self._executor = executor
        self._sums: list[Any] = [hashlib.md5(usedforsecurity=False)]
        if sha256:
            self._sums.append(hashlib.sha256())
        self._under_way: list[Future[None]] = []

    def update(self, chunk: bytes) -> None:
        """Add the next bytes, perhaps in the background; they must not change until `settle`."""
        self.settle()
        if len(chunk) < _WORTH_A_THREAD:
            for one in self._sums:
                one.update(chunk)
        else:
            self._under_way = [self._executor.submit(one.update, chunk) for one in self._sums]

    def settle(self) -> None:
        """Wait for what is under way."""
        under_way, self._under_way = self._under_way, []
        for future in under_way:
            future.result()

    @property
    def md5(self) -> str:
        """Of all that was added."""
        self.settle()
        return self._sums[0].hexdigest()

    @property
    def sha256(self) -> str:
        """Of all that was added; empty unless it was asked for."""
        self.settle()
        return self._sums[1].hexdigest() if len(self._sums) > 1 else ""

    def copy(self) -> Digests:
        """Return the same sums, which go on by themselves."""
        self.settle()
        twin = Digests(self._executor)
        twin._sums = [one.copy() for one in self._sums]
        return twin
