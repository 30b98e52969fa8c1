"""`armillary freeze`, `unfreeze` and `cite`."""

from __future__ import annotations

import rich_click as click

from armillary.cli.output import Columns, Record, emit_one, say, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, option

cluster_argument = argument("cluster", type=click.IntRange(min=0))
_FIELDS: Columns = [
    ("Cluster", "cluster"),
    ("Title", "title"),
    ("Folder", lambda one: f"vos:{one['path'].lstrip('/')}"),
    ("Page", "page"),
    ("Image", lambda one: f"sha512 {one['image_sha512'][:16]}…"),
    ("Image in the folder", lambda one: "yes" if one["image_included"] else None),
    ("Image kept on", lambda one: " ".join(one["image_kept"]) or None),
    ("DOI", "doi"),
    ("DOI is", "doi_state"),
]


@click.command(epilog="Example: armillary freeze 12 --with-image --to vos:me/papers/m51")
@cluster_argument
@option("--to", metavar="vos:PLACE", help="A folder that is made; else frozen/cluster-NUMBER in your home.")
@option("--title", help="What it is called; else the batch name.")
@option("--with-image", is_flag=True, help="The bytes of the machine image, too, and not only its digest.")
@voices
def freeze(cluster: int, to: str | None, title: str | None, with_image: bool) -> None:
    """Keep a cluster with all that made its results: a crate in VOSpace that nobody changes or deletes by accident.

    Its image refuses to be deleted, too, on each cloud where it is the project's own. Share the folder as you share any other;
    when it is public, so is its page.
    """
    from armillary.client.crates import Crates

    with connect() as http:
        found = Crates(http=http).freeze(cluster, to=to, title=title, with_image=with_image)
    if not found["image_kept"]:
        has = "it" if with_image else "its digest"
        say(f"note: no cloud keeps the image: it is somebody else's, or out of reach. The crate has {has}.")
    _show(found)


@click.command(epilog="Example: armillary unfreeze 12 --yes")
@cluster_argument
@option("--yes", is_flag=True, help="Do not ask.")
def unfreeze(cluster: int, yes: bool) -> None:
    """Let a frozen cluster and its image be changed and deleted again. Nothing is deleted by this."""
    from armillary.client.crates import Crates

    if not yes:
        click.confirm(f"What was kept of cluster {cluster} can then be lost. Go on?", abort=True, err=True)
    with connect() as http:
        Crates(http=http).unfreeze(cluster)
    say(f"Cluster {cluster} is frozen no more.")


@click.command(epilog="Example: armillary cite 12 --publish")
@cluster_argument
@option("--publish", is_flag=True, help="Make the DOI public, for ever; the folder must be public first.")
@voices
def cite(cluster: int, publish: bool) -> None:
    """Give a frozen cluster a DOI: a draft first, then with --publish one that everybody finds."""
    from armillary.client.crates import Crates

    with connect() as http:
        _show(Crates(http=http).cite(cluster, publish=publish))


def _show(found: Record) -> None:
    emit_one(found, fields=_FIELDS, identity="cluster")
