"""Bring outputs back to where the person submitted, without treading on what they changed since."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.client.batch import Batch
from armillary.client.errors import ClientError
from armillary.client.notes import Notes
from armillary.client.submitfile import CLUSTER

STREAMS = {"_condor_stdout": "output", "_condor_stderr": "error"}
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What became of one output. `outcome`: written, same (it was here already), or kept (a changed file is here)."""

    job: str
    name: str
    path: str
    outcome: str


class Fetcher:
    """Writes outputs. A file that is here with another content than we last wrote is kept, unless `overwrite`."""

    def __init__(
        self, *, batch: Batch, notes: Notes, to: Path | None = None, overwrite: bool = False
    ) -> None:
        self._batch = batch
        self._notes = notes
        self._to = to
        self._overwrite = overwrite

    def fetch(self, job: str) -> list[Fetched]:
        """Bring all outputs of a job; each appears whole, with a verified digest."""
        detail = self._batch.job(job)
        spec: Mapping[str, Any] = detail["spec"]
        outputs: dict[str, str] = {entry["name"]: entry["sha256"] for entry in detail["outputs"]}
        if detail["state"] == "completed":  # a stream that stayed empty is not sent, but its file is expected
            for stream, key in STREAMS.items():
                if spec.get(key):
                    outputs.setdefault(stream, _EMPTY)
        return [
            self._bring(job, name, digest, self.place(spec, name, cluster=str(detail["cluster"])))
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

    def _bring(self, job: str, name: str, sha256: str, path: Path) -> Fetched:
        def result(outcome: str) -> Fetched:
            return Fetched(job=job, name=name, path=str(path), outcome=outcome)

        here = _digest(path)
        if here == sha256:
            self._notes.write(path, sha256)
            return result("same")
        if here is not None and here != self._notes.wrote(path) and not self._overwrite:
            return result("kept")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                came = _EMPTY if sha256 == _EMPTY else self._batch.receive_output(job, name, file)
            if came != sha256:
                raise ClientError(
                    f"{name} of job {job} came with a wrong checksum",
                    code="wrong_checksum",
                    answered=200,
                    remedy="Fetch it again.",
                )
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        self._notes.write(path, sha256)
        return result("written")


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
