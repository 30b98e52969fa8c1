"""`armillary volume` and `armillary network`: what machines are plugged into."""

from __future__ import annotations

import rich_click as click

from armillary.base.errors import Invalid, NotFound
from armillary.cli.machine import of
from armillary.cli.output import Columns, Record, at, emit, emit_one, say, voices
from armillary.cli.session import connect, project_option
from armillary.cli.words import argument, option

_VOLUMES: Columns = [
    ("NAME", "name"),
    ("CLOUD", "cloud"),
    ("GIB", "size"),
    ("STATUS", "status"),
    ("MACHINE", "server_id"),
    ("DEVICE", "device"),
    ("MADE", at("created_at")),
    ("ID", "id"),
]
_NETWORKS: Columns = [
    ("NAME", "name"),
    ("CLOUD", "cloud"),
    ("ADDRESSES", lambda one: ", ".join(one["cidrs"])),
    ("OWN", "is_own"),
    ("WAY OUT", "has_way_out"),
    ("ID", "id"),
]
_cloud_option = option("--cloud", metavar="NAME", help="Where; needed when there are several.")


def _the_one(found: list[Record], wanted: str, kind: str) -> Record:
    """Return the one that a name or id means."""
    named = [one for one in found if wanted in (one["id"], one["name"])]
    exact = [one for one in named if one["id"] == wanted] or named
    if not exact:
        raise NotFound(f"there is no {kind} {wanted}", remedy=f"List them: armillary {kind} list")
    if len(exact) > 1:
        raise Invalid(f"{len(exact)} {kind}s are named {wanted}", remedy="Name it by its id.")
    return exact[0]


def _cloud(http: object, given: str | None, project: str | None) -> str:
    """Return the cloud that is meant: the one given, or the only one."""
    from armillary.client.clouds import Clouds

    if given:
        return given
    names = [str(one["name"]) for one in Clouds(http=http).clouds(project=project)]  # pyright: ignore[reportArgumentType]
    if len(names) != 1:
        raise Invalid(f"there are several clouds: {', '.join(names)}", remedy="Say --cloud NAME.")
    return names[0]


@click.group(epilog="Example: armillary volume list")
def volume() -> None:
    """Disks that outlive machines."""


@volume.command("list", epilog="Example: armillary volume list")
@project_option
@voices
def list_volumes(project: str | None) -> None:
    """List the volumes of your project."""
    with connect() as http:
        found = of(http, project).volumes()
    emit(found, columns=_VOLUMES, identity="id", empty="There are no volumes.")


@volume.command("create", epilog="Example: armillary volume create data --size 10")
@argument("name")
@option("--size", type=int, required=True, metavar="GIB", help="Its size.")
@_cloud_option
@project_option
@voices
def create_volume(name: str, size: int, cloud: str | None, project: str | None) -> None:
    """Make an empty volume."""
    with connect() as http:
        made = of(http, project).create_volume(cloud=_cloud(http, cloud, project), name=name, size=size)
    emit_one(made, fields=[(title.capitalize(), key) for title, key in _VOLUMES], identity="id")


@volume.command(epilog="Example: armillary volume attach data m31")
@argument("volume")
@argument("machine")
@project_option
def attach(volume: str, machine: str, project: str | None) -> None:
    """Attach a volume to a machine of the same cloud."""
    with connect() as http:
        machines = of(http, project)
        machines.put_volume(dict(_the_one(list(machines.volumes()), volume, "volume")), machine)
    say("It is attached.")


@volume.command(epilog="Example: armillary volume detach data")
@argument("volume")
@project_option
def detach(volume: str, project: str | None) -> None:
    """Take a volume out of its machine; unmount it there first."""
    with connect() as http:
        machines = of(http, project)
        machines.put_volume(dict(_the_one(list(machines.volumes()), volume, "volume")), None)
    say("It is being detached.")


@volume.command("delete", epilog="Example: armillary volume delete data")
@argument("volume")
@option("--yes", is_flag=True, help="Do not ask.")
@project_option
def delete_volume(volume: str, *, yes: bool, project: str | None) -> None:
    """Delete a volume and what is on it."""
    if not yes:
        click.confirm(f"Delete {volume} and what is on it?", abort=True, err=True)
    with connect() as http:
        machines = of(http, project)
        machines.delete_volume(dict(_the_one(list(machines.volumes()), volume, "volume")))
    say("It is deleted.")


@click.group(epilog="Example: armillary network list")
def network() -> None:
    """Networks that machines are on."""


@network.command("list", epilog="Example: armillary network list")
@project_option
@voices
def list_networks(project: str | None) -> None:
    """List the networks that your project's machines may be on."""
    with connect() as http:
        found = of(http, project).networks()
    emit(found, columns=_NETWORKS, identity="id", empty="There are no networks.")


@network.command("create", epilog="Example: armillary network create apart --addresses 10.20.0.0/24")
@argument("name")
@option("--addresses", default="10.20.0.0/24", show_default=True, metavar="CIDR", help="Its addresses.")
@_cloud_option
@project_option
@voices
def create_network(name: str, addresses: str, cloud: str | None, project: str | None) -> None:
    """Make a network with a router to the outside."""
    with connect() as http:
        where = _cloud(http, cloud, project)
        made = of(http, project).create_network(cloud=where, name=name, addresses=addresses)
    emit_one(made, fields=[(title.capitalize(), key) for title, key in _NETWORKS], identity="id")


@network.command("delete", epilog="Example: armillary network delete apart")
@argument("network")
@project_option
def delete_network(network: str, project: str | None) -> None:
    """Delete a network that no machine is on."""
    with connect() as http:
        machines = of(http, project)
        machines.delete_network(dict(_the_one(list(machines.networks()), network, "network")))
    say("It is deleted.")
