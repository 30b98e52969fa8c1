"""What holds for every test."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, Engine, QueuePool, event
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ("outside_engines", "htcondor_pool")

ONE_PLATFORM = "tests/vm/"
"""Tests below it go on with one platform, its machines and its images: see `golden` there."""

WITHOUT_IMAGE = "tests/cloud/engines/qemu/test_qemu_"
"""Tests that boot something, but not the base image, which on a fresh machine takes minutes to be built."""

# How long an example takes says how busy the machine is. The examples are the same in every run, so that whoever is
# refused is refused for what they changed; `--hypothesis-profile=search` looks for new ones.
settings.register_profile(
    "search", deadline=None, derandomize=False, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("any machine", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("any machine")

ONE_MARK = re.compile(r"(?!not )(\w+)( and |$)")
"""What `-m` asks for, when everything that is wanted has one mark."""

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@event.listens_for(Engine, "engine_connect")
def _note(connection: Connection) -> None:
    _engines.add(connection.engine)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave folders unread in which nothing has the mark that is asked for: to read all tests takes half a minute."""
    asked = ONE_MARK.match(config.option.markexpr)
    if not asked or not collection_path.is_dir():
        return None
    shared = Path(__file__).parent.glob("*.py")  # what lies beside us may give marks to any folder
    return None if _have(asked[1], (*shared, *collection_path.rglob("*.py"))) else True


def _have(mark: str, files: Iterable[Path]) -> bool:
    return any(f"mark.{mark}" in file.read_text() for file in files)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give more time to what runs on real servers: whoever comes first on a fresh machine makes them."""
    for item in items:
        slow = item.get_closest_marker("engines") or item.get_closest_marker("vm")
        if slow and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))
    # The longest first, so that nothing is left to do beside idle cores; beside its first step, which builds the
    # image, what does not wait for that.
    items.sort(key=lambda item: [not item.nodeid.startswith(one) for one in (ONE_PLATFORM, WITHOUT_IMAGE)])


class Sharing(LoadFileScheduling):
    """Files are spread over processes, but those that share a platform with real machines stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return ONE_PLATFORM if nodeid.startswith(ONE_PLATFORM) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Spread tests in our way where files are asked to be kept whole."""
    return Sharing(config, log) if config.getoption("dist") == "loadfile" else None


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
