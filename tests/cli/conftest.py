from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import PASSWORD, WholePlatform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePlatform]:
    made = WholePlatform(folder=tmp_path_factory.mktemp("platform"))
    yield made
    made.close()


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Nobody is signed in, and no platform is known."""
    for name in ("ARMILLARY_URL", "ARMILLARY_TOKEN", "ARMILLARY_CA", "ARMILLARY_PROJECT", "ARMILLARY_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return Terminal(home=tmp_path / "home", stand=monkeypatch.chdir)


@pytest.fixture
def vera(terminal: Terminal, platform: WholePlatform) -> Terminal:
    """Vera's terminal, signed in."""
    terminal("login", "vera", "--url", platform.url, "--password-stdin", stdin=PASSWORD + "\n")
    return terminal
