from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_bench import ADAPTERS, Bench
from sqlalchemy import Engine

from armillary.app.database import make_engine


@pytest.fixture(params=ADAPTERS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = request.param(tmp_path)
    yield made
    for server_id in list(made.machines.states()):
        made.machines.destroy(server_id)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engines)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of either kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/records.db"
    else:
        url = request.getfixturevalue("a_database")()
    engine = make_engine(url, durable=False)
    yield engine
    engine.dispose()
