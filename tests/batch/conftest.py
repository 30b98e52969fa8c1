from __future__ import annotations

from pathlib import Path

import pytest
from batch_world import World


@pytest.fixture
def world(tmp_path: Path, records_url: str) -> World:
    return World(folder=tmp_path, records_url=records_url)
