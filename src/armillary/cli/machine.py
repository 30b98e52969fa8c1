"""`armillary machine`: launch machines, look at them, stop, start, extend, snapshot and delete them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from armillary.cli.output import Columns, Record, at, emit, emit_one, say, voices
from armillary.cli.session import choose_project, connect, project_option
from armillary.cli.words import argument, option

if TYPE_CHECKING:
    from armillary.client.http import Armillary
    from armillary.client.machines import Machines

_cloud_option = option("--cloud", metavar="NAME", help="On this cloud, when several have one of that name.")
_DEFAULT_KEYS = ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub")

_COLUMNS: Columns = [
    ("NAME", "name"),
    ("STATUS", "status"),
    ("CLOUD", "cloud"),
    ("SIZE", "flavor"),
    ("ADDRESS", lambda one: one.get("floating_ip") or one.get("fixed_ip") or ""),
    ("RUNS UNTIL", at("ends_at")),
    ("MADE", at("created_at")),
    ("ID", "id"),
]
_FIELDS: Columns = [
    ("Name", "name"),
    ("Id", "id"),
    ("Status", "status"),
    ("Fault", "fault"),
    ("Cloud", "cloud"),
    ("Size", "flavor"),
    ("Floating IP", "floating_ip"),
    ("Fixed IP", "fixed_ip"),
    ("ssh", "ssh"),
    ("Runs until", at("ends_at")),
    ("Made", at("created_at")),
]


def of(http: Armillary, project: str | None, cloud: str | None = None) -> Machines:
    """Return the machines of the project that is meant."""
    from armillary.client.machines import Machines

    return Machines(http=http, project=choose_project(http, project), cloud=cloud)


@click.group(epilog="Example: armillary machine launch m31 --image debian-12 --flavor c2-2gb-10")
def machine() -> None:
    """Your project's machines on all clouds."""


@machine.command("list", epilog="Example: armillary machine list --cloud east")
@project_option
@option("--cloud", metavar="NAME", help="Only this cloud.")
@voices
def list_machines(project: str | None, cloud: str | None) -> None:
    """List the machines of your project; a cloud that does not answer is named and hides no other."""
    with connect() as http:
        found, errors = of(http, project, cloud).machines()
    for error in errors:
        say(f"{error['cloud']}: {error['error']['message']}")
    emit(found, columns=_COLUMNS, identity="id", empty="There are no machines.")


@machine.command(epilog="Example: armillary machine show m31")
@argument("name", metavar="MACHINE")
@project_option
@_cloud_option
@voices
def show(name: str, project: str | None, cloud: str | None) -> None:
    """Show one machine, by name or id, with the ssh line to reach it."""
    with connect() as http:
        _show(of(http, project, cloud).machine(name))


@machine.command(epilog="Example: armillary machine launch m31 --image debian-12 --flavor c2-2gb-10 --days 7")
@argument("name")
@option("--image", required=True, metavar="IMAGE", help="Name, id or digest.")
@option("--flavor", required=True, metavar="NAME", help="The size.")
@option("--cloud", metavar="NAME", help="Where; else the first with room.")
@option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A public key; else the first of ~/.ssh/id_*.pub.",
)
@option("--network", metavar="ID", help="Another network than the project's own.")
@option("--group", metavar="NAME", help="Another security group than the default one.")
@option("--no-address", is_flag=True, help="Without a floating IP.")
@option(
    "--user-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What cloud-init does at the first boot.",
)
@option("--volume", type=int, metavar="GIB", help="With a new volume of this size, which outlives it.")
@option("--days", type=int, metavar="N", help="Stopped after so many days; else as the platform is set.")
@option("--for-ever", is_flag=True, help="Without an end.")
@project_option
@voices
def launch(
    *,
    name: str,
    image: str,
    flavor: str,
    cloud: str | None,
    key: Path | None,
    network: str | None,
    group: str | None,
    no_address: bool,
    user_data: Path | None,
    volume: int | None,
    days: int | None,
    for_ever: bool,
    project: str | None,
) -> None:
    """Launch a machine."""
    if for_ever and days is not None:
        raise click.UsageError("Say --days N, or --for-ever.")
    with connect() as http:
        made = of(http, project).launch(
            name=name,
            image=image,
            flavor=flavor,
            cloud=cloud,
            public_key=_public_key(key),
            network=network,
            group=group,
            address=not no_address,
            user_data=user_data.read_text(encoding="utf-8") if user_data else "",
            volume=volume,
            **({"days": days} if days is not None or for_ever else {}),
        )
    _show(made)
    say(f"It starts. See its address: armillary machine show {made['id']}")


