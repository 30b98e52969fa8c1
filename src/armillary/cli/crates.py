"""`armillary export`, `armillary verify` and `armillary import`."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.completing import complete_targets
from armillary.cli.output import Columns, Voice, emit_one, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, context, option

if TYPE_CHECKING:
    from armillary.client.crates import Crates
    from armillary.crates.verify import Report

crate_argument = argument("crate", type=click.Path(exists=True, path_type=Path))


@click.command(epilog="Example: armillary verify m51.zip --key 5f70…")
@crate_argument
@option(
    "--key",
    "keys",
    multiple=True,
    metavar="FINGERPRINT|FILE",
    help="Trust this key and no other: its fingerprint, or its public half in a file.",
)
@option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A machine image that must be the one the jobs ran on.",
)
@voices
def verify(crate: Path, keys: tuple[str, ...], image: Path | None) -> None:
    """Check that nothing in a crate was changed since its platform signed it. Needs no network.

    CRATE is a folder or a zip file that `armillary export` or `freeze` wrote. Each input, output, record, image
    digest, signature and key that does not fit is named, and so is each file that no record accounts for; then the
    exit status is 1. A crate brings its keys along: only --key, from the platform's own page, tells who signed it.
    """
    from armillary.crates.shelves import open_shelf
    from armillary.crates.verify import verify as check

    with open_shelf(crate) as shelf:
        report = check(shelf, trusted=[fingerprint(key) for key in keys], image=image)
    if voice() is Voice.TABLE:
        _tell(report, crate)
    else:
        emit_one(as_record(report), fields=[], identity="verdict")
    if not report.good:
        context().exit(1)


def fingerprint(given: str) -> str:
    """Read a key's fingerprint, from itself or from a file with its public half."""
    from armillary.crates.signing import key_id, read_public

    text = given.replace(":", "").lower()
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        return text
    try:
        return key_id(read_public(Path(given).read_bytes()))
    except OSError as error:
        raise Invalid(
            f"{given} is neither a fingerprint nor a file",
            code="bad_key",
            remedy="Give the 64 hexadecimal digits that the platform publishes, or a PEM file.",
        ) from error


def as_record(report: Report) -> dict[str, Any]:
    """Return what `--json` prints."""
    crate = report.crate
    signers = sorted({one.signature.key for one in [crate.cluster, *crate.jobs]}) if crate else []
    return {
        "verdict": "good" if report.good else "bad",
        "trusted": bool(report.trusted),
        "platform": crate.cluster.document.platform if crate else None,
        "cluster": crate.cluster.document.cluster if crate else None,
        "jobs": [job.document.job for job in crate.jobs] if crate else [],
        "jobs_of_cluster": crate.cluster.document.jobs if crate else None,
        "image_sha512": crate.cluster.document.image.sha512 if crate else None,
        "keys": signers,
        "files": report.files,
        "bytes": report.octets,
        "findings": [finding.as_dict() for finding in report.findings],
    }


def _tell(report: Report, place: Path) -> None:
    for finding in report.findings:
        jobs = (
            f" (of {', '.join(finding.jobs[:5])}{', …' if len(finding.jobs) > 5 else ''})"
            if finding.jobs
            else ""
        )
        click.echo(f"{finding.what}: {finding.path}: {finding.message}{jobs}")
    facts = as_record(report)
    if report.crate:
        cluster = report.crate.cluster.document
        click.echo(
            f"{place}: {len(facts['jobs'])} of {cluster.jobs} jobs of cluster {cluster.cluster} of {cluster.platform}, "
            f"{report.files} files, image sha512 {cluster.image.sha512[:16]}…"
        )
        for key in facts["keys"]:
            click.echo(f"signed by {key}")
    click.echo("Nothing was changed." if report.good else f"Findings: {len(report.findings)}.")
    if report.good and not report.trusted:
        say(
            "The key came with the crate. To know who signed: --key FINGERPRINT, as the platform publishes it."
        )


@click.command(epilog="Example: armillary export 12 -o m51.zip")
@argument("target", metavar="CLUSTER|JOB", shell_complete=complete_targets)
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A zip file, or a folder that is made. Else crate-TARGET.zip here.",
)
@option(
    "--format",
    "form",
    type=click.Choice(["ro-crate", "prov-json", "ro-crate-metadata"]),
    default="ro-crate",
    show_default=True,
    help="The whole crate, or one description of it alone.",
)
@voices
def export(target: str, output: Path | None, form: str) -> None:
    """Bring jobs here with all that made their results: signed records, inputs, outputs, W3C PROV, RO-Crate.

    What came is verified at once; see `armillary verify`.
    """
    from armillary.client.crates import Crates
    from armillary.client.targets import read_target

    name = str(read_target(target))
    with connect() as http:
        crates = Crates(http=http)
        if form != "ro-crate":
            data = crates.description(name, form)
            if output is None:
                click.echo(data.decode(), nl=False)
            else:
                output.write_bytes(data)
            return
        place = output or Path(f"crate-{name}.zip")
        if place.suffix == ".zip":
            crates.receive(name, place)
        else:
            _receive_folder(crates, name, place)
    report = _check(place)
    if voice() is Voice.TABLE:
        _tell(report, place)
    else:
        emit_one({**as_record(report), "path": str(place)}, fields=[], identity="path")
    if not report.good:
        context().exit(1)


def _check(place: Path) -> Report:
    from armillary.crates.shelves import open_shelf
    from armillary.crates.verify import verify as check

    with open_shelf(place) as shelf:
        return check(shelf)


def _receive_folder(crates: Crates, name: str, place: Path) -> None:
    if place.exists() and any(place.iterdir()):
        raise Invalid(
            f"{place} is not empty", code="not_empty", remedy="Name a folder that is not there yet."
        )
    with tempfile.TemporaryDirectory(dir=place.absolute().parent, prefix=".crate-") as room:
        packed = Path(room) / "crate.zip"
        crates.receive(name, packed)
        with zipfile.ZipFile(packed) as archive:  # it keeps names below the folder
            archive.extractall(place)


@click.command("import", epilog="Example: armillary import m51.zip --key 5f70…")
@crate_argument
@option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="FINGERPRINT|FILE",
    help="The key of the platform that the crate comes from: whom you trust.",
)
@voices
def bring(crate: Path, keys: tuple[str, ...]) -> None:
    """Bring a crate of another platform here, so that its jobs can be run again.

    It is verified first. Inputs, outputs and records are sent; what jobs read and wrote in VOSpace goes back to the
    same paths here, where nothing else is. Then `armillary rerun` takes the name that is printed.
    """
    from armillary.client.crates import Crates
    from armillary.crates.shelves import open_shelf
    from armillary.crates.verify import verify as check

    with open_shelf(crate) as shelf, connect() as http:
        report = check(shelf, trusted=[fingerprint(key) for key in keys])
        if not report.good or report.crate is None:
            _tell(report, crate)
            context().exit(1)
        reply = Crates(http=http).bring(shelf, report.crate)
    for uri in reply["kept"]:
        say(f"kept {uri}: it is there with other bytes")
    fields: Columns = [
        ("Import", "name"),
        ("From", "platform"),
        ("Jobs", lambda one: len(one["jobs"])),
        ("Files in VOSpace", lambda one: len(one["written"]) or None),
    ]
    emit_one(reply, fields=fields, identity="name")
