"""`armillary test`: the project's tests, as `.ci/run` runs them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import rich_click as click

from armillary.base.errors import NotFound
from armillary.cli.words import argument


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    r"""Run the tests; ARGUMENTS go to pytest.

    \b
    Example:
      armillary test                  all of them, real machines included
      armillary test -m "not vm"      the quick ones
      armillary test tests/vospace -x
    """
    checkout = Path(os.environ.get("ARMILLARY_CHECKOUT", "."))
    if not (checkout / "tests").is_dir():
        raise NotFound(
            f"there are no tests in {checkout.absolute()}",
            code="no_checkout",
            remedy="run ./armillary test in a checkout of the project",
        )
    os.chdir(checkout)
    if not arguments or arguments[0] == "-m":  # a whole run, not one test that somebody looks into
        arguments = ("-n", str(max(2, min(os.cpu_count() or 2, 8))), "--dist", "loadgroup", *arguments)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606 - becomes pytest
