"""What holds for every test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def descriptors_are_given_back() -> Iterator[None]:
    """Collect what the tests of a file left in cycles: applications, with their databases and sockets.

    The collector runs rarely by itself, and some thousand tests in one process came to 1500 open files.
    """
    yield
    gc.collect()
