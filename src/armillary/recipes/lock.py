"""All that an image was made of, by digest: its recipe whole, packages and wheels. It lies in the image. Values only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote

from armillary.base.errors import Invalid
from armillary.base.units import Bytes
from armillary.recipes.model import AptSource, GuestFile, Recipe

PLACE = "usr/share/armillary/lock.json"
"""Where it is in the image."""
FORMAT = "armillary-image-lock/1"
_PRINTED = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) \d+ SHA256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~%-]*")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file that goes in: a package of the distribution, or a wheel, which has no `uri`."""

    file: str
    sha256: str
    uri: str = ""

    @property
    def package(self) -> tuple[str, str]:
        """Name and version of the package, as its file is called."""
        name, version, _ = unquote(self.file).split("_")
        return name, version


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What one build was made of.

    Attributes:
        epoch: the moment, in seconds since 1970, that nothing in the image is younger than.
        apt: what the image has as configuration of apt, from the computer that it was built on first.
        snapshot: the state of each suite: date and digest of its index.
        packages: of the distribution; none before they were installed for the first time.
        wheels: those that are in the image.
        tools: with which the first build was made; others may write other bytes for the same files.
    """

    recipe: Recipe
    sources: tuple[AptSource, ...]
    apt: str
    epoch: int
    snapshot: tuple[Mapping[str, str], ...]
    wheels: tuple[Piece, ...]
    packages: tuple[Piece, ...]
    tools: Mapping[str, str]

    @property
    def text(self) -> str:
        """The lock as the image has it; the same for the same values."""
        recipe = asdict(self.recipe)
        recipe["wheels_from_system"] = sorted(self.recipe.wheels_from_system)
        recipe["files"] = {
            path: {"mode": file.mode, "text": file.content.decode()}
            for path, file in self.recipe.files.items()
        }
        told = {
            "format": FORMAT,
            "epoch": self.epoch,
            "inputs_sha256": self.recipe.digest(self.sources),
            "tools": dict(self.tools),
            "snapshot": [dict(one) for one in self.snapshot],
            "sources": [asdict(source) for source in self.sources],
            "apt": self.apt,
            "packages": [asdict(piece) for piece in self.packages],
            "wheels": [asdict(piece) for piece in self.wheels],
            "recipe": recipe,
        }
        return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @property
    def sha256(self) -> str:
        """The digest of its text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def lock_from(text: str) -> Lock:
    """Return the lock in a text.

    Raises:
        Invalid: `not_a_lock`, with what is wrong.
    """
    try:
        told: Any = json.loads(text)
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {told['format']}")
        recipe = told["recipe"]
        lock = Lock(
            recipe=Recipe(
                name=recipe["name"],
                version=recipe["version"],
                title=recipe["title"],
                suite=recipe["suite"],
                python=recipe["python"],
                packages=tuple(recipe["packages"]),
                wheels=tuple(recipe["wheels"]),
                wheels_from_system=frozenset(recipe["wheels_from_system"]),
                files={
                    path: GuestFile(content=file["text"].encode(), mode=file["mode"])
                    for path, file in recipe["files"].items()
                },
                setup=recipe["setup"],
                size=Bytes(recipe["size"]),
                properties=recipe["properties"],
            ),
            sources=tuple(
                AptSource(uri=one["uri"], suites=tuple(one["suites"]), components=tuple(one["components"]))
                for one in told["sources"]
            ),
            apt=told["apt"],
            epoch=int(told["epoch"]),
            snapshot=tuple(told["snapshot"]),
            wheels=tuple(_piece(one) for one in told["wheels"]),
            packages=tuple(_package(one) for one in told["packages"]),
            tools=told["tools"],
        )
        if lock.recipe.digest(lock.sources) != told["inputs_sha256"]:
            raise ValueError("its recipe is not the one that the image was made from")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid(
            f"This is not what an image was made of: {error}",
            code="not_a_lock",
            remedy="Give an image that armillary image build made, or the lock.json beside it",
        ) from error
    return lock


def _piece(told: Mapping[str, str]) -> Piece:
    if not _PLAIN.fullmatch(told["file"]) or not re.fullmatch("[0-9a-f]{64}", told["sha256"]):
        raise ValueError(f"{told['file']!r} is no file with a digest")
    return Piece(file=told["file"], sha256=told["sha256"], uri=told["uri"])


def _package(told: Mapping[str, str]) -> Piece:
    piece = _piece(told)
    if len(unquote(piece.file).split("_")) != 3:
        raise ValueError(f"{piece.file!r} is no package")
    return piece


def pieces_printed(text: str) -> tuple[Piece, ...]:
    """Return the packages in what `apt-get --print-uris download` says."""
    found = [Piece(uri=one["uri"], file=one["file"], sha256=one["sha256"]) for one in _PRINTED.finditer(text)]
    return tuple(sorted(found, key=lambda piece: piece.file))
