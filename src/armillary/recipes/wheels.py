"""Python packages for the image's own Python, fetched here with this computer's pip and its settings."""

from __future__ import annotations

import configparser
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from armillary.recipes.model import BuildFailed, GuestFile, Recipe
from armillary.recipes.run import run

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any")


def fetch_wheels(recipe: Recipe, *, folder: Path) -> list[Path]:
    """Fetch the recipe's wheels into `folder`, and return them.

    Dependencies come along, but for those that the distribution's own packages provide.

    Raises:
        BuildFailed: pip could not fetch them.
    """
    run([*_pip(recipe.python, folder), *recipe.wheels], what="fetching Python packages for the image")
    found = [
        wheel
        for wheel in sorted(folder.glob("*.whl"))
        if wheel.name.split("-")[0].replace("_", "-").lower() not in recipe.wheels_from_system
    ]
    if not found:
        raise BuildFailed("pip fetched no Python packages for the image")
    return found


def fetch_wheel(file: str, sha256: str, *, python: str, folder: Path) -> None:
    """Fetch the one wheel that is called so and has this digest; it is not there afterwards if nobody has it."""
    name, version, *_ = file.split("-")
    wanted = folder / f".{file}.txt"
    wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    try:
        run([*_pip(python, folder), "--no-deps", "--requirement", str(wanted)], what=f"fetching {file}")
    except BuildFailed:
        return
    finally:
        wanted.unlink()


def _pip(python: str, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    command += [part for platform in _PLATFORMS for part in ("--platform", platform)]
    return [*command, "--dest", str(folder)]


def wheel_files(wheels: Iterable[Path], *, python: str) -> dict[str, GuestFile]:
    """Return the files that wheels put into the image, scripts included."""
    files: dict[str, GuestFile] = {}
    for wheel in wheels:
        files |= unpack(wheel, python=python)
    return files


def unpack(wheel: Path, *, python: str) -> dict[str, GuestFile]:
    """Return the files of one wheel at their places in a Debian's `/usr/local`, console scripts too."""
    site = f"usr/local/lib/python{python}/dist-packages"
    files: dict[str, GuestFile] = {}
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            path = _place(info.filename)
            if path is None:
                continue
            content = archive.read(info)
            files[f"{site}/{path}"] = GuestFile(content=content)
            if path.endswith(".dist-info/entry_points.txt"):
                files |= _scripts(content.decode())
    return files


def _place(name: str) -> str | None:
    """Return where in the site a member goes; `*.data` has a place only for Python code."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return name
    scheme, _, inner = rest.partition("/")
    return inner if scheme in ("purelib", "platlib") else None


def _scripts(entry_points: str) -> dict[str, GuestFile]:
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]  # names keep their case
    parser.read_string(entry_points)
    scripts: dict[str, GuestFile] = {}
    for name, reference in parser.items("console_scripts") if parser.has_section("console_scripts") else ():
        module, _, attribute = reference.partition(":")
        text = (
            f"#!/usr/bin/python3\nimport sys\n\nfrom {module} import {attribute}\n\n"
            f'if __name__ == "__main__":\n    sys.exit({attribute}())\n'
        )
        scripts[f"usr/local/bin/{name}"] = GuestFile(content=text.encode(), mode=0o755)
    return scripts
