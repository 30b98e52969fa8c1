"""An agent as a real process against a platform in the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_process import AgentProcess
from platform_double import PlatformDouble


@pytest.fixture
def platform() -> Iterator[PlatformDouble]:
    double = PlatformDouble()
    yield double
    double.close()


@pytest.fixture
def agent(tmp_path: Path, platform: PlatformDouble) -> Iterator[AgentProcess]:
    process = AgentProcess(directory=tmp_path, platform=platform)
    yield process
    process.kill()
