"""Packs the worker's agent into one file: an archive that any Python 3.9 or later runs."""

from __future__ import annotations

import ast
import functools
import io
import zipfile
from collections.abc import Callable
from importlib import resources

PACKAGE = "armillary.guest.agent"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
BESIDE = "beside"
"""The module that stands beside jobs of HTCondor's."""
_OF_BESIDE = frozenset(
    (
        "__init__",
        "basics",
        "calls",
        "keeper",
        "keeping",
        "launch",
        "measuring",
        "server",
        "slots",
        "staging",
        "streams",
    )
) | {"websocket", BESIDE}


@functools.cache
def agent_source() -> bytes:
    """Return the agent as a zip application, the same bytes for the same source."""
    return _packed("__main__", lambda module: module != BESIDE)


@functools.cache
def beside_source() -> bytes:
    """Return what stands beside a job of HTCondor's, likewise."""
    return _packed(BESIDE, lambda module: module in _OF_BESIDE)


def _packed(main: str, wanted: Callable[[str], bool]) -> bytes:
    """Return modules of the agent as an archive that runs one of them.

    Comments and docstrings stay at home, since user data has a limit; nothing is compressed here, since it is
    compressed as a whole there, which is smaller.
    """
    folder = resources.files(PACKAGE)
    begin = f"import sys\nfrom {PACKAGE}.{main} import main\nsys.exit(main())\n"
    files = {"__main__.py": begin, "armillary/__init__.py": "", "armillary/guest/__init__.py": ""}
    for item in folder.iterdir():
        if item.name.endswith(".py") and wanted(item.name.removesuffix(".py")):
            files[f"{PACKAGE.replace('.', '/')}/{item.name}"] = bare(item.read_text())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(files):
            bundle.writestr(zipfile.ZipInfo(name, _LONG_AGO), files[name])
    return archive.getvalue()


def bare(source: str) -> str:
    """Return a module without what Python does not read."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [line for line in node.body if not _is_text(line)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(line: ast.stmt) -> bool:
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )
