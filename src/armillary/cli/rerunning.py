"""`armillary rerun` and `armillary compare`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.completing import complete_targets
from armillary.cli.output import Columns, Voice, emit, emit_one, plain, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, context, option

if TYPE_CHECKING:
    from armillary.client.batch import Batch
    from armillary.crates.runs import Outcome, Side

_FAILED = 1
IMPORTED = "import-"
"""before the number of an import, as `armillary import` prints it"""


def tolerances(command: Any) -> Any:
    """Give a command the options that say how far apart numbers may be."""
    decorators = (
        option("--rtol", type=click.FloatRange(min=0), default=0.0, help="Numbers may differ by this share."),
        option("--atol", type=click.FloatRange(min=0), default=0.0, help="Numbers may differ by this much."),
        option(
            "--ignore", multiple=True, metavar="KEYWORD", help="A FITS keyword that may differ, such as DATE."
        ),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@click.command(epilog="Example: armillary rerun 12 --on cloud-b")
@argument("target", metavar="CLUSTER|JOB|IMPORT", shell_complete=complete_targets)
@option("--on", "cloud", metavar="CLOUD", help="Only on this cloud.")
@option("--project", metavar="NAME", help="For this project; else the one that the jobs ran for.")
@option("--no-wait", is_flag=True, help="Do not wait for the end, and do not compare.")
@tolerances
@voices
def rerun(
    target: str,
    cloud: str | None,
    project: str | None,
    no_wait: bool,
    rtol: float,
    atol: float,
    ignore: tuple[str, ...],
) -> None:
    """Run jobs again from their records alone, and compare what they make with what they made.

    The image is the same by its digest, and so are the inputs; if one is gone or changed, nothing is run and they
    are listed. The exit status is 1 when an output is not what it was, within the tolerance.
    """
    from armillary.client.batch import Batch
    from armillary.client.comparing import OnPlatform
    from armillary.client.crates import Crates

    name = target_name(target)
    with connect() as http:
        batch, crates = Batch(http=http), Crates(http=http)
        reply = crates.rerun(name, cloud=cloud, project=project)
        for warning in reply["warnings"]:
            say(f"note: {warning}")
        cluster = int(reply["cluster"])
        if no_wait:
            fields: Columns = [
                ("Cluster", "cluster"),
                ("Jobs", "jobs"),
                ("Image", "image"),
                ("Flavor", "flavor"),
            ]
            emit_one(reply, fields=fields, identity="cluster")
            return
        say(f"Cluster {cluster} runs {reply['jobs']} jobs of {name} again.")
        _wait(batch, cluster, http.url)
        again = f"{cluster}.{name.partition('.')[2]}" if "." in name else str(cluster)
        sides = OnPlatform(crates=crates, target=name), OnPlatform(crates=crates, target=again)
        _report(*sides, rtol=rtol, atol=atol, ignore=ignore, cluster=cluster)


@click.command(epilog="Example: armillary compare 12 15 --rtol 1e-6")
@argument("first", metavar="CLUSTER|JOB|IMPORT|CRATE")
@argument("second", metavar="CLUSTER|JOB|IMPORT|CRATE")
@tolerances
@voices
def compare(first: str, second: str, rtol: float, atol: float, ignore: tuple[str, ...]) -> None:
    """Compare what two runs made: identical, or how it differs, in bytes, FITS and tables.

    Jobs go together by their numbers in their clusters. A file or folder that is there is read as a crate. The exit
    status is 1 when something differs.
    """
    with _side(first) as one, _side(second) as other:
        _report(one, other, rtol=rtol, atol=atol, ignore=ignore)


def target_name(name: str) -> str:
    """Return the name of a cluster or job, or of one that was imported, as the platform takes it."""
    from armillary.client.targets import read_target

    number = name.removeprefix(IMPORTED)
    return name[: len(name) - len(number)] + str(read_target(number))


@contextmanager
def _side(name: str) -> Generator[Side]:
    from armillary.client.comparing import OnPlatform
    from armillary.client.crates import Crates
    from armillary.crates.runs import InCrate
    from armillary.crates.shelves import open_shelf
    from armillary.crates.verify import verify

    if Path(name).exists():
        with open_shelf(Path(name)) as shelf:
            report = verify(shelf)
            if report.crate is None or not report.good:
                raise Invalid(
                    f"{name} is not as it was signed",
                    code="crate_changed",
                    facts={"findings": len(report.findings)},
                    remedy=f"See what was changed: armillary verify {name}",
                )
            yield InCrate(shelf=shelf, crate=report.crate)
        return
    with connect() as http:
        yield OnPlatform(crates=Crates(http=http), target=target_name(name))


def _wait(batch: Batch, cluster: int, platform: str) -> None:
    from armillary.cli.waiting import Following

    Following(batch=batch, cluster=cluster, platform=platform, fetching=False).run()


def _report(
    first: Side,
    second: Side,
    *,
    rtol: float,
    atol: float,
    ignore: Sequence[str],
    cluster: int | None = None,
) -> None:
    from armillary.crates.comparing import Tolerance
    from armillary.crates.runs import Comparing

    tolerance = Tolerance(relative=rtol, absolute=atol, ignore=ignore)
    with Comparing(first=first, second=second, tolerance=tolerance) as comparing:
        found = list(comparing.outcomes())
    bad = [one for one in found if not one.good]
    if voice() is Voice.TABLE:
        _tell(found, bad)
    elif voice() is Voice.QUIET:
        click.echo("different" if bad else "identical")
    else:
        record = {"cluster": cluster, "same": not bad, "files": [one.as_dict() for one in found]}
        emit_one(record, fields=[], identity="same")
    if bad:
        context().exit(_FAILED)


def _tell(found: Sequence[Outcome], bad: Sequence[Outcome]) -> None:
    columns: Columns = [
        ("JOB", "job"),
        ("OF", "of"),
        ("FILE", "name"),
        ("", "outcome"),
        ("COMPARED AS", "way"),
    ]
    emit([one.as_dict() for one in found], columns=columns, identity="name", empty="Nothing was made.")
    for one in bad:
        for line in one.differences:
            click.echo(plain(f"{one.of} {one.name}: {line}"))
    alike = sum(one.outcome == "alike" for one in found)
    within = f", {alike} of them within the tolerance" if alike else ""
    click.echo(f"{len(found) - len(bad)} of {len(found)} files are the same{within}.")
