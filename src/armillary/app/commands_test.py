"""`armillary test`: the project's tests, as `.ci/run` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import rich_click as click

from armillary.base.errors import NotFound
from armillary.cli.words import argument

ROOMY_GIB = 14
"""of memory: enough for the machines of two tests"""


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
        codes = [
            _pytest(*_all_cores(), "-m", "not vm and not interop"),
            _pytest(*_all_cores(), "-m", "interop and not vm"),
            _pytest(*_for_machines(), "-m", "vm", "--durations=20"),
        ]
        sys.exit(next((code for code in codes if code), 0))
    if arguments[0] == "-m":
        parallel = _for_machines() if arguments[1:2] == ("vm",) else _all_cores()
        sys.exit(_pytest(*parallel, *arguments))
    sys.exit(_pytest(*arguments))


def _pytest(*arguments: str) -> int:
    # What was compiled is kept, whatever is the habit here: each process of pytest reads all tests, and many a test
    # starts a platform.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=kept, check=False).returncode


def _all_cores() -> tuple[str, ...]:
    """Spread files over the cores, two at a time on each since many tests wait."""
    return _spread(min(2 * (os.cpu_count() or 1), 8))


def _for_machines() -> tuple[str, ...]:
    """Real machines share the computer's cores and memory: their tests come two at a time where there is room."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    return _spread(2) if (os.cpu_count() or 1) > 1 and memory >= ROOMY_GIB else ()


def _spread(processes: int) -> tuple[str, ...]:
    """Spread files over processes, so that what a file starts is started once.

    Files keep their order: by their number of tests, the few that take longest would come last, beside idle cores.
    """
    return ("-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder")
