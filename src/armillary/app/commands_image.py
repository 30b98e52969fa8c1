"""`armillary image build|rebuild|import|recipes`: base images on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from armillary.app.settings import load_settings
from armillary.base.units import format_size
from armillary.cli.image_contents import DIFFERENCES, differences
from armillary.cli.output import Columns, Voice, emit, emit_one, say, voice, voices
from armillary.cli.words import argument, context, option

if TYPE_CHECKING:
    from armillary.recipes.model import BuiltImage
    from armillary.recipes.rebuilding import Rebuilt

_FIELDS: Columns = [
    ("Name", "name"),
    ("File", "path"),
    ("Format", "disk_format"),
    ("Size", lambda one: format_size(one["size"])),
    ("Virtual size", lambda one: format_size(one["virtual_size"])),
    ("SHA-512", "sha512"),
    ("Manifest", "manifest"),
    ("Kernel", "kernel"),
]

_REBUILT: Columns = [
    ("Name", "name"),
    ("Lock", "lock_sha256"),
    ("Was", "sha512"),
    ("Is", "again"),
    ("File", "path"),
]
_DIFFERS = 1

_cache_option = option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep images here instead of the settings' cache.",
)


@click.group("image", epilog="Example: armillary image build debian-12")
def image_group() -> None:
    """Base images: build and import them on this machine."""


@image_group.command("build", epilog="Example: armillary image build debian-12")
@argument("name")
@_cache_option
@option("--mirror", metavar="URL|FILE", help="Debian mirror or sources file, instead of this computer's.")
@option("--refresh", is_flag=True, help="Build again though it is there, with the packages of today.")
@voices
def build(name: str, cache: Path | None, mirror: str | None, refresh: bool) -> None:
    """Build the base image NAME from the distribution's packages: a bootable qcow2 with its manifest.

    It is kept under the digest of its recipe; to build it again takes no time.
    """
    from armillary.recipes import service

    directory = cache or load_settings().cache
    _show(service.build(name, cache=directory, progress=say, mirror=mirror, refresh=refresh))


@image_group.command("rebuild", epilog="Example: armillary image rebuild debian-12 --packages ./packages")
@argument("subject", metavar="NAME|FILE")
@_cache_option
@option(
    "--packages",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep packages here, and use those there.",
)
@option("--mirror", "mirrors", metavar="URL", multiple=True, help="Ask this mirror first; can be repeated.")
@option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Leave the new image here.")
@option("--trust", is_flag=True, help="Run what FILE says, although this computer did not build it.")
@voices
def rebuild(
    subject: str,
    cache: Path | None,
    packages: Path | None,
    mirrors: tuple[str, ...],
    output: Path | None,
    trust: bool,
) -> None:
    """Make an image again of the very packages that it was made of, and compare the two.

    NAME is a recipe whose image was built here; FILE an image that was built by a recipe, or the lock.json beside it.
    The exit status is 1 when a file differs.
    """
    from armillary.recipes.rebuilding import rebuild

    directory = cache or load_settings().cache
    found = rebuild(
        subject, cache=directory, packages=packages, mirrors=mirrors, output=output, trust=trust, progress=say
    )
    _tell(found)
    if found.verdict == "different":
        context().exit(_DIFFERS)


@image_group.command(
    "import", epilog="Example: armillary image import debian-12-genericcloud.qcow2 --sha256 4f9d…"
)
@argument("source", metavar="FILE|URL")
@option("--sha256", required=True, metavar="DIGEST", help="The digest that the image's makers publish.")
@option("--name", help="What to call it; by default after its file.")
@_cache_option
@voices
def import_(source: str, sha256: str, name: str | None, cache: Path | None) -> None:
    """Take a cloud image that others made, after a look at its digest and format."""
    from armillary.recipes.importing import import_image

    directory = cache or load_settings().cache
    _show(import_image(source, sha256=sha256, name=name, cache=directory, progress=say))


@image_group.command("recipes", epilog="Example: armillary image recipes")
@voices
def recipes() -> None:
    """List the recipes that `armillary image build` knows."""
    from armillary.recipes import service

    known = [
        {"name": recipe.name, "version": recipe.version, "title": recipe.title}
        for recipe in service.recipes().values()
    ]
    emit(known, columns=[("NAME", "name"), ("VERSION", "version"), ("TITLE", "title")], identity="name")


_VERDICTS = {
    "identical": "It is the same, bit for bit.",
    "same files": "Every file is the same; the bytes of the disk are not.",
    "different": "Files differ.",
    "alone": "There is no image to compare it with.",
}


def _tell(found: Rebuilt) -> None:
    for name, (was, now) in sorted(found.tools.items()):
        say(f"Another {name} made it: {was}; now {now}")
    if voice() is Voice.TABLE:
        say(_VERDICTS[found.verdict])
        if found.verdict == "different" and found.differences:
            emit(differences(found.differences), columns=DIFFERENCES, identity="name")
            return
    emit_one(found.as_dict(), fields=_REBUILT, identity="verdict")


def _show(image: BuiltImage) -> None:
    if image.reused:
        say("It was there already.")
    emit_one(image.as_dict(), fields=_FIELDS, identity="path")
    upload = f"openstack image create {image.name} --disk-format {image.disk_format} --container-format bare"
    say(f"Publish it on a cloud: {upload} --file {image.path}")
