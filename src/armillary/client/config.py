"""Where the platform is and who we are there: one TOML file, overridden by the environment.

`$XDG_CONFIG_HOME/armillary/config.toml` (default `~/.config`) has `url`, `token`, `ca` (a file), `project` and
`user`; `ARMILLARY_URL`, `ARMILLARY_TOKEN`, `ARMILLARY_CA` and `ARMILLARY_PROJECT` stand above it. Without either,
a platform that runs on this machine is found by the note in its home directory.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from armillary.base.errors import Invalid

DEFAULT_URL = "https://127.0.0.1:8443"


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a command needs to reach the platform."""

    url: str = DEFAULT_URL
    token: str | None = None
    ca: str | None = None
    project: str | None = None
    user: str | None = None


def config_file() -> Path:
    """Return the place of the file."""
    return _xdg("XDG_CONFIG_HOME", "~/.config") / "armillary" / "config.toml"


def state_directory() -> Path:
    """Return where notes of earlier commands are kept: what was fetched, what was logged."""
    return _xdg("XDG_STATE_HOME", "~/.local/state") / "armillary"


def load() -> Config:
    """Return the settings that hold. Raises Invalid for an unreadable file."""
    config = replace(_local_platform(), **_saved())
    given = {
        "url": os.environ.get("ARMILLARY_URL"),
        "token": os.environ.get("ARMILLARY_TOKEN"),
        "ca": os.environ.get("ARMILLARY_CA"),
        "project": os.environ.get("ARMILLARY_PROJECT"),
    }
    return replace(config, **{name: value for name, value in given.items() if value})


def save(config: Config) -> Path:
    """Write the settings, readable by their owner alone; returns the file."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    values = {name: value for name, value in vars(config).items() if value}
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        tomli_w.dump(values, out)
    new.replace(file)
    return file


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or default).expanduser()


def _saved() -> dict[str, str]:
    file = config_file()
    try:
        found = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Invalid(
            f"cannot read {file}: {error}",
            code="bad_config",
            remedy="Correct it, or remove it and sign in again.",
        ) from error
    known = set(Config.__dataclass_fields__)
    return {name: str(value) for name, value in found.items() if name in known}


def _local_platform() -> Config:
    home = os.environ.get("ARMILLARY_HOME") or _xdg("XDG_DATA_HOME", "~/.local/share") / "armillary"
    try:
        note: dict[str, Any] = json.loads((Path(home).expanduser() / "run.json").read_text())
        return Config(url=str(note["url"]), ca=str(note["ca_file"]))
    except (OSError, ValueError, KeyError):
        return Config()
