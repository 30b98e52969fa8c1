"""Send a submission: its files first, each content once, then the jobs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from armillary.base.errors import Invalid
from armillary.client.batch import Batch
from armillary.client.errors import Unreachable
from armillary.client.submitfile import Submission

Progress = Callable[[str, int, int], None]
"""Told of each file that is sent: its name, how many are sent, how many there are to send."""


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A file as it was when its digest was taken."""

    path: Path
    sha256: str
    size: int
    mode: int


def take_files(submission: Submission, *, base: Path) -> dict[str, LocalFile]:
    """Return the files of a submission by their keys. Raises Invalid for one that cannot be read."""
    taken: dict[str, LocalFile] = {}
    by_path: dict[str, LocalFile] = {}
    for key, source in submission.sources.items():
        if source not in by_path:
            by_path[source] = _take(base / source)
        taken[key] = by_path[source]
    return taken


def send(
    submission: Submission,
    *,
    batch: Batch,
    files: dict[str, LocalFile],
    project: str,
    image: str,
    flavor: str,
    progress: Progress,
) -> dict[str, Any]:
    """Send what is missing and queue the jobs; returns the platform's reply.

    The jobs are queued all or none, and once, also when a reply is lost on the way.
    """
    contents = {file.sha256: file for file in files.values()}
    missing = batch.missing(list(contents))
    for number, digest in enumerate(missing, start=1):
        progress(contents[digest].path.name, number, len(missing))
        batch.send_blob(digest, contents[digest].path)
    common, jobs = submission.wire()
    body = {
        "project": project,
        "image": image,
        "flavor": flavor,
        **submission.shared(),
        "submit_text": submission.text,
        "common": common,
        "jobs": jobs,
        "files": {k: {"sha256": f.sha256, "size": f.size, "mode": f.mode} for k, f in files.items()},
    }
    key = str(uuid4())
    try:
        return batch.submit(body, key=key)
    except Unreachable:  # it may have arrived; the key keeps a second one from counting
        return batch.submit(body, key=key)


def _take(path: Path) -> LocalFile:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            facts = os.fstat(file.fileno())
    except OSError as error:
        raise Invalid(
            f"cannot read {path}: {error.strerror}",
            code="unreadable_file",
            remedy="Correct its name or its mode.",
        ) from error
    return LocalFile(path=path, sha256=digest, size=facts.st_size, mode=facts.st_mode & 0o777)
