"""`armillary test`: the project's tests, as `.ci/run` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import rich_click as click

from armillary.base.errors import NotFound
from armillary.cli.words import argument


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    r"""Run the tests, in parallel where they may; ARGUMENTS go to pytest.

    \b
    Example:
      armillary test                            all of them, real machines included
      armillary test -m "not vm and not interop"      the quick ones
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
    if not arguments:
        # Real machines share the computer's cores and memory, so their tests keep to one process, after the others.
        codes = [
            _pytest(*_all_cores(), "-m", "not vm and not interop"),
            _pytest(*_all_cores(), "-m", "interop and not vm"),
            _pytest("-m", "vm", "--durations=20"),
        ]
        sys.exit(next((code for code in codes if code), 0))
    if arguments[0] == "-m":
        parallel = () if arguments[1:2] == ("vm",) else _all_cores()
        sys.exit(_pytest(*parallel, *arguments))
    sys.exit(_pytest(*arguments))


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def _all_cores() -> tuple[str, ...]:
    """Spread files over the cores, two at a time on each since many tests wait; what a file starts is started once.

    Files keep their order: by their number of tests, the few that take longest would come last, beside idle cores.
    """
    cores = str(min(2 * (os.cpu_count() or 1), 8))
    return ("-n", cores, "--dist", "loadfile", "--no-loadscope-reorder")
