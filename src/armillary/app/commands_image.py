"""`armillary image build|import|recipes`: base images on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from armillary.app.settings import load_settings
from armillary.base.units import format_size
from armillary.cli.output import Columns, emit, emit_one, say, voices
from armillary.cli.words import argument, option

if TYPE_CHECKING:
    from armillary.recipes.model import BuiltImage

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


def _show(image: BuiltImage) -> None:
    if image.reused:
        say("It was there already.")
    emit_one(image.as_dict(), fields=_FIELDS, identity="path")
    upload = f"openstack image create {image.name} --disk-format {image.disk_format} --container-format bare"
    say(f"Publish it on a cloud: {upload} --file {image.path}")
