"""Bring outputs back to where the person submitted, without treading on what they changed since."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from armillary.client.batch import Batch
from armillary.client.errors import ClientError
from armillary.client.notes import Notes
from armillary.client.side_by_side import side_by_side
from armillary.client.submitfile import CLUSTER

STREAMS = {"_condor_stdout": "output", "_condor_stderr": "error"}
_KNOWN_AT_ONCE = 64
"""jobs of which is known at a time what is to be brought"""
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What became of one output. `outcome`: written, same (it was here already), or kept (a changed file is here)."""

    job: str
    name: str
    path: str
    outcome: str


class _Wanted(NamedTuple):
    """An output, and where it goes."""

    job: str
    name: str
    sha256: str
    path: Path


class Fetcher:
    """Writes outputs. A file that is here with another content than we last wrote is kept, unless `overwrite`."""

    def __init__(
        self, *, batch: Batch, notes: Notes, to: Path | None = None, overwrite: bool = False
    ) -> None:
        self._batch = batch
        self._notes = notes
        self._to = to
        self._overwrite = overwrite

    def fetch(self, *jobs: str) -> list[Fetched]:
        """Bring all outputs of jobs, a few at once; each appears whole, with a verified digest.

        What goes to the same file is brought in the order of the jobs: the last one stays. Returned in order, too.
        """
        fetched: list[Fetched] = []
        for start in range(0, len(jobs), _KNOWN_AT_ONCE):
            some = jobs[start : start + _KNOWN_AT_ONCE]
            details = side_by_side(self._batch.job, some)
            fetched += self._bring_all(
                [one for job, detail in zip(some, details, strict=True) for one in self._wanted(job, detail)]
            )
        return fetched

    def _bring_all(self, wanted: Sequence[_Wanted]) -> list[Fetched]:
        by_place: dict[Path, list[int]] = {}
        for number, one in enumerate(wanted):
            by_place.setdefault(one.path, []).append(number)
        brought: dict[int, Fetched] = {}

        def bring(numbers: Sequence[int]) -> None:
            for number in numbers:
                brought[number] = self._bring(wanted[number])

        side_by_side(bring, by_place.values())
        return [brought[number] for number in range(len(wanted))]

    def _wanted(self, job: str, detail: Mapping[str, Any]) -> list[_Wanted]:
        spec: Mapping[str, Any] = detail["spec"]
        outputs: dict[str, str] = {entry["name"]: entry["sha256"] for entry in detail["outputs"]}
        if detail["state"] == "completed":  # a stream that stayed empty is not sent, but its file is expected
            for stream, key in STREAMS.items():
                if spec.get(key):
                    outputs.setdefault(stream, _EMPTY)
        return [
            _Wanted(job, name, digest, self.place(spec, name, cluster=str(detail["cluster"])))
            for name, digest in outputs.items()
            if name not in STREAMS or spec.get(STREAMS[name])
        ]

    def place(self, spec: Mapping[str, Any], name: str, *, cluster: str) -> Path:
        """Return where an output of a job goes on this machine."""
        if name in STREAMS:
            wanted = str(spec[STREAMS[name]])
        else:
            remaps: Mapping[str, str] = spec.get("transfer_output_remaps") or {}
            wanted = remaps.get(name, name)
        wanted = wanted.replace(CLUSTER, cluster)
        if self._to:  # a name that leads elsewhere stays below the directory that was asked for
            path = (self._to / wanted.lstrip("/")).resolve()
            return path if path.is_relative_to(self._to.resolve()) else self._to.resolve() / path.name
        home = Path(spec.get("iwd") or ".")
        return (home if home.is_dir() else Path()).resolve() / wanted

    def _bring(self, wanted: _Wanted) -> Fetched:
        job, name, sha256, path = wanted

        def result(outcome: str) -> Fetched:
            return Fetched(job=job, name=name, path=str(path), outcome=outcome)

        here = _digest(path)
        if here == sha256:
            self._notes.write(path, sha256)
            return result("same")
        if here is not None and here != self._notes.wrote(path) and not self._overwrite:
            return result("kept")
        path.parent.mkdir(parents=True, exist_ok=True)
        # its name has the digest: what an interrupted fetch left is the beginning of just these bytes
        partial = path.with_name(f".{path.name[:200]}.{sha256[:16]}.part")
        with _alone(partial) as file:
            came = _EMPTY if sha256 == _EMPTY else self._batch.receive_output(job, name, file)
            if came != sha256:
                partial.unlink(missing_ok=True)
                raise ClientError(
                    f"{name} of job {job} came with a wrong checksum",
                    code="wrong_checksum",
                    answered=200,
                    remedy="Fetch it again.",
                )
            with suppress(FileNotFoundError):  # another fetch, which we waited for, has put it there
                partial.replace(path)
        self._notes.write(path, sha256)
        return result("written")


@contextmanager
def _alone(partial: Path) -> Generator[BinaryIO]:
    """Open a half-written file, for us alone: two that fetch the same at once do not write over each other."""
    with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
