"""What others have named is shown, and does not steer the terminal."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from armillary.cli.output import Columns, emit, emit_one, plain, voices
from armillary.cli.rerunning import _tell
from armillary.crates.runs import DIFFERENT, Outcome

HOSTILE = "x\x1b]0;owned\x07\r\x9bm"
COLUMNS: Columns = [("NAME", "name")]


@click.command()
@click.argument("how")
@voices
def show(how: str) -> None:
    if how == "list":
        emit([{"name": HOSTILE}], columns=COLUMNS, identity="name")
    elif how == "one":
        emit_one({"name": HOSTILE}, fields=COLUMNS, identity="name")
    else:
        found = Outcome(job="2.0", of="1.0", name=HOSTILE, outcome=DIFFERENT, differences=[HOSTILE])
        _tell([found], [found])


@pytest.mark.parametrize("how", ["list", "one", "compared"])
def test_names_are_shown_without_what_terminals_obey(how: str) -> None:
    said = CliRunner().invoke(show, [how], catch_exceptions=False).output
    assert "owned" in said
    assert all(letter.isprintable() or letter == "\n" for letter in said)


def test_lines_become_one_and_other_letters_stay() -> None:
    assert plain("é星\u202e\n\tb") == "é星\N{REPLACEMENT CHARACTER}  b"
