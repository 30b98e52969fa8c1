"""What is known by heart of late, for threads: the oldest is forgotten where it becomes too much."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Up to `most` values by their keys, those that were kept last."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._kept: dict[K, V] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """Return what is kept under a key, if it is still."""
        return self._kept.get(key)

    def keep(self, key: K, value: V) -> None:
        """Keep a value, in the place of an earlier one."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = value
            self._forget_oldest()

    def first(self, key: K, value: V) -> V:
        """Return what is kept under a key; if nothing is, keep this."""
        with self._lock:
            kept = self._kept.setdefault(key, value)
            self._forget_oldest()
            return kept

    def forget(self, key: K) -> None:
        """Keep nothing under a key any more."""
        with self._lock:
            self._kept.pop(key, None)

    def _forget_oldest(self) -> None:
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
