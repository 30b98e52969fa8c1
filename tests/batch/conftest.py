from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_world import World

from armillary.batch.policy.evaluator import Evaluator


@pytest.fixture(scope="session")
def evaluator() -> Iterator[Evaluator]:
    """One judge of expressions for all tests: its process reads HTCondor's libraries only once."""
    evaluator = Evaluator(seconds=30)
    yield evaluator
    evaluator.close()


@pytest.fixture
def world(tmp_path: Path, records_url: str, evaluator: Evaluator) -> World:
    return World(folder=tmp_path, records_url=records_url, evaluator=evaluator)
