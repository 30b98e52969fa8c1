from collections.abc import Iterator
from pathlib import Path

import pytest
from qemu_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for server_id in list(made.machines.states()):
        made.machines.destroy(server_id)
    made.fabric.close()
