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


@pytest.fixture
def database(records_url: str) -> Iterator[Engine]:
    """An empty database."""
    engine = make_engine(records_url, durable=False)
    yield engine
    engine.dispose()
