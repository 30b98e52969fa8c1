"""A few things at once, for commands that would wait for the network most of their time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import TypeVar

AT_ONCE = 4

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Iterable[T], *, most: int = AT_ONCE) -> list[R]:
    """Return what `work` makes of each item, in their order; up to `most` are done at once, begun in their order.

    When one fails no other is begun; those that were are waited for, and the error of the first of them in order is
    raised. Whoever is interrupted meanwhile waits for nobody: the threads are daemons.
    """
    todo = list(items)
    if len(todo) < 2:
        return [work(item) for item in todo]
    numbers, lock, failed = iter(range(len(todo))), threading.Lock(), threading.Event()
    over = SimpleQueue[None]()
    made: dict[int, R] = {}
    errors: dict[int, BaseException] = {}

    def labour() -> None:
        while not failed.is_set():
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            try:
                made[number] = work(todo[number])
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                errors[number] = error
                failed.set()
        over.put(None)

    threads = [threading.Thread(target=labour, daemon=True) for _ in range(min(most, len(todo)))]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            over.get()
    finally:
        failed.set()
    if errors:
        raise errors[min(errors)]
    return [made[number] for number in range(len(todo))]
