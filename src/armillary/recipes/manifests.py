"""What is in the base images that were built on this computer, by their digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast


class Manifests:
    """Reads the manifests of the cache; each once, for they never change."""

    def __init__(self, *, cache: Path) -> None:
        self._images = cache / "images"
        self._read: dict[Path, Mapping[str, Any]] = {}

    def packages(self, sha512: str) -> Mapping[str, str]:
        """Return the packages of an image with their versions; nothing for one that was not built here."""
        packages: Mapping[str, Any] = (self.of(sha512) or {}).get("packages") or {}
        return {name: str(version) for name, version in packages.items()}

    def of(self, sha512: str) -> Mapping[str, Any] | None:
        """Return what was written down when an image was built or imported here; None for others."""
        return self._with("sha512", sha512)

    def locked(self, sha256: str) -> Mapping[str, Any] | None:
        """Return what was written down when an image of this lock was built here; None for others."""
        return self._with("lock_sha256", sha256)

    def _with(self, field: str, value: str) -> Mapping[str, Any] | None:
        for path in self._images.glob("*/manifest.json"):
            if path not in self._read:
                self._read[path] = _read(path)
            if value and self._read[path].get(field) == value:
                return self._read[path]
        return None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
        return cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    except (OSError, ValueError):
        return {}  # being written now, or damaged: then nothing is known of it
