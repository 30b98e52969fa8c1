from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_bench import ADAPTERS, Bench


@pytest.fixture(params=ADAPTERS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = request.param(tmp_path)
    yield made
    for server_id in list(made.machines.states()):
        made.machines.destroy(server_id)
