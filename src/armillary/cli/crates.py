"""`armillary export`, `armillary verify` and `armillary import`."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.cli.bars import Begin, bar
from armillary.cli.completing import complete_targets
from armillary.cli.output import Columns, Voice, emit_one, plain, say, voice, voices
from armillary.cli.rerunning import target_name
from armillary.cli.session import connect
from armillary.cli.words import argument, context, option

if TYPE_CHECKING:
    from armillary.client.crates import Crates
    from armillary.crates.record import ImageRecord
    from armillary.crates.shelves import Shelf
    from armillary.crates.verify import Report

_WHOSE = "The key came with the crate. To know who signed: --key FINGERPRINT, as the platform publishes it."
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
@option("--complete", is_flag=True, help="Every job of the cluster has to be there.")
@voices
def verify(crate: Path, keys: tuple[str, ...], image: Path | None, complete: bool) -> None:
    """Check that nothing in a crate was changed since its platform signed it. Needs no network.

    CRATE is a folder or a zip file that `armillary export` or `freeze` wrote. Each input, output, record, image
    digest, signature and key that does not fit is named, and so is each file that no record accounts for; then the
    exit status is 1. A crate brings its keys along: only --key, from the platform's own page, tells who signed it.
    A crate of some of a cluster's jobs is good; only --complete tells when records were taken out.
    """
    from armillary.crates.shelves import open_shelf
    from armillary.crates.verify import verify as check

    with open_shelf(crate) as shelf:
        report = check(shelf, trusted=[fingerprint(key) for key in keys], image=image, complete=complete)
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
        "jobs_absent": report.absent,
        "by_md5_alone": [
            {"job": job.document.job, "action": one.action, "uri": one.uri, "md5": one.md5}
            for job in (crate.jobs if crate else ())
            for one in job.document.unknown
        ],
        "image_sha512": crate.cluster.document.image.sha512 if crate else None,
        "descriptions_unjudged": list(report.unjudged),
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
        click.echo(plain(f"{finding.what}: {finding.path}: {finding.message}{jobs}"))
    facts = as_record(report)
    if report.crate:
        cluster = report.crate.cluster.document
        told = (
            f"{len(facts['jobs'])} of {cluster.jobs} jobs of cluster {cluster.cluster} of {cluster.platform}"
        )
        click.echo(plain(f"{place}: {told}, {report.files} files, image sha512 {cluster.image.sha512[:16]}…"))
        for key in facts["keys"]:
            click.echo(f"signed by {key}")
        if facts["by_md5_alone"]:
            first = ", ".join(one["uri"] for one in facts["by_md5_alone"][:3])
            click.echo(
                plain(f"{len(facts['by_md5_alone'])} files are named by their MD5, and not here: {first}")
            )
        for path in report.unjudged:
            click.echo(f"{path} is in the words of another version: it was not held against the records.")
        if report.absent > 0:
            click.echo(f"{report.absent} jobs of the cluster are not here; --complete asks for them.")
    click.echo("Nothing was changed." if report.good else f"Findings: {len(report.findings)}.")
    if report.good and not report.trusted:
        say(_WHOSE)
    elif report.crate and any(finding.code == "untrusted_key" for finding in report.findings):
        page = f"{report.crate.cluster.document.platform.rstrip('/')}/api/v1/provenance/keys"
        say(
            plain(
                f"It says that it is of {page}: if you know that address as the platform's, look there for the key."
            )
        )


@click.command(epilog="Example: armillary export 12 --with-image -o m51.zip")
@argument("target", metavar="CLUSTER|JOB|IMPORT", shell_complete=complete_targets)
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
@option(
    "--with-image",
    is_flag=True,
    help="The machine image, too, so that a platform that never saw it can run the jobs again.",
)
@option("--project", metavar="NAME", help="Whose image it is; else that of the project the jobs ran for.")
@voices
def export(target: str, output: Path | None, form: str, with_image: bool, project: str | None) -> None:
    """Bring jobs here with all that made their results: signed records, inputs, outputs, W3C PROV, RO-Crate.

    What came is verified at once; see `armillary verify`. The crate appears whole or not at all.
    """
    from armillary.client.crates import Crates

    name = target_name(target)
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
        with bar(place.name) as begin:

            def receive(into: Path) -> None:
                crates.receive(name, into, image=with_image, project=project, begin=begin)

            if place.suffix == ".zip":
                receive(place)
            else:
                _receive_folder(receive, place)
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


def _receive_folder(receive: Callable[[Path], None], place: Path) -> None:
    if place.exists() and any(place.iterdir()):
        raise Invalid(
            f"{place} is not empty", code="not_empty", remedy="Name a folder that is not there yet."
        )
    with tempfile.TemporaryDirectory(dir=place.absolute().parent, prefix=".crate-") as room:
        packed = Path(room) / "crate.zip"
        receive(packed)
        unpacked = Path(room) / "crate"
        with zipfile.ZipFile(packed) as archive:  # it keeps names below the folder
            archive.extractall(unpacked)
        unpacked.rename(place)  # over an empty folder, too


@click.command("import", epilog="Example: armillary import m51.zip --key 5f70… --project m51")
@crate_argument
@option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="FINGERPRINT|FILE",
    help="The key of the platform that the crate comes from: whom you trust.",
)
@option("--project", metavar="NAME", help="Whose the machine image will be; needed when you have several.")
@option("--cloud", metavar="CLOUD", help="Where the machine image goes; else the first cloud that answers.")
@option("--without-image", is_flag=True, help="Leave a machine image that the crate has.")
@voices
def bring(
    crate: Path, keys: tuple[str, ...], project: str | None, cloud: str | None, without_image: bool
) -> None:
    """Bring a crate of another platform here, so that its jobs can be run again.

    It is verified first. Inputs, outputs and records are sent; what jobs read in VOSpace goes back to the
    same paths here, where nothing else is. A machine image in the crate goes into a cloud of yours, unless one has
    it already. Then `armillary rerun` takes the name that is printed. What broke off is taken up by the same command.
    """
    from armillary.client.crates import Crates
    from armillary.crates.shelves import open_shelf
    from armillary.crates.verify import verify as check

    with open_shelf(crate) as shelf, connect() as http:
        report = check(shelf, trusted=[fingerprint(key) for key in keys])
        if not report.good or report.crate is None:
            _tell(report, crate)
            context().exit(1)
        crates = Crates(http=http)
        reply = crates.bring(shelf, report.crate)
        image = report.crate.image
        if image and not without_image:
            with bar(image.document.name) as begin:
                reply["image"] = _send_image(
                    crates, reply["name"], shelf, image.document, project=project, cloud=cloud, begin=begin
                )
    for uri in reply["refused"]:
        say(
            plain(
                f"did not write {uri}: it is not yours to write; jobs that read or write it cannot run again here"
            )
        )
    for uri in reply["kept"]:
        say(plain(f"kept {uri}: it is there with other bytes"))
    fields: Columns = [
        ("Import", "name"),
        ("From", "platform"),
        ("Jobs", lambda one: len(one["jobs"])),
        ("Files in VOSpace", lambda one: len(one["written"]) or None),
        ("Image", lambda one: _image_words(one.get("image"))),
    ]
    emit_one(reply, fields=fields, identity="name")


def _send_image(
    crates: Crates,
    name: str,
    shelf: Shelf,
    image: ImageRecord,
    *,
    project: str | None,
    cloud: str | None,
    begin: Begin,
) -> dict[str, Any]:
    """Have a crate's machine image on a cloud; it is not sent when one has it that will do."""
    there = crates.image(name, project=project)["there"]
    for copy in there:
        if cloud in (None, copy["cloud"]):
            return {**copy, "sha512": image.sha512, "sent": False}
    return crates.send_image(name, shelf, image, project=project, cloud=cloud, begin=begin)


def _image_words(image: dict[str, Any] | None) -> str | None:
    if image is None:
        return None
    how = "sent to" if image["sent"] else "there already, on"
    return f"{image['name']}, {how} {image['cloud']}"
