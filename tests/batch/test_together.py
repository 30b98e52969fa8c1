"""Writers who come at once share a transaction, and nothing else: on SQLite, and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, ForeignKey, Integer, MetaData, Table, event, insert, select
from sqlalchemy.exc import IntegrityError

from armillary.app.database import make_engine
from armillary.base.errors import Conflict
from armillary.batch.engines.embedded.together import Together
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

TABLES = MetaData()
NUMBERS = Table("numbers", TABLES, Column("number", Integer, primary_key=True))
LATER = Table(
    "later",
    TABLES,
    Column("of", ForeignKey("numbers.number", deferrable=True, initially="DEFERRED"), primary_key=True),
)


@dataclass
class Desk:
    """Many writers, and the transactions that were committed for them."""

    database: Engine
    together: Together
    pool: ThreadPoolExecutor
    commits: list[None] = field(default_factory=list[None])

    def behind(self, works: list[Callable[[Connection], Any]]) -> list[Future[Any]]:
        """Write a 0, and have the others come while that is not yet committed."""
        others: list[Future[Any]] = []

        def first(db: Connection) -> None:
            db.execute(insert(NUMBERS).values(number=0))
            others.extend(self.pool.submit(self.together.write, work) for work in works)
            while self.together.waiting < len(works):
                os.sched_yield()

        self.together.write(first)
        return others

    def numbers(self) -> list[int]:
        with self.database.execution_options(readonly=True).connect() as db:
            return list(db.execute(select(NUMBERS.c.number).order_by(NUMBERS.c.number)).scalars())


@pytest.fixture
def desk(records_url: str) -> Iterator[Desk]:
    database = make_engine(records_url, durable=False)
    TABLES.create_all(database)
    with ThreadPoolExecutor(20) as pool:
        made = Desk(database, Together(database=database, at_most=8), pool)
        event.listen(database, "commit", lambda _connection: made.commits.append(None))
        yield made
    database.dispose()


def adding(number: int) -> Callable[[Connection], int]:
    def add(db: Connection) -> int:
        db.execute(insert(NUMBERS).values(number=number))
        return number

    return add


def refusing(db: Connection) -> None:
    db.execute(insert(NUMBERS).values(number=99))
    raise Conflict("not this one")


def test_those_who_come_while_a_commit_is_under_way_share_the_next(desk: Desk) -> None:
    others = desk.behind([adding(number) for number in range(1, 7)])
    assert [one.result() for one in others] == [1, 2, 3, 4, 5, 6]
    assert desk.numbers() == [0, 1, 2, 3, 4, 5, 6]
    assert len(desk.commits) == 2


def test_a_transaction_has_a_bound(desk: Desk) -> None:
    others = desk.behind([adding(number) for number in range(1, 18)])
    assert sorted(one.result() for one in others) == list(range(1, 18))
    assert len(desk.commits) == 4


def test_what_one_of_them_did_wrong_is_undone_and_the_others_is_not(desk: Desk) -> None:
    one, refused, twice, other = desk.behind([adding(1), refusing, adding(0), adding(2)])
    assert (one.result(), other.result()) == (1, 2)
    with pytest.raises(Conflict, match="not this one"):
        refused.result()
    with pytest.raises(IntegrityError):
        twice.result()
    assert desk.numbers() == [0, 1, 2]


def test_nobody_is_told_of_success_when_the_commit_fails(desk: Desk) -> None:
    def dangling(db: Connection) -> None:
        db.execute(insert(LATER).values(of=1000))

    others = desk.behind([adding(1), dangling, refusing])
    for one in others:
        with pytest.raises(IntegrityError):
            one.result()
    assert desk.numbers() == [0]
    assert desk.together.write(adding(5)) == 5


def test_one_alone_raises_what_it_did_wrong(desk: Desk) -> None:
    with pytest.raises(Conflict):
        desk.together.write(refusing)
    assert desk.numbers() == []
    assert desk.together.write(adding(3)) == 3
