"""What only PostgreSQL has: locks of rooms, strict types, connections that get lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from armillary.app.database import make_engine, shown_url
from armillary.app.records_hold import hold_records
from armillary.base.errors import Conflict, Invalid, Unavailable

pytestmark = [
    pytest.mark.engines,
    pytest.mark.parametrize("records_url", ["postgresql"], indirect=True),
]


@pytest.fixture
def engine(records_url: str) -> Iterator[Engine]:
    made = make_engine(records_url, durable=False)
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE counts (name VARCHAR(8) PRIMARY KEY, value INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO counts VALUES ('one', 0)"))
    yield made
    made.dispose()


def test_rooms_write_beside_each_other(engine: Engine) -> None:
    with (
        engine.execution_options(room="vospace").begin() as one,
        engine.execution_options(room="accounts").begin() as other,
    ):
        one.execute(text("INSERT INTO counts VALUES ('two', 1)"))
        other.execute(text("INSERT INTO counts VALUES ('three', 1)"))


def test_who_only_reads_cannot_write(engine: Engine) -> None:
    with engine.execution_options(readonly=True).connect() as reader, pytest.raises(DBAPIError):
        reader.execute(text("UPDATE counts SET value = 7"))
    with engine.begin() as writer:  # the same connection
        writer.execute(text("UPDATE counts SET value = 7"))


def test_what_it_cannot_hold_is_a_bad_request(engine: Engine) -> None:
    for name in ("a\0b", "much too long"):
        with engine.begin() as connection, pytest.raises(Invalid):
            connection.execute(text("INSERT INTO counts VALUES (:name, 0)"), {"name": name})


def test_a_lost_connection_is_said_and_the_next_request_is_served(engine: Engine, records_url: str) -> None:
    query = text("SELECT value FROM counts")
    with engine.execution_options(readonly=True).connect() as connection:
        connection.execute(query)
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(records_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [mine])
        with pytest.raises(Unavailable) as refused:
            connection.execute(query)
    assert refused.value.code == "records_unreachable"
    with engine.execution_options(readonly=True).connect() as connection:
        assert connection.execute(query).scalar_one() == 0


def test_its_password_is_not_shown(records_url: str) -> None:
    assert "secret" not in shown_url("postgresql://us:secret@localhost/records")
    assert shown_url(records_url).startswith("postgresql+psycopg://armillary@")


def test_a_server_that_is_down_is_said_to_whoever_asks(postgresql: Path, records_url: str) -> None:
    engine = make_engine(f"postgresql://armillary@/records?host={postgresql}/nowhere")
    with pytest.raises(Unavailable) as refused, engine.begin():
        pass
    assert refused.value.code == "records_unreachable"
    engine.dispose()


def test_two_platforms_do_not_share_a_database(engine: Engine, records_url: str) -> None:
    let_go = hold_records(engine)
    other = make_engine(records_url)
    with pytest.raises(Conflict) as refused:
        hold_records(other, wait=0)
    assert refused.value.code == "records_in_use"
    with other.begin() as connection:  # what commands of the same computer do goes on
        connection.execute(text("UPDATE counts SET value = 7"))
    let_go()
    hold_records(other)()
    other.dispose()
