"""The submit form as a submit file: what is filled in becomes the text that `armillary submit` takes as well. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from armillary.base.errors import Invalid
from armillary.portal.i18n import N_

FIELDS = (
    "batch_name", "executable", "there", "arguments", "columns", "rows", "count", "inputs", "outputs",
    "cores", "memory", "disk", "hours", "retries", "destination",
)  # fmt: skip
"""of the form, besides image and flavor"""
SEPARATOR = "\x1f"
"""between values that have blanks or commas in them, as HTCondor has it"""
MOST_ROWS = 100_000
_LONGEST_ROW = 20_000

_NAME = re.compile(r"[A-Za-z_]\w{0,63}")
_SIZE = re.compile(r"\d{1,9}(\.\d{1,3})?\s*([KMGT]i?B?)?", re.IGNORECASE)
_DESTINATION = re.compile(r"[\w.~/-][\w.~/ -]{0,500}")


@dataclass(frozen=True, kw_only=True)
class Table:
    """The parameters: a name for each column, and a row for each job."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]


def compose(values: Mapping[str, str]) -> str:
    """Return the submit file. Raises Invalid with the field, for the table with its line as well."""
    said = {name: values.get(name, "").strip() for name in FIELDS}
    for name in set(FIELDS) - {"rows"}:
        if any(ord(letter) < 32 for letter in said[name]):
            raise _wrong(name, N_("This must be one line."))
    if not said["executable"]:
        raise _wrong("executable", N_("Name the program that each job runs."))
    table = read_table(said["columns"], values.get("rows", ""))
    lines: list[str] = []
    if said["batch_name"]:
        lines.append(f"batch_name = {said['batch_name']}")
    lines += _command(said)
    lines += ["output = job-$(Process).out", "error = job-$(Process).err"]
    if said["outputs"]:
        lines.append(f"transfer_output_files = {said['outputs']}")
    lines.append(f"request_cpus = {_whole(said, 'cores', '1')}")
    lines.append(f"request_memory = {_size(said, 'memory', '1G')}")
    lines.append(f"request_disk = {_size(said, 'disk', '1G')}")
    if said["hours"]:
        lines.append(f"allowed_execute_duration = {_seconds(said['hours'])}")
    if said["retries"]:
        lines.append(f"max_retries = {_whole(said, 'retries', '0')}")
    return "\n".join([*lines, *_queue(said, table)]) + "\n"


