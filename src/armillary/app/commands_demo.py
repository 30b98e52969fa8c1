"""`armillary demo`: the golden path on real input, with live progress."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.table import Table

from armillary.app import daemon, instance
from armillary.app.commands_daemon import add_to_bundle
from armillary.app.demo.path import GoldenPath, Report
from armillary.app.demo.people import DemoAccounts, load_accounts
from armillary.app.demo.phases import Phases
from armillary.app.settings import load_settings
from armillary.base.errors import Unavailable
from armillary.cli.words import option


@click.command(epilog="Example: armillary demo --json demo.json")
@option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write what it made to a file.",
)
@click.pass_context
def demo(context: click.Context, json_file: Path | None) -> None:
    """Walk the whole path on this machine: register, launch, install, snapshot, twelve jobs on two clouds, VOSpace.

    Sets up what is missing, leaves the platform running, and can be run again: images and machines are used again.
    Exit status 1 when a catalogue differs from that of the same program in the first machine.
    """
    from armillary.recipes.service import build

    console = Console(stderr=True)
    settings = load_settings()
    phases = Phases(console=console)
    with phases.phase("image", "base image debian-12, from the distribution's packages"):
        base = build("debian-12", cache=settings.cache, progress=phases.say)
        phases.say(f"sha512 {base.sha512[:32]}…")
    with phases.phase("platform", "the platform"):
        running, password = instance.running(settings.home), None
        if running is None:
            running, password = daemon.start(settings)
        accounts = load_accounts(settings.home, one_time_password=password)
        add_to_bundle(Path(running.ca_file).read_text())
        if len(running.clouds) < 2:
            raise Unavailable(
                "the demo needs two embedded clouds",
                code="one_cloud",
                remedy="take [[clouds]] out of armillary.toml",
            )
    path = GoldenPath(directory=settings.home / "demo", instance=running, accounts=accounts, phases=phases)
    report = path.run(base)
    if json_file:
        json_file.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    _tell(Console(), report, phases, running, accounts)
    if not all(job.matches_reference for job in report.jobs):
        context.exit(1)


def _tell(
    console: Console, report: Report, phases: Phases, running: instance.Instance, accounts: DemoAccounts
) -> None:
    table = Table(
        "job", "cloud", "image sha512", "catalogue", "seconds", "sources", "as in the first machine"
    )
    for job in report.jobs:
        same = "[green]yes[/green]" if job.matches_reference else "[red]NO[/red]"
        name = job.catalogue.rpartition("/")[2]
        digest = f"{job.image_sha512[:12]}…"
        table.add_row(job.id, job.cloud, digest, name, f"{job.seconds:.1f}", str(job.sources), same)
    console.print(phases.table())
    console.print(table)
    console.print(f"Portal         {running.portal_url}", highlight=False, soft_wrap=True)
    console.print(
        f"Administrator  {accounts.admin} / {accounts.admin_password}", highlight=False, soft_wrap=True
    )
    console.print(
        f"Astronomer     {accounts.user} / {accounts.user_password}", highlight=False, soft_wrap=True
    )
    console.print(f"Machine        {report.ssh}", highlight=False, soft_wrap=True)
    console.print("Stop it with   armillary down --machines", highlight=False)
