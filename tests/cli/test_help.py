"""Help is whole, and the command line starts light."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from armillary.cli.main import cli


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in commands(cli)]
)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], command: click.Command):
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert command.epilog
    assert "Example:" in command.epilog
    assert command.help


def test_starting_imports_neither_http_nor_htcondor():
    code = "import sys, armillary.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"httpx2", "htcondor2", "pydantic", "armillary.client.http"} & set(loaded)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_the_usual_shells(shell: str):
    assert "_ARMILLARY_COMPLETE" in CliRunner().invoke(cli, ["completion", shell]).stdout


def test_wrong_usage_is_status_2():
    assert CliRunner().invoke(cli, ["submit", "--image", "x"]).exit_code == 2


def test_every_command_has_a_place_in_the_reference():
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text()
    for path, command in commands(cli):
        if not isinstance(command, click.Group) or command.invoke_without_command:
            assert f"`{' '.join(['armillary', *path])}`" in reference
