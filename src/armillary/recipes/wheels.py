"""Python packages for the image's own Python, fetched here with this computer's pip and its settings."""

from __future__ import annotations

import configparser
import sys
import zipfile
from pathlib import Path

from armillary.recipes.model import BuildFailed, GuestFile, Recipe
from armillary.recipes.run import run

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any")


def wheel_files(recipe: Recipe, *, work: Path) -> dict[str, GuestFile]:
    """Return the files that the recipe's wheels put into the image, scripts included.

    Dependencies come along, but for those that the distribution's own packages provide.

    Raises:
        BuildFailed: pip could not fetch them.
    """
    target = work / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", recipe.python]
    command += [part for platform in _PLATFORMS for part in ("--platform", platform)]
    run([*command, "--dest", str(target), *recipe.wheels], what="fetching Python packages for the image")
    files: dict[str, GuestFile] = {}
    for wheel in sorted(target.glob("*.whl")):
        if wheel.name.split("-")[0].replace("_", "-").lower() not in recipe.wheels_from_system:
            files |= unpack(wheel, python=recipe.python)
    if not files:
        raise BuildFailed("pip fetched no Python packages for the image")
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
