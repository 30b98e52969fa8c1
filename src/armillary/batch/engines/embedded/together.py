"""Group commit: what several agents write at once goes to the disk in one transaction.

A commit takes as long as the disk, and every other writer waits for it. Those who come meanwhile are written by the
next one, all together. Nobody is answered before that transaction is on the disk, and what one of them did wrong undoes
nothing of the others'.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy import Engine as Database

_AT_MOST = 64
"""writes of one transaction: the first of them waits for the last"""

T = TypeVar("T")
Write = Callable[[Connection], Any]


class Together:
    """Writers of one database, on any threads. Each is on its own thread, so that as many wait as there are threads.

    There is no thread that writes for all: whoever comes first writes for those who stand behind it, then the next one
    in line does.
    """

    def __init__(self, *, database: Database, at_most: int = _AT_MOST) -> None:
        self._database = database
        self._at_most = at_most
        self._lock = threading.Lock()
        self._line: deque[_Turn] = deque()
        self._busy = False

    @property
    def waiting(self) -> int:
        """How many stand in line for the transaction after the present one."""
        with self._lock:
            return len(self._line)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` did in a transaction that is on the disk; or raise what it raised, with nothing of it done.

        It may share the transaction with others' work, and must not commit, roll back or begin another one.
        """
        turn = _Turn(work)
        with self._lock:
            self._line.append(turn)
            first, self._busy = not self._busy, True
        if first or turn.is_to_lead():
            self._lead()
        return cast("T", turn.result())

    def _lead(self) -> None:
        with self._lock:
            turns = [self._line.popleft() for _ in range(min(len(self._line), self._at_most))]
        try:
            self._transact(turns)
        finally:
            with self._lock:
                following = self._line[0] if self._line else None
                self._busy = following is not None
            if following is not None:
                following.lead()
            for turn in turns:
                turn.wake()

    def _transact(self, turns: list[_Turn]) -> None:
        try:
            with self._database.begin() as db:
                for turn in turns:
                    turn.take(db, alone=len(turns) == 1)
        except BaseException as error:  # noqa: BLE001 - nothing is on the disk: each of them raises it in its own thread
            for turn in turns:
                turn.fail(error)


class _Turn:
    """One writer's work, and its place in the line."""

    def __init__(self, work: Write) -> None:
        self._work = work
        self._bell = threading.Event()
        self._leads = False
        self._value: Any = None
        self._error: BaseException | None = None

    def take(self, db: Connection, *, alone: bool) -> None:
        if alone:
            self._value = self._work(db)
            return
        db.exec_driver_sql("SAVEPOINT turn")
        try:
            self._value = self._work(db)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this writer's and not the others'
            self._error = error
            # SQLite ends the whole transaction when the disk is full, for instance. Then this fails, and so do all.
            db.exec_driver_sql("ROLLBACK TO SAVEPOINT turn")
        db.exec_driver_sql("RELEASE SAVEPOINT turn")

    def fail(self, error: BaseException) -> None:
        self._error = error

    def lead(self) -> None:
        self._leads = True
        self._bell.set()

    def wake(self) -> None:
        self._bell.set()

    def is_to_lead(self) -> bool:
        """Wait for what one is waiting for: one's work done by another, or one's turn to do that of others."""
        self._bell.wait()
        return self._leads

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value
