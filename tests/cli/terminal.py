"""A person at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from armillary.cli.main import cli


class Terminal:
    """A person at a terminal: an empty home, a place to stand, and our command."""

    def __init__(self, *, home: Path, stand: Callable[[Path], None]) -> None:
        self.home = home
        self._stand = stand
        self._runner = CliRunner()

    def at(self, place: Path) -> None:
        self._stand(place)

    def __call__(self, *arguments: str, stdin: str | None = None, status: int = 0) -> Result:
        result = self._runner.invoke(cli, list(arguments), input=stdin)
        assert result.exit_code == status, (result.exit_code, result.output, result.exception)
        return result

    def json(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", status=status).stdout)
