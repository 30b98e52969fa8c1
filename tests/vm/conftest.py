from collections.abc import Iterator
from typing import Any

import pytest

from golden import Golden


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Golden]:
    platform = Golden(tmp_path_factory.mktemp("golden") / "home")
    try:
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="session")
def report(golden: Golden) -> dict[str, Any]:
    """What the demo said that it made; the platform is left running."""
    return golden.demo()