def read_table(columns: str, text: str) -> Table | None:
    """Read pasted rows or CSV; without `columns` its first row has the names. None: there is none. Raises Invalid."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        return None
    sample = lines[0][1]
    parted = next((mark for mark in ("\t", ";", ",") if mark in sample), None)
    rows = [(number, _parts(line[:_LONGEST_ROW], parted)) for number, line in lines]
    names = [name for name in re.split(r"[\s,;]+", columns) if name]
    if not names:
        number, names = rows.pop(0)
    for name in names:
        if not _NAME.fullmatch(name):
            raise _wrong("rows", N_("A column has a name of letters and digits; the first row names them."))
    if not rows:
        raise _wrong("rows", N_("There are names of columns, and no row below them."))
    if len(rows) > MOST_ROWS:
        raise _wrong("rows", N_("There are too many rows for one submit."))
    for number, row in rows:
        if len(row) != len(names):
            raise Invalid(
                f"Line {number} of the table has {len(row)} values, and there are {len(names)} columns.",
                code="row_incomplete",
                facts={"line": number, "values": len(row), "columns": len(names), "field": "rows"},
                remedy="Give each row a value for each column.",
            )
        if len("".join(row)) >= _LONGEST_ROW // 2 or row[0].startswith(("#", ")")) or any(map(_unfit, row)):
            raise Invalid(
                f"Line {number} of the table has a value that a submit file cannot hold.",
                code="row_unfit",
                facts={"line": number, "field": "rows"},
                remedy="Leave out empty values, $( and a # or ) at the beginning of a row.",
            )
    return Table(names=names, rows=[row for _, row in rows])


def _parts(line: str, parted: str | None) -> list[str]:
    if parted is None:
        return line.split()
    [values] = csv.reader(io.StringIO(line), delimiter=parted)
    return [value.strip() for value in values]


def _unfit(value: str) -> bool:
    return not value or "$(" in value or value.endswith("\\") or any(ord(letter) < 32 for letter in value)


def _command(said: Mapping[str, str]) -> list[str]:
    inputs = [name.strip() for name in said["inputs"].split(",") if name.strip()]
    program, arguments = said["executable"], said["arguments"]
    if said["destination"]:
        return _with_destination(said, inputs)
    lines = [f"executable = {program}"]
    if said["there"]:
        lines.append("transfer_executable = false")
    if arguments:
        lines.append(f"arguments = {_quoted(arguments)}")
    if inputs:
        lines.append(f"transfer_input_files = {', '.join(inputs)}")
    return lines


def _with_destination(said: Mapping[str, str], inputs: list[str]) -> list[str]:
    """Run the program in a shell that sends the results to VOSpace when it ended well."""
    place = said["destination"].removeprefix("vos:").rstrip("/")
    if not _DESTINATION.fullmatch(place) or ".." in place.split("/"):
        raise _wrong("destination", N_("This is no folder of VOSpace, such as vos:home/ada/results."))
    if not said["outputs"]:
        raise _wrong("outputs", N_("Name the results that are to go to VOSpace."))
    program = said["executable"]
    run = program if said["there"] else f"./{program.rsplit('/', maxsplit=1)[-1]}"
    if "'" in said["arguments"] + said["outputs"] + program:
        raise _wrong("arguments", N_("With a folder in VOSpace, quote with double quotes."))
    steps = [] if said["there"] else [f"chmod +x {run}"]
    steps.append(f"{run} {said['arguments']}".rstrip())
    outputs = [name.strip() for name in said["outputs"].split(",")]
    steps += [f"vcp {name} vos:{place}/" for name in outputs if name]
    script = " && ".join(steps).replace('"', '""')
    lines = ["executable = /bin/sh", "transfer_executable = false", f"arguments = \"-c '{script}'\""]
    sent = ([] if said["there"] else [program]) + inputs
    if sent:
        lines.append(f"transfer_input_files = {', '.join(sent)}")
    return lines


def _quoted(arguments: str) -> str:
    if '"' not in arguments and "'" not in arguments:
        return arguments
    return '"' + arguments.replace('"', '""') + '"'


def _queue(said: Mapping[str, str], table: Table | None) -> list[str]:
    if table is None:
        return [f"queue {_whole(said, 'count', '1')}"]
    plain = not any(re.search(r"[\s,]", value) for row in table.rows for value in row)
    mark = ", " if plain or len(table.names) == 1 else SEPARATOR
    return [f"queue {', '.join(table.names)} from (", *(f"  {mark.join(row)}" for row in table.rows), ")"]


def _whole(said: Mapping[str, str], name: str, default: str) -> str:
    value = said[name] or default
    if not (value.isascii() and value.isdigit()) or len(value) > 6:
        raise _wrong(name, N_("This must be a whole number."))
    return value


def _size(said: Mapping[str, str], name: str, default: str) -> str:
    value = said[name] or default
    if not _SIZE.fullmatch(value):
        raise _wrong(name, N_("This is a size such as 512M or 2G."))
    return value.replace(" ", "")


def _seconds(hours: str) -> int:
    try:
        seconds = round(float(hours.replace(",", ".")) * 3600)
    except (ValueError, OverflowError):
        seconds = 0
    if not 0 < seconds < 10**9:
        raise _wrong("hours", N_("This must be a number of hours, such as 0.5 or 12."))
    return seconds


def _wrong(field: str, what: str) -> Invalid:
    return Invalid(
        what,
        code="invalid_field",
        facts={"field": field, "errors": {field: what}},
        remedy="Correct the marked fields.",
    )
