"""Writes the reference pages that follow from the code: settings, and errors with their codes.

`python -m armillary.app.reference docs/reference` writes them; a test says when they are out of date.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from armillary.app import reference_errors, reference_policy, reference_submit
from armillary.app.settings import Settings

_MADE = "<!-- written by `python -m armillary.app.reference docs/reference`; do not edit -->\n"
_MACHINE = {
    "vcpus": "twice this computer's cores, at least 4",
    "ram_mib": "half of this computer's memory, at least 2048",
}
"""Defaults that depend on the computer, in words."""
_WORDS = {
    "https_port": "TLS: portal, APIs and VOSpace",
    "accelerator": "what machines run with; `auto` boots a kernel to see whether KVM works",
    "clouds": "the embedded clouds; without any, `east` and `west`",
    "name": "its name, also its region",
    "vcpus": "virtual cores that its machines may have together",
    "ram_mib": "their memory, MiB",
    "disk_gib": "their disks, GiB",
    "engine": "`fake` boots nothing: for tests and a first look",
}
"""For fields whose names say most of it."""


def settings_page() -> str:
    """Return the page of all settings."""
    tables = (
        "audit",
        "clouds",
        "batch",
        "doi",
        "htcondor",
        "limits",
        "machines",
        "mail",
        "oidc",
        "provenance",
        "vospace",
    )
    rows = _rows(Settings, "ARMILLARY_", skip=tables)
    audit = _rows(_model(Settings.model_fields["audit"]), "ARMILLARY_AUDIT__")
    batch = _rows(_model(Settings.model_fields["batch"]), "ARMILLARY_BATCH__")
    reserve = _rows(_model(_model(Settings.model_fields["batch"]).model_fields["reserve"]), "")
    htcondor = _rows(_model(Settings.model_fields["htcondor"]), "ARMILLARY_HTCONDOR__")
    limits = _rows(_model(Settings.model_fields["limits"]), "ARMILLARY_LIMITS__")
    machines = _rows(_model(Settings.model_fields["machines"]), "ARMILLARY_MACHINES__")
    mail = _rows(_model(Settings.model_fields["mail"]), "ARMILLARY_MAIL__")
    oidc = _rows(_model(Settings.model_fields["oidc"]), "ARMILLARY_OIDC__")
    doi = _rows(_model(Settings.model_fields["doi"]), "ARMILLARY_DOI__")
    provenance = _rows(_model(Settings.model_fields["provenance"]), "ARMILLARY_PROVENANCE__")
    vospace = _rows(_model(Settings.model_fields["vospace"]), "ARMILLARY_VOSPACE__")
    clouds = _rows(_model(Settings.model_fields["clouds"]), "")
    head = "| Setting | Type | Default | Environment | |\n|---|---|---|---|---|\n"
    cloud_head = "| Setting | Type | Default | |\n|---|---|---|---|\n"
    return f"""# Settings

{_MADE}
The platform reads `armillary.toml` in its home directory. Variables of the environment stand above the file.
Lists and tables in a variable are written as JSON. An unknown name or a value out of range stops the start, with all
findings named. Settings are read once, when the platform starts. Embedded clouds keep SQLite files
of their own, whatever `database_url` says.

{head}{_table(rows)}
## `[audit]`

{head}{_table(audit)}
## `[batch]`

{head}{_table(batch)}
### `[[batch.reserve]]`

One table for each kind of worker that is kept ready.

{cloud_head}{_table(row[:3] + row[4:] for row in reserve)}
## `[doi]`

Who gives DOIs to frozen clusters: see [make results reproducible](../how-to/reproduce.md).

{head}{_table(doi)}
## `[htcondor]`

The pool, when it is the engine: see [use HTCondor](../how-to/use-htcondor.md).

{head}{_table(htcondor)}
## `[limits]`

{head}{_table(limits)}
## `[machines]`

Until when people's machines run. What is changed here holds for ends that are set from then on.

{head}{_table(machines)}
## `[mail]`

{head}{_table(mail)}
## `[oidc]`

A provider with which people may sign in: see [sign in](../how-to/sign-in-and-stay-safe.md).

{head}{_table(oidc)}
## `[provenance]`

Records of jobs: see [what made a result](../explanation/provenance.md).

{head}{_table(provenance)}
## `[vospace]`

{head}{_table(vospace)}
## `[[clouds]]`

One table for each embedded cloud. Without any there are two:
{_default_clouds()}.
`ARMILLARY_CLOUDS` takes the whole list as JSON.

{cloud_head}{_table(row[:3] + row[4:] for row in clouds)}
## Environment only

| Variable | Default | |
|---|---|---|
| `ARMILLARY_HOME` | `$XDG_DATA_HOME/armillary`, or `~/.local/share/armillary` | everything that the platform keeps |
| `ARMILLARY_CACHE` | `$XDG_CACHE_HOME/armillary`, or `~/.cache/armillary` | base images by digest; may be deleted |
| `ARMILLARY_VENV` | `.venv` in the checkout | the Python environment that `./armillary` makes and uses |
| `ARMILLARY_ADMIN_PASSWORD` | | tells `armillary demo` the password of `admin` on a platform that it did not set up |

What the commands of a user read (`ARMILLARY_URL` and others) is on the page of [the command line](command-line.md).
"""


def _rows(model: type[BaseModel], prefix: str, skip: Iterable[str] = ()) -> list[list[str]]:
    return [
        [
            f"`{name}`",
            _type(field.annotation).replace("|", "\\|") + _bounds(field),
            _default(name, field),
            f"`{prefix}{name.upper()}`",
            field.description or _WORDS[name],
        ]
        for name, field in model.model_fields.items()
        if name not in skip
    ]


def _table(rows: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _model(field: FieldInfo) -> type[BaseModel]:
    annotation: Any = field.annotation
    return get_args(annotation)[0] if get_origin(annotation) is list else annotation


def _type(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in inside)
    if origin is types.UnionType:
        return " or ".join(_type(part) for part in inside if part is not types.NoneType)
    if origin is list:
        return f"list of {_type(inside[0])}"
    if origin is dict:
        return "table of text"
    names = {str: "text", int: "whole number", float: "number", Path: "file"}
    return names.get(annotation, str(annotation))


def _bounds(field: FieldInfo) -> str:
    known = {"ge": "≥", "gt": ">", "le": "≤"}
    found = [
        f"{sign} {value}" for item in field.metadata for name, sign in known.items()
        if (value := getattr(item, name, None)) is not None
    ]  # fmt: skip
    return f" {', '.join(found)}" if found else ""


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if name in _MACHINE:
        return _MACHINE[name]
    value: Any = field.default
    if value is None or value in ("", [], {}):
        return "none"
    return f"`{value}`"


def _default_clouds() -> str:
    made: Any = Settings.model_fields["clouds"].get_default(call_default_factory=True)
    return " and ".join(f"`{c.name}` (port {c.port}, `{c.floating_cidr}`)" for c in made)


def pages() -> dict[str, str]:
    """Return all generated pages by file name."""
    return {
        "settings.md": settings_page(),
        "errors.md": reference_errors.page(_MADE),
        "policy.md": reference_policy.page(_MADE),
        "submit-files.md": reference_submit.page(_MADE),
    }


def write(directory: Path) -> None:
    """Write all generated pages into `directory`."""
    for name, text in pages().items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(inspect.getdoc(sys.modules[__name__]))
    write(Path(sys.argv[1]))
    click.echo(f"written: {', '.join(pages())}", err=True)
