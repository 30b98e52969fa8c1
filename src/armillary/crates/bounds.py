"""A crate from a stranger: no more files, and no more bytes out of them, than somebody has time and memory for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from armillary.base.errors import Invalid, TooLarge
from armillary.base.units import format_size
from armillary.crates.layout import METADATA, PROV
from armillary.crates.shelves import NO_ZIP, Oddity, Shelf, Zip, read_zip

MOST_FILES = 100_000
MOST_BYTES = 4 << 30
"""read from it all together: a zip of a megabyte can hold a thousand times as much"""
MOST_PAPERS = 32 << 20
"""of records, signatures and keys: as objects in memory they are eight times as large"""
MOST_PAPER = 16 << 20
"""of one, which is parsed"""
MOST_DIRECTORY = 32 << 20
"""of the zip's own list of files: `zipfile` makes objects of it all"""


class Bounded:
    """Implements `Shelf` over another. `progress` hears how many bytes have been read."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        most_files: int = MOST_FILES,
        most_bytes: int = MOST_BYTES,
        most_papers: int = MOST_PAPERS,
        most_paper: int = MOST_PAPER,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._shelf = shelf
        self._most_files = most_files
        self._most_paper = most_paper
        self._left = {False: most_bytes, True: most_papers}
        self._progress = progress
        self._read = 0
        self.refusal: TooLarge | None = None
        """set once there was too much: what was found by then says nothing"""

    def names(self) -> Sequence[str]:
        """Return the paths of all files. Raises TooLarge when they are too many."""
        found = self._shelf.names()
        if len(found) > self._most_files:
            raise self._refuse(f"{len(found)} files; {self._most_files} are looked at here")
        return found

    def oddities(self) -> Sequence[Oddity]:
        """Return what is wrong with it as a zip."""
        return self._shelf.oddities()

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raises NotFound; TooLarge when too much was read, here or before."""
        if self.refusal is not None:
            raise self.refusal
        paper, size = path.startswith(("records/", "keys/")) or path in {METADATA, PROV}, 0
        for chunk in self._shelf.chunks(path):
            size += len(chunk)
            self._read += len(chunk)
            self._left[paper] -= len(chunk)
            if self._left[paper] < 0 or (paper and size > self._most_paper):
                raise self._refuse("more in it than is read here")
            self._progress(self._read)
            yield chunk

    def _refuse(self, what: str) -> TooLarge:
        self.refusal = too_large(what)
        return self.refusal


def too_large(what: str) -> TooLarge:
    """Return the refusal of a crate that has too much of something."""
    return TooLarge(
        f"The crate has {what}.",
        code="crate_too_large",
        facts={"has": what},
        remedy="Verify it on your own machine: armillary verify CRATE",
    )


@contextmanager
def open_bounded(file: IO[bytes], progress: Callable[[int], None]) -> Generator[Bounded]:
    """Open a zip file of a stranger.

    Raises:
        Invalid: it is none, code `no_crate`. TooLarge: its list of files is too long.
    """
    try:
        archive = read_zip(
            file,
            most=MOST_DIRECTORY,
            refuse=lambda size: too_large(f"a list of files of {format_size(size)}"),
        )
    except NO_ZIP as error:
        raise Invalid(
            "This is no crate: it is not a zip file that can be read.",
            code="no_crate",
            remedy="Choose what `armillary export` wrote.",
        ) from error
    with archive:
        yield Bounded(Zip(archive=archive), progress=progress)
