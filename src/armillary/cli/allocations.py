"""Allocations on the command line: options in, columns out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rich_click as click

from armillary.base.units import format_size, parse_size
from armillary.cli.output import Columns, at
from armillary.cli.words import ParamType, option


class Size(ParamType):
    """A size such as 16GiB, in whole units of `octets`; a bare number counts GiB."""

    name = "size"

    def __init__(self, *, octets: int) -> None:
        self._octets = octets

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the size, rounded up."""
        if isinstance(value, int):
            return value
        try:
            return -(-parse_size(str(value), default_unit="G") // self._octets)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error


_OPTIONS = (
    option("--cores", type=click.IntRange(0), help="Cores of interactive machines, on each cloud."),
    option("--ram", "ram_mib", type=Size(octets=2**20), help="Their memory, say 16GiB."),
    option("--disk", "disk_gib", type=Size(octets=2**30), help="Their disks."),
    option("--storage", "storage_gib", type=Size(octets=2**30), help="Space for results in VOSpace."),
    option("--batch-cores", type=click.IntRange(0), help="Cores of batch workers, on each cloud."),
)
DEFAULTS = {"cores": 4, "ram_mib": 8192, "disk_gib": 50, "storage_gib": 10, "batch_cores": 8}


def allocation_options(command: Any) -> Any:
    """Give a command the options of an allocation."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


def given(figures: Mapping[str, int | None], *, otherwise: Mapping[str, int]) -> dict[str, int]:
    """Return the figures that were given, the rest from `otherwise`."""
    return {name: otherwise[name] if (value := figures.get(name)) is None else value for name in DEFAULTS}


def render(allocation: Mapping[str, int] | None) -> str:
    """Render an allocation for a person."""
    if not allocation:
        return ""
    ram = format_size(allocation["ram_mib"] * 2**20)
    disk, storage = (format_size(allocation[name] * 2**30) for name in ("disk_gib", "storage_gib"))
    return (
        f"{allocation['cores']} cores, {ram} RAM, {disk} disk, {storage} storage, "
        f"{allocation['batch_cores']} batch cores"
    )


APPLICATION_FIELDS: Columns = [
    ("Application", "id"),
    ("Project", "project_name"),
    ("State", "state"),
    ("Applicant", lambda record: f"{record['full_name']} ({record['user_name']}), {record['institute']}"),
    ("Asked for", lambda record: render(record["requested"])),
    ("Because", "reason"),
    ("Submitted", at("submitted_at")),
    ("Decided", at("decided_at")),
    ("Granted", lambda record: render(record["granted"])),
    ("Reason", "decision_reason"),
]
