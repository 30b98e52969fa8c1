"""Cutouts of a cube of 2 GiB: how long, and how much memory, beside astropy on the same file.

    .venv/bin/python bench/cutouts.py [--rounds 9]

The cube is sparse, so that it takes no room; its bytes are in the page cache, or are none, for both. "ours" is what
a request does behind HTTP: a node is looked up, the process for views asks for ranges, and the whole answer lies
ready. "astropy" opens the file anew (memory-mapped, its default), slices, copies, and writes a FITS file into
memory. "astropy, file object" reads through a Python file, as it must where bytes are not in a file: there is
no mapping then. Peaks of memory are those of processes of their own that do nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MiB = 1 << 20
SHAPE = (512, 1024, 1024)
CUTOUTS = {
    "one plane of 4 MiB": "[*,*,256:256]",
    "100 x 100 pixels, all 512 planes (20 MiB)": "[451:550,451:550,*]",
    "one spectrum": "[512,512,*]",
    "200 x 200 x 50 (8 MiB)": "[401:600,401:600,201:250]",
}


class LocalReader:
    """Ranges of a file, as our byte store reads them from a folder."""

    def __init__(self, path: Path) -> None:
        from armillary.vospace.bytes import FolderBytes
        from armillary.vospace.service.views import BlobReader

        store = FolderBytes(path.parent.parent)
        self._blob = BlobReader(store, path.name, path.stat().st_size)
        self.size = self._blob.size
        self.octets = 0

    def read(self, start: int, stop: int) -> bytes:
        self.octets += stop - start
        return self._blob.read(start, stop)

    def read_many(self, spans: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        self.octets += sum(stop - start for start, stop in spans)
        return self._blob.read_many(spans)

    def descriptor(self) -> int | None:
        return self._blob.descriptor()


def ours(path: Path, section: str, runner: Any) -> int:
    return sum(len(piece) for piece in runner.run(LocalReader(path), [("SUB", section)]))


def by_astropy(path: Path, section: str, *, mapped: bool) -> int:
    from astropy.io import fits

    ranges = [part.split(":") for part in section.strip("[]").split(",")]
    where = tuple(
        slice(None) if part == ["*"] else slice(int(part[0]) - 1, int(part[-1])) for part in reversed(ranges)
    )
    made = io.BytesIO()
    if mapped:
        with fits.open(path) as hdus:
            fits.PrimaryHDU(hdus[0].data[where].copy(), hdus[0].header).writeto(made)
    else:
        with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
            fits.PrimaryHDU(hdus[0].section[where].copy(), hdus[0].header).writeto(made)
    return len(made.getvalue())


def cube(folder: Path) -> Path:
    """Make the cube where the byte store would have it."""
    axes = [f"NAXIS{n + 1:<3}= {length:>20}" for n, length in enumerate(reversed(SHAPE))]
    cards = [f"SIMPLE  = {'T':>20}", f"BITPIX  = {-32:>20}", f"NAXIS   = {3:>20}", *axes, "END"]
    key = "ab" + "0" * 30
    path = folder / key[:2] / key
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.write("".join(card.ljust(80) for card in cards).ljust(2880).encode())
        size = 2880 + 4 * SHAPE[0] * SHAPE[1] * SHAPE[2]
        file.truncate(-(-size // 2880) * 2880)
    return path


def measure(who: str, path: Path, section: str, rounds: int) -> dict[str, float]:
    """Run in a process of its own: the median in ms, and the peak of memory above what the imports take."""

    from armillary.vospace.views.runners import ProcessRunner

    runner = ProcessRunner()
    work = {
        "ours": lambda: ours(path, section, runner),
        "astropy": lambda: by_astropy(path, section, mapped=True),
        "astropy, file object": lambda: by_astropy(path, section, mapped=False),
    }[who]
    tiny = "[1:1,1:1,1:1]"
    if who == "ours":
        ours(path, tiny, runner)
    else:
        by_astropy(path, tiny, mapped=True)
    before = _peak()
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    own = _peak() - before
    runner.close()
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"ms": 1000 * statistics.median(times), "grew_mib": own, "worker_mib": child}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        who, path, section = arguments.one
        print(json.dumps(measure(who, Path(path), section, arguments.rounds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = cube(Path(folder))
        print(f"{'cutout':45} {'by':22} {'median ms':>10} {'grew MiB':>9} {'worker MiB':>11}")
        for what, section in CUTOUTS.items():
            for who in ("ours", "astropy", "astropy, file object"):
                command = [
                    sys.executable,
                    __file__,
                    "--rounds",
                    str(arguments.rounds),
                    "--one",
                    who,
                    str(path),
                    section,
                ]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                worker = f"{found['worker_mib']:>11.0f}" if who == "ours" else f"{'':>11}"
                print(f"{what:45} {who:22} {found['ms']:>10.1f} {found['grew_mib']:>9.1f} {worker}")


if __name__ == "__main__":
    main()
