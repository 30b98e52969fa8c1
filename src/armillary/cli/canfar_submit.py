"""`canfar_submit FILE IMAGE FLAVOR`: CANFAR's own name and order for `armillary submit`."""

from __future__ import annotations

import sys

import rich_click as click

from armillary.cli.main import LazyGroup
from armillary.cli.output import voices
from armillary.cli.session import project_option
from armillary.cli.words import argument, option


@click.command(epilog="Example: canfar_submit do_catalogue.sub my-snapshot c2-2gb-10")
@argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@argument("image")
@argument("flavor")
@project_option
@option("--wait", is_flag=True, help="Follow the jobs, bring their outputs here, write the job event log.")
@option("--allow-commands", is_flag=True, help="Let the file run commands on this machine.")
@voices
def canfar_submit(
    file: str, image: str, flavor: str, project: str | None, wait: bool, allow_commands: bool
) -> None:
    """Submit an HTCondor submit file to run on clones of a snapshot.

    The image may be written PROJECT:IMAGE.
    """
    from armillary.cli.submitting import run

    owner, colon, name = image.rpartition(":")
    if colon and project is None:
        project, image = owner, name
    run(file, image=image, flavor=flavor, project=project, wait=wait, allow_commands=allow_commands)


def main() -> None:
    """Run `canfar_submit` as a program; refusals are shown as the big command shows them."""
    alone = LazyGroup(name="canfar_submit", commands={"canfar_submit": canfar_submit})
    alone.main(args=["canfar_submit", *sys.argv[1:]], prog_name="")
