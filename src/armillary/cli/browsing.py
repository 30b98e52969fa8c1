"""`armillary console` and `armillary jupyter`: the portal's page inside of a machine, for a browser."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import rich_click as click

from armillary.cli.machine import of
from armillary.cli.output import emit_one, voices
from armillary.cli.session import choose_project, connect, project_option
from armillary.cli.words import argument, option

_WAYS = {
    "shell": "inside/shell",
    "serial": "inside/serial",
    "screen": "inside/screen",
    "desktop": "inside/desktop/start",
    "log": "log",
}
_cloud_option = option("--cloud", metavar="NAME", help="On this cloud, when several have one of that name.")
_open_option = option("--open", "opens", is_flag=True, help="Open it in a browser, too.")


def _lead(name: str, page: str, *, project: str | None, cloud: str | None, opens: bool) -> None:
    with connect() as http:
        chosen = choose_project(http, project)
        found = of(http, chosen, cloud).machine(name)
        place = f"/machines/{quote(found['cloud'], safe='')}/{quote(found['id'], safe='')}/{page}"
        address = f"{http.url}{place}?{urlencode({'project': chosen})}"
    emit_one(
        {"id": found["id"], "cloud": found["cloud"], "address": address},
        fields=[("Address", "address")],
        identity="address",
    )
    if opens:
        click.launch(address)


@click.command(epilog="Example: armillary console m31 --by serial --open")
@argument("machine")
@option("--by", type=click.Choice(list(_WAYS)), default="screen", show_default=True, help="Which way in.")
@project_option
@_cloud_option
@_open_option
@voices
def console(machine: str, by: str, project: str | None, cloud: str | None, *, opens: bool) -> None:
    """Say where the portal shows a machine's screen, serial line, shell, desktop or boot log."""
    _lead(machine, _WAYS[by], project=project, cloud=cloud, opens=opens)


@click.command(epilog="Example: armillary jupyter m31 --open")
@argument("machine")
@project_option
@_cloud_option
@_open_option
@voices
def jupyter(machine: str, project: str | None, cloud: str | None, *, opens: bool) -> None:
    """Say where JupyterLab runs in a machine; it is started, and installed if need be, by that page."""
    _lead(machine, "inside/jupyter/start", project=project, cloud=cloud, opens=opens)
