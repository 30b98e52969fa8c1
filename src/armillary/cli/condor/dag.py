"""`condor_submit_dag`: HTCondor's own DAGMan runs here, and the jobs of its nodes are ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import rich_click as click

from armillary.base.errors import Invalid, PreconditionFailed
from armillary.cli.condor.installing import write_tools
from armillary.cli.condor.options import read
from armillary.cli.condor.reaching import Reach
from armillary.client import config as settings
from armillary.client.errors import Unreachable
from armillary.client.fetching import Fetcher
from armillary.client.nodelog import NODES, NodeLog, forget_nodes, nodes_beside
from armillary.client.notes import Notes

_PASSED_ON = {"maxjobs": 1, "maxidle": 1, "maxpre": 1, "maxpost": 1, "dorescuefrom": 1, "autorescue": 1}
_KNOWN = {**_PASSED_ON, "force": 0}
_DEFAULTS = {"autorescue": "1", "dorescuefrom": "0"}
_PULSE = 1.0
"""seconds; DAGMan itself looks into its log every five"""
_RESCUE = 60.0
"""seconds in which it should have written down what is left to do"""


def condor_submit_dag(arguments: Sequence[str], reach: Reach) -> int:
    """Run a DAG to its end: HTCondor's `condor_dagman` of this machine decides, and its nodes' jobs are ours.

    It stays in front until the DAG is over. Interrupted, it removes the jobs that are under way and leaves a rescue
    DAG; killed, it goes on from there when it is called again. The exit status is DAGMan's.
    """
    options = read(arguments, _KNOWN, aliases={"f": "force"})
    dags = [str(Path(name)) for name in options.words]
    if not dags or not all(Path(name).is_file() for name in dags):
        raise Invalid(
            "there is no such DAG file" if dags else "no DAG is named",
            code="unreadable_file",
            facts={"files": dags},
            remedy="Name files that describe a DAG, the first one before others.",
        )
    dagman = shutil.which("condor_dagman")
    if dagman is None:
        raise PreconditionFailed(
            "condor_dagman is not on this machine",
            code="no_dagman",
            remedy="Install HTCondor here; none of its services need run.",
        )
    first = Path(dags[0])
    if "force" in options:
        _clear(first)
    if not _lock(first).exists():  # else it goes on with what it has submitted
        forget_nodes(first)
    said = {**_DEFAULTS, **{name: options.one(name) or "" for name in _PASSED_ON if name in options}}
    with tempfile.TemporaryDirectory(prefix="armillary-dag-") as folder:
        write_tools(Path(folder), ("condor_submit", "condor_rm"))
        command = [dagman, "-p", "0", "-f", "-l", ".", "-Lockfile", str(_lock(first))]
        command += [word for name, value in said.items() for word in (f"-{name}", value)]
        command += [word for dag in dags for word in ("-Dag", dag)]
        command += ["-CsdVersion", _version(dagman), "-Dagman", dagman]
        fetcher = Fetcher(batch=reach.batch, notes=Notes(directory=settings.state_directory()))
        log = NodeLog(batch=reach.batch, dag=first, fetch=fetcher.fetch)
        status = _run(command, _environment(first, Path(folder)), log)
    if status:
        click.echo(f"ERROR: the DAG did not end well; see {first}.dagman.out", err=True)
    return status


def _run(command: Sequence[str], environment: dict[str, str], log: NodeLog) -> int:
    # In a session of its own, so that what a terminal sends to both of us comes to us alone.
    with (
        _told_to_end(),
        subprocess.Popen(
            command,
            env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        ) as dagman,
    ):
        try:
            while dagman.poll() is None:
                with suppress(Unreachable):  # the jobs go on, and DAGMan waits
                    log.catch_up()
                time.sleep(_PULSE)
        except KeyboardInterrupt:
            dagman.send_signal(signal.SIGUSR1)  # a rescue DAG is what it does then
            log.remove_all()
            with suppress(subprocess.TimeoutExpired):
                dagman.wait(_RESCUE)
        finally:
            dagman.terminate()  # in order, so that it is known next time what it has submitted
        return dagman.wait()


@contextmanager
def _told_to_end() -> Generator[None]:
    """Let a polite end be one for DAGMan, too."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment(dag: Path, tools: Path) -> dict[str, str]:
    return {
        **os.environ,
        NODES: str(nodes_beside(dag).absolute()),
        "_CONDOR_DAGMAN_LOG": f"{dag}.dagman.out",
        "_CONDOR_MAX_DAGMAN_LOG": "0",
        "_CONDOR_DAGMAN_USE_DIRECT_SUBMIT": "False",
        "_CONDOR_DAGMAN_CONDOR_SUBMIT_EXE": str(tools / "condor_submit"),
        "_CONDOR_DAGMAN_CONDOR_RM_EXE": str(tools / "condor_rm"),
        "_CONDOR_USE_SHARED_PORT": "False",
    }


def _lock(dag: Path) -> Path:
    return Path(f"{dag}.lock")


def _clear(dag: Path) -> None:
    """Forget an earlier run."""
    _lock(dag).unlink(missing_ok=True)
    for left in dag.absolute().parent.glob(f"{dag.name}.rescue[0-9][0-9][0-9]"):
        left.unlink()


def _version(dagman: str) -> str:
    """Return what DAGMan calls itself: it wants to hear it from who starts it."""
    asked = subprocess.run([dagman, "-v"], capture_output=True, text=True, check=False)
    found = [line for line in asked.stdout.splitlines() if line.startswith("$CondorVersion:")]
    if not found:
        raise PreconditionFailed(
            "condor_dagman does not say which version it is",
            code="no_dagman",
            facts={"said": (asked.stdout + asked.stderr)[-500:]},
            remedy=f"Try: {dagman} -v",
        )
    return found[0]
