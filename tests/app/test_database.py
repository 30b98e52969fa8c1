"""Engines: what both databases do alike."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import Engine, QueuePool, text

from armillary.app.database import make_engine, open_records
from armillary.app.schema import HEADS, bring_up_to_date
from armillary.batch.api.hands import AT_MOST
from outside_engines import ON_BOTH

pytestmark = ON_BOTH


@pytest.fixture
def engine(records_url: str) -> Iterator[Engine]:
    made = make_engine(records_url, durable=False)
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE counts (name VARCHAR(8) PRIMARY KEY, value INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO counts VALUES ('one', 0)"))
    yield made
    made.dispose()


def test_what_a_writer_has_read_is_still_so_when_it_writes(engine: Engine) -> None:
    together = threading.Barrier(4)

    def count(_: int) -> None:
        together.wait(30)
        for _turn in range(10):
            with engine.begin() as connection:
                value = connection.execute(text("SELECT value FROM counts")).scalar_one()
                connection.execute(text("UPDATE counts SET value = :value"), {"value": value + 1})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    with engine.execution_options(readonly=True).connect() as connection:
        assert connection.execute(text("SELECT value FROM counts")).scalar_one() == 40


def test_one_room_reads_while_another_writes(engine: Engine) -> None:
    with (
        engine.execution_options(room="vospace").begin() as writer,
        engine.execution_options(room="accounts", readonly=True).connect() as reader,
    ):
        writer.execute(text("UPDATE counts SET value = 7"))
        assert reader.execute(text("SELECT value FROM counts")).scalar_one() == 0


def test_a_new_database_is_marked_and_an_old_one_is_upgraded(records_url: str) -> None:
    from armillary.accounts.store import AccountsStore
    from armillary.batch.store.tables import create_all as create_batch
    from armillary.vospace.store import create_all as create_vospace

    engine = open_records(records_url)
    bring_up_to_date(engine, "platform")
    AccountsStore(engine=engine).create_all()
    create_batch(engine)
    create_vospace(engine)
    # as a version knew it that had no marks, and fewer columns
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("ALTER TABLE accounts_people DROP COLUMN extras"))
    bring_up_to_date(engine, "platform")
    with engine.connect() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            == HEADS["platform"]
        )
        assert connection.execute(text("SELECT extras FROM accounts_people")).all() == []
    engine.dispose()


def test_writers_stand_in_line_and_leave_it_whatever_happens(engine: Engine) -> None:
    def count(number: int) -> None:
        with contextlib.suppress(ZeroDivisionError), engine.connect() as connection:
            for _ in range(2):  # one connection, two transactions
                with connection.begin():
                    connection.execute(text("UPDATE counts SET value = value + 1"))
            if number % 2:
                raise ZeroDivisionError

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    with engine.execution_options(readonly=True).connect() as connection:
        assert connection.execute(text("SELECT value FROM counts")).scalar_one() == 80


def test_who_is_at_the_head_of_the_line_can_look_something_up_however_many_wait(engine: Engine) -> None:
    async def framework() -> int:
        return int(current_default_thread_limiter().total_tokens)

    loops = 20  # the scaler, the clerk and the others that write beside the calls
    many = anyio.run(framework) + AT_MOST + loops

    def write(_: int) -> None:
        with engine.begin():
            pass

    def count() -> None:
        with engine.execution_options(readonly=True).connect() as connection:
            assert connection.execute(text("SELECT value FROM counts")).scalar_one() == 0

    pool = engine.pool
    assert isinstance(pool, QueuePool)
    with ThreadPoolExecutor(many) as line, ThreadPoolExecutor(1) as head:
        with engine.begin():
            waiting = [line.submit(write, number) for number in range(many)]
            pause = threading.Event()
            for _ in range(600):
                if pool.checkedout() == 1 + many:
                    break
                pause.wait(0.05)
            head.submit(count).result(20)
        for one in waiting:
            one.result(60)
