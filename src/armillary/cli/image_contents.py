"""`armillary image packages|diff|lineage`: what is inside of images, and where they come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.output import Columns, Record, Voice, emit, emit_one, moment, say, voice, voices
from armillary.cli.session import choose_project, connect, project_option
from armillary.cli.words import argument, option

_ENDINGS = (".qcow2", ".img", ".raw")
_ASK_EVERY = 1.0
DIFFERENCES: Columns = [("", "sign"), ("KIND", "kind"), ("NAME", "name"), ("WAS", "was"), ("IS", "is")]
"""The columns of a table of differences between two images."""


@click.command(epilog="Example: armillary image packages with-software --source python")
@argument("image", metavar="IMAGE|FILE")
@option("--source", metavar="NAME", help="Only packages of this kind: dpkg, rpm, python or conda.")
@project_option
@voices
def packages(image: str, source: str | None, project: str | None) -> None:
    """List the packages in an image: those of the system, of Python and of conda.

    It is read from the image's own bytes, without booting it. A FILE is read on this computer. The first look at an
    image takes up to a minute; what is found is kept by its digest.
    """
    if _is_file(image):
        found: Mapping[str, Any] = _read_file(image)
    else:
        with connect() as http:
            inside = _images(http, project)
            found = _when_ready(lambda: inside.packages(image))
    for problem in found["problems"]:
        say(f"note: {problem}")
    if found.get("system"):
        say(found["system"])
    rows = [one for one in found["packages"] if source in (None, one["source"])]
    columns: Columns = [
        ("PACKAGE", "name"),
        ("VERSION", "version"),
        ("SOURCE", "source"),
        ("ARCHITECTURE", "architecture"),
        ("PLACE", "place"),
    ]
    emit(rows, columns=columns, identity="name", empty="It has no packages that we know of.")


@click.command(epilog="Example: armillary image diff debian-12 with-software")
@argument("before", metavar="IMAGE|FILE")
@argument("after", metavar="IMAGE|FILE")
@project_option
@voices
def diff(before: str, after: str, project: str | None) -> None:
    """Show how two images differ: packages, configuration in /etc, and files that no package brought.

    `+` is in the second alone, `-` in the first alone, `~` in both and not the same. Files of packages are named only
    if the package has the same version in both.
    """
    if _is_file(before) != _is_file(after):
        raise Invalid(
            "One of them is a file and the other is not.",
            code="image_not_alike",
            remedy="Give two files, or two images of the platform.",
        )
    if _is_file(before):
        found = _compare_files(before, after)
    else:
        with connect() as http:
            inside = _images(http, project)
            found = _when_ready(lambda: inside.diff(before, after))
    if voice() is Voice.JSON:
        emit_one(found, fields=[], identity="")
        return
    emit(differences(found), columns=DIFFERENCES, identity="name", empty="Every file is the same in both.")


@click.command(epilog="Example: armillary image lineage with-software")
@argument("image", metavar="IMAGE")
@project_option
@voices
def lineage(image: str, project: str | None) -> None:
    """Show where an image comes from: its machine, the image which that began from, and so on to the recipe."""
    with connect() as http:
        steps = _images(http, project).lineage(image)
    columns: Columns = [
        ("WHAT", "kind"),
        ("NAME", "name"),
        ("BY", "by"),
        ("WHEN", lambda step: moment(step["at"])),
        ("CLOUD", "cloud"),
        ("SHA512", lambda step: step["sha512"][:16]),
        ("ID", "id"),
    ]
    emit(steps, columns=columns, identity="id")


def _images(http: Any, project: str | None) -> Any:
    from armillary.client.images import Images

    return Images(http=http, project=choose_project(http, project))


def _when_ready(ask: Callable[[], Record]) -> Record:
    """Ask until the image has been read, and say how far that is when there is something new to say."""
    told = ""
    while (answer := ask())["state"] == "reading":
        if answer["told"] != told:
            told = answer["told"]
            say(f"{answer['name']}: {told}")
        time.sleep(_ASK_EVERY)
    return answer


def _is_file(name: str) -> bool:
    return ("/" in name or name.endswith(_ENDINGS)) and Path(name).is_file()


def _read_file(name: str) -> Mapping[str, Any]:
    found = _manifest(name)
    return {
        "system": found.system,
        "problems": found.problems,
        "packages": [asdict(package) for package in found.packages],
    }


def _manifest(name: str) -> Any:
    from armillary.disks import bounded, manifests

    say(f"{name} is read")
    return manifests.unpacked(bounded.read(Path(name), progress=lambda text: say(f"{name}: {text}")))


def _compare_files(before: str, after: str) -> Mapping[str, Any]:
    from armillary.disks.comparing import compare, shape

    return shape(compare(_manifest(before), _manifest(after)))


def differences(found: Mapping[str, Any]) -> Sequence[Record]:
    """Return a comparison of two images as the rows of a table."""
    rows: list[Record] = []
    for sign, key in (("+", "added"), ("-", "removed")):
        for package in found["packages"][key]:
            version = {"is" if sign == "+" else "was": package["version"]}
            rows.append({"sign": sign, "kind": package["source"], "name": package["name"], **version})
    for package in found["packages"]["changed"]:
        version = {"was": package["was"], "is": package["version"]}
        rows.append({"sign": "~", "kind": package["source"], "name": package["name"], **version})
    for kind, part in (("/etc", "configuration"), ("file", "outside"), ("of a package", "altered")):
        files = found[part]
        rows += [{"sign": "+", "kind": kind, "name": f"/{path}"} for path in files["added"]]
        rows += [{"sign": "-", "kind": kind, "name": f"/{path}"} for path in files["removed"]]
        rows += [
            {"sign": "~", "kind": kind, "name": f"/{one['path']}", "is": ", ".join(one["what"])}
            for one in files["changed"]
        ]
    return rows
