"""`armillary image list`: the images of all clouds."""

from __future__ import annotations

import rich_click as click

from armillary.base.units import format_size
from armillary.cli.image_contents import diff, lineage, packages
from armillary.cli.output import Columns, Record, at, emit, say, voices
from armillary.cli.session import choose_project, connect, project_option
from armillary.cli.words import argument, option


@click.command(epilog="Example: armillary clouds")
@project_option
@voices
def clouds(project: str | None) -> None:
    """List the clouds, whether they answer, and what your project uses of its limits on each."""
    from armillary.client.clouds import Clouds

    with connect() as http:
        found = Clouds(http=http).clouds(project=choose_project(http, project))
    columns: Columns = [
        ("CLOUD", "name"),
        ("ANSWERS", "answers"),
        ("LIMITS", lambda one: _limits(one.get("limits") or {})),
        ("ERROR", _why),
    ]
    emit(found, columns=columns, identity="name", empty="There are no clouds.")


def _why(cloud: Record) -> str:
    """What a cloud that does not answer says instead."""
    return "" if cloud["answers"] else str(cloud["error"]["message"])


def _limits(limits: dict[str, int | None]) -> str:
    """`cores 3/8`: what is used of what is granted; nothing is said of what has no limit."""
    return ", ".join(
        f"{name} {limits.get(f'{name}_used')}/{limits[name]}"
        for name in ("cores", "ram", "instances")
        if limits.get(name) is not None
    )


@click.group(epilog="Example: armillary image list")
def image() -> None:
    """Machine images."""


@image.command("list", epilog="Example: armillary image list --cloud east")
@project_option
@option("--cloud", "only", metavar="NAME", help="Only this cloud.")
@option("--digest", metavar="SHA512", help="Only the image with this digest, or the beginning of it.")
@voices
def list_images(project: str | None, only: str | None, digest: str | None) -> None:
    """List the images that your project can use, on every cloud."""
    from armillary.client.clouds import Clouds
    from armillary.client.errors import ClientError

    found: list[dict[str, object]] = []
    with connect() as http:
        clouds = Clouds(http=http)
        chosen = choose_project(http, project)
        for cloud in [one["name"] for one in clouds.clouds(project=chosen) if only in (None, one["name"])]:
            try:
                there = clouds.images(cloud, project=chosen, digest=digest)
                found += [{"cloud": cloud, **one} for one in there]
            except ClientError as error:  # one silent cloud must not hide the others
                say(f"{cloud}: {error.message}")
    columns: Columns = [
        ("CLOUD", "cloud"),
        ("NAME", "name"),
        ("STATUS", "status"),
        ("VISIBILITY", "visibility"),
        ("SIZE", lambda one: format_size(one["size"]) if one.get("size") else ""),
        ("SHA512", lambda one: (one.get("sha512") or "")[:16]),
        ("MADE", at("created_at")),
        ("ID", "id"),
    ]
    emit(found, columns=columns, identity="id", empty="There are no images.")


@image.command(epilog="Example: armillary image share with-software galaxies")
@argument("image", metavar="IMAGE")
@argument("to", metavar="PROJECT")
@project_option
def share(image: str, to: str, project: str | None) -> None:
    """Offer an image of your project to another project."""
    from armillary.client.machines import Machines

    with connect() as http:
        Machines(http=http, project=choose_project(http, project)).share_image(image, to)
    say(f"It is offered to {to}. A member there takes it: armillary image accept {image}")


@image.command(epilog="Example: armillary image accept with-software")
@argument("image", metavar="IMAGE")
@project_option
def accept(image: str, project: str | None) -> None:
    """Take an image that another project offers to yours."""
    from armillary.client.machines import Machines

    with connect() as http:
        Machines(http=http, project=choose_project(http, project)).accept_image(image)
    say("It is yours to use now.")


for command in (packages, diff, lineage):
    image.add_command(command)
