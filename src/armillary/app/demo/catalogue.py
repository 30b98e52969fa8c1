"""Reads and compares SExtractor catalogues (ASCII_HEAD)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One detected source: its position in pixels, and all its columns as they were printed."""

    x: float
    y: float
    columns: tuple[str, ...]


def read_catalogue(text: str) -> tuple[Source, ...]:
    """Return the sources of an `ASCII_HEAD` catalogue, in its order.

    Raises:
        ValueError: it names no X_IMAGE and Y_IMAGE, or a row is short.
    """
    names: dict[str, int] = {}
    sources: list[Source] = []
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "#":
            names[words[2]] = int(words[1]) - 1
        else:
            if "X_IMAGE" not in names or "Y_IMAGE" not in names:
                raise ValueError("not a catalogue: its head names no X_IMAGE and Y_IMAGE")
            try:
                sources.append(
                    Source(float(words[names["X_IMAGE"]]), float(words[names["Y_IMAGE"]]), tuple(words))
                )
            except IndexError:
                raise ValueError(f"a row is short: {line!r}") from None
    return tuple(sources)


def same_sources(found: tuple[Source, ...], reference: tuple[Source, ...]) -> bool:
    """Whether two catalogues have the same number of sources, each at the same position as printed."""
    return len(found) == len(reference) and all(
        (a.x, a.y) == (b.x, b.y) for a, b in zip(found, reference, strict=True)
    )
