"""What is in the base images that were built on this computer, by their digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Manifests:
    """Reads the manifests of the cache; each once, for they never change."""

    def __init__(self, *, cache: Path) -> None:
        self._images = cache / "images"
        self._read: dict[Path, tuple[str, Mapping[str, str]]] = {}

    def packages(self, sha512: str) -> Mapping[str, str]:
        """Return the packages of an image with their versions; nothing for one that was not built here."""
        for path in self._images.glob("*/manifest.json"):
            if path not in self._read:
                self._read[path] = _read(path)
            digest, packages = self._read[path]
            if digest == sha512:
                return packages
        return {}


def _read(path: Path) -> tuple[str, Mapping[str, str]]:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        packages: dict[str, Any] = told.get("packages") or {}
        return str(told.get("sha512", "")), {name: str(version) for name, version in packages.items()}
    except (OSError, ValueError, AttributeError):
        return "", {}  # being written now, or damaged: then nothing is known of it
