"""Runs jobs again from their records alone: the same image by its digest, the same inputs by theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Invalid
from armillary.batch.holdings import Holdings
from armillary.batch.intake import SubmitRequest
from armillary.batch.service import Submitted
from armillary.crates.layout import Crate
from armillary.crates.record import Content, JobRecord
from armillary.provenance.crate_ports import Tree
from armillary.provenance.exporting import Exports

_CLOUD = re.compile(r"[A-Za-z0-9._-]{1,255}")
_NAMED = 50
Ask = Callable[[Mapping[str, Any], str | None], SubmitRequest]
"""Makes a checked request of a submit's JSON shape and its idempotency key."""


class Queue(Protocol):
    """Where jobs are submitted: `batch.service.BatchService`."""

    @property
    def files(self) -> Holdings:
        """What people have sent for their submits."""
        ...

    def submit(self, who: Principal, request: SubmitRequest) -> Submitted:
        """Queue jobs."""
        ...


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """Jobs that were queued again. `jobs` maps the new ones' numbers to the records' jobs."""

    submitted: Submitted
    jobs: Mapping[int, str]


class Reruns:
    """Queues recorded jobs again."""

    def __init__(self, *, exports: Exports, queue: Queue, tree: Tree, ask: Ask) -> None:
        self._exports = exports
        self._queue = queue
        self._tree = tree
        self._ask = ask

    def rerun(
        self, who: Principal, crate: Crate, *, cloud: str | None, project: str | None, key: str | None
    ) -> Rerun:
        """Queue the jobs of a crate as a new cluster, pinned to a cloud if one is named.

        Raises:
            Conflict: `contents_gone`, `inputs_changed`: with the list; nothing was queued.
            NotFound: no cloud has an image with the digest.
        """
        if cloud is not None and not _CLOUD.fullmatch(cloud):
            raise Invalid(f"not a cloud: {cloud!r}", facts={"field": "cloud"}, remedy="See: armillary clouds")
        self._exports.require_inputs(crate)
        self._require_unchanged(who, [job.document for job in crate.jobs])
        # whoever may see the records of jobs may see their files
        self._queue.files.vouch(who, (file.sha256 for job in crate.jobs for file in job.document.files))
        cluster = crate.cluster.document
        jobs = [job.document for job in crate.jobs]
        body: dict[str, Any] = {
            **{
                name: value
                for name, value in cluster.wishes.items()
                if name in {"max_materialize", "max_idle"}
            },
            "project": project or cluster.project.name,
            "image": cluster.image.sha512,
            "flavor": cluster.flavor,
            "batch_name": f"rerun of {cluster.batch_name or cluster.cluster}"[:255],
            "submit_text": cluster.submit_text,
            "jobs": [_spec(job, cloud) for job in jobs],
            "files": _files(jobs),
        }
        submitted = self._queue.submit(who, self._ask(body, key))
        return Rerun(submitted=submitted, jobs={job.proc: job.job for job in jobs})

    def _require_unchanged(self, who: Principal, jobs: Sequence[JobRecord]) -> None:
        """Refuse when a file that a job read in VOSpace by itself has other bytes now, or is gone."""
        asked: dict[str, str | None] = {}
        wrong: list[dict[str, str]] = []
        for job in jobs:
            for access in job.reads:
                if access.uri not in asked:
                    asked[access.uri] = self._tree.md5(who, access.uri)
                now = asked[access.uri]
                if access.md5 is not None and now != access.md5:
                    wrong.append({"job": job.job, "uri": access.uri, "now": "changed" if now else "gone"})
        if wrong:
            first = ", ".join(f"{one['uri']} ({one['now']})" for one in wrong[:3])
            raise Conflict(
                f"{len(wrong)} files that the jobs read in VOSpace are not what they were: {first}",
                code="inputs_changed",
                facts={"inputs": wrong[:_NAMED], "count": len(wrong)},
                remedy="Put the recorded bytes back where they were, from a crate or the bin.",
            )


def _spec(job: JobRecord, cloud: str | None) -> dict[str, Any]:
    spec = {**job.submission(), "proc": job.proc, "on_hold": False}
    if cloud is not None:
        before = spec.get("requirements")
        pin = f'CloudName == "{cloud}"'
        spec["requirements"] = f"({before}) && {pin}" if before else pin
    return spec


def _files(jobs: Sequence[JobRecord]) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = {}
    for job in jobs:
        for file in job.files:
            known = files.setdefault(
                file.name, {"sha256": file.sha256, "size": file.size, "mode": _mode(job, file)}
            )
            if known["sha256"] != file.sha256:
                raise Conflict(
                    f"two jobs call different contents {file.name}",
                    code="names_clash",
                    facts={"name": file.name, "job": job.job},
                    remedy="Run these jobs again one at a time.",
                )
    return files


def _mode(job: JobRecord, file: Content) -> int:
    return file.mode if file.mode is not None else 0o755 if file is job.executable else 0o644
