"""`armillary why`: what made a file, or how a job came to its results."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from armillary.base.units import format_size
from armillary.cli.output import Columns, Record, Voice, at, emit, emit_one, say, voice, voices
from armillary.cli.session import connect
from armillary.cli.words import argument, context, option

_NOT_KNOWN = "not known: no cloud that answered had the image when this was written down"
_SAID = {
    "made": "{job} wrote this file.",
    "copied": "{job} wrote these bytes; this is a copy, or the file was moved: it was {place}.",
    "changed": "The file was changed since. {job} wrote it before, with other bytes.",
    "unknown": "No record has these bytes: no job made them, or it is not yours to see.",
}


@click.command(epilog="Example: armillary why vos:me/m51.cat")
@argument("target", metavar="FILE|JOB")
@option(
    "--save", type=click.Path(path_type=Path), help="Put documents, signatures and keys into this folder."
)
@voices
def why(target: str, save: Path | None) -> None:
    """Say what made a file in VOSpace, or how a job such as 7.3 came to its results.

    A file is known by its bytes: it may have been copied or moved. Names are such as vos:me/m51.cat and
    /home/ada/m51.cat. What --save writes can be checked without us: see the explanation of provenance. Exit status 1
    when no job is known to have made the file as it is.
    """
    from armillary.client.provenance import Provenance
    from armillary.client.targets import is_target, read_target

    job = read_target(target).job if is_target(target) else None
    with connect() as http:
        provenance = Provenance(http=http)
        if job is not None:
            found, made = {}, provenance.record(job)
        else:
            found = provenance.why(target)
            made = found["made_by"]
        saved = provenance.save(made["job"], save) if save and made else []
    if voice() is not Voice.TABLE:
        emit_one(found or made, fields=[], identity="verdict" if found else "job")
    else:
        if found:
            _show_file(found)
        if made:
            _show_record(made)
    for path in saved:
        say(f"wrote {path}")
    if found and found["verdict"] in ("changed", "unknown"):
        context().exit(1)


def _show_file(found: Record) -> None:
    made, makers = found["made_by"], found["makers"]
    job = f"Job {made['job']}" if made else ""
    place = (makers[0]["uri"] or makers[0]["name"]) if makers else ""
    fields: Columns = [
        ("File", "path"),
        ("Size", lambda one: format_size(one["size"])),
        ("SHA-256", "sha256"),
    ]
    emit_one(found, fields=fields, identity="path")
    gap = found["gap"]
    if gap:
        click.echo(f"The file names job {gap['job']}, of which no record can be made: {gap['reason']}")
    else:
        click.echo(_SAID[found["verdict"]].format(job=job, place=place))
    others = [one["job"] for one in makers[1:]]
    if others:
        click.echo(f"So did {', '.join(others[:10])}{' …' if len(others) > 10 else ''}.")
    click.echo()


def _show_record(made: Record) -> None:
    record, cluster = made["record"], made["cluster"]["record"]
    machine, image = record["machine"], cluster["image"]
    flat = {**record, **{f"machine_{name}": value for name, value in machine.items()}}
    fields: Columns = [
        ("Job", lambda one: f"{one['job']}, attempt {one['attempt']} of {one['attempts']}"),
        ("By", lambda _: f"{cluster['owner']['name']}, for project {cluster['project']['name']}"),
        ("Command", lambda one: " ".join([str(one["spec"].get("executable", "")), *one["arguments"]])),
        ("Image", lambda _: f"{image['name']} (sha512 {image['sha512'][:16]}…)"),
        (
            "From",
            lambda _: " → ".join(f"{step['kind']} {step['name']}" for step in image["lineage"]) or _NOT_KNOWN,
        ),
        ("Machine", lambda _: ", ".join(filter(None, (machine["flavor"], machine["cloud"])))),
        ("Processor", "machine_cpu_model"),
        ("Kernel", "machine_kernel"),
        ("Started", at("started_at")),
        ("Ended", at("ended_at")),
        ("Exit", lambda one: one["exit_code"] if one["signal"] is None else f"signal {one['signal']}"),
        ("Error", "error"),
        ("Signature", lambda _: _signature(made)),
    ]
    emit_one(flat, fields=fields, identity="job")
    files = [
        *(("program", one) for one in [record["executable"]] if one),
        *(("input", one) for one in record["inputs"]),
        *(("output", one) for one in record["outputs"]),
        *((one["action"], {**one, "name": one["uri"]}) for one in record["accesses"]),
    ]
    rows = [{"what": what, **one} for what, one in files]
    columns: Columns = [
        ("", "what"),
        ("NAME", "name"),
        ("BYTES", "size"),
        ("SHA256", lambda one: f"{one['sha256'][:16]}…" if one["sha256"] else ""),
    ]
    if rows:
        click.echo()
        emit(rows, columns=columns, identity="name")
    if record["accesses_dropped"]:
        say(f"It read or wrote more; {record['accesses_dropped']} are not named.")


def _signature(made: Record) -> str:
    state = "good" if made["intact"] else "NOT GOOD"
    return f"{state}, key {made['signature']['key'][:16]}…"