def _public_key(file: Path | None) -> str:
    if file:
        return file.read_text(encoding="utf-8").strip()
    folder = Path("~/.ssh").expanduser()
    found = next((folder / name for name in _DEFAULT_KEYS if (folder / name).is_file()), None)
    if found is None:
        say("No public key was found in ~/.ssh: nobody can sign in by ssh. Give one with --key.")
        return ""
    return found.read_text(encoding="utf-8").strip()


def _acting(action: str, says: str, told: str) -> None:
    """Make the command that does `action`."""

    @machine.command(action, help=says, epilog=f"Example: armillary machine {action} m31")
    @argument("name", metavar="MACHINE")
    @project_option
    @_cloud_option
    def command(name: str, project: str | None, cloud: str | None) -> None:
        with connect() as http:
            of(http, project, cloud).act(name, action)
        say(told)

    command.callback.__doc__ = says


_acting("start", "Start a machine that was stopped.", "It is asked to start.")
_acting("stop", "Shut a machine down; its disks stay.", "It is asked to stop.")
_acting("reboot", "Restart a machine.", "It is asked to restart.")


@machine.command(epilog="Example: armillary machine resize m31 c4-8gb-20")
@argument("name", metavar="MACHINE")
@argument("flavor")
@project_option
@_cloud_option
def resize(name: str, flavor: str, project: str | None, cloud: str | None) -> None:
    """Give a machine another size; it stops for it, and waits until you confirm it in the portal or by `openstack`."""
    with connect() as http:
        of(http, project, cloud).act(name, "resize", {"flavor": flavor})
    say("It is being given its new size.")


@machine.command(epilog="Example: armillary machine snapshot m31 with-software")
@argument("name", metavar="MACHINE")
@argument("image", metavar="NAME")
@project_option
@_cloud_option
@voices
def snapshot(name: str, image: str, project: str | None, cloud: str | None) -> None:
    """Make an image NAME of a machine's disk as it is now."""
    with connect() as http:
        made = of(http, project, cloud).act(name, "snapshot", {"name": image})
    emit_one(made, fields=[("Name", "name"), ("Cloud", "cloud"), ("Id", "id")], identity="id")
    say(f"It is being made. Run jobs with it: armillary submit FILE --image {image}")


@machine.command(epilog="Example: armillary machine extend m31 --days 7")
@argument("name", metavar="MACHINE")
@option("--days", type=int, metavar="N", help="By so many days.")
@option("--for-ever", is_flag=True, help="Without an end.")
@project_option
@_cloud_option
@voices
def extend(name: str, days: int | None, *, for_ever: bool, project: str | None, cloud: str | None) -> None:
    """Let a machine run longer: from the end that it has, or from now if it has none or that is past."""
    if for_ever == (days is not None):
        raise click.UsageError("Say --days N, or --for-ever.")
    with connect() as http:
        _show(of(http, project, cloud).set_term(name, days))


@machine.command(epilog="Example: armillary machine delete m31")
@argument("name", metavar="MACHINE")
@option("--yes", is_flag=True, help="Do not ask.")
@project_option
@_cloud_option
def delete(name: str, *, yes: bool, project: str | None, cloud: str | None) -> None:
    """Delete a machine with its disk and its address; snapshots and volumes stay."""
    if not yes:
        click.confirm(f"Delete {name} with its disk?", abort=True, err=True)
    with connect() as http:
        of(http, project, cloud).delete(name)
    say("It is deleted.")


def _show(told: Record) -> None:
    emit_one(told, fields=_FIELDS, identity="id")
