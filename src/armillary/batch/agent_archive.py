"""Packs the worker's agent into one file: an archive that any Python 3.9 or later runs."""

from __future__ import annotations

import ast
import functools
import io
import zipfile
from importlib import resources

PACKAGE = "armillary.guest.agent"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_MAIN = f"import sys\nfrom {PACKAGE}.__main__ import main\nsys.exit(main())\n"


@functools.cache
def agent_source() -> bytes:
    """Return the agent as a zip application, the same bytes for the same source.

    Comments and docstrings stay at home, since user data has a limit; nothing is compressed here, since it is
    compressed as a whole there, which is smaller.
    """
    folder = resources.files(PACKAGE)
    files = {"__main__.py": _MAIN, "armillary/__init__.py": "", "armillary/guest/__init__.py": ""}
    for item in folder.iterdir():
        if item.name.endswith(".py"):
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
