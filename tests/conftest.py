"""What holds for every test."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, QueuePool, event

pytest_plugins = ("outside_engines", "htcondor_pool")

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@event.listens_for(Engine, "engine_connect")
def _note(connection: Connection) -> None:
    _engines.add(connection.engine)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give more time to what runs on real servers: whoever comes first on a fresh machine makes them."""
    for item in items:
        if item.get_closest_marker("engines") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="module", autouse=True)
def connections_are_given_back() -> Iterator[None]:
    """Close the idle connections of all databases when the tests of a file are done.

    FastAPI remembers the routes of the last applications, and those their databases: some thousand tests in one
    process came to 1500 open files. An engine that lives on opens new connections when it needs them; only
    databases in memory live in their connection, and are left alone.
    """
    yield
    for engine in list(_engines):
        if isinstance(engine.pool, QueuePool):
            engine.dispose()
