"""Runs jobs again from their records alone: the same image by its digest, the same inputs by theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Conflict, Invalid
from armillary.batch.holdings import Holdings
from armillary.batch.intake import SubmitRequest
from armillary.batch.service import Submitted
from armillary.crates.layout import Crate
from armillary.crates.record import Access, Content, JobRecord
from armillary.crates.withholding import WITHHELD
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
            Conflict: `contents_gone`, `inputs_changed`, `secrets_withheld`: with the list; nothing was queued.
            NotFound: no cloud has an image with the digest.
        """
        if cloud is not None and not _CLOUD.fullmatch(cloud):
            raise Invalid(f"not a cloud: {cloud!r}", facts={"field": "cloud"}, remedy="See: armillary clouds")
        self._exports.require_inputs(crate)
        self._require_unchanged(who, [job.document for job in crate.jobs])
        _require_arguments([job.document for job in crate.jobs])
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
        if without := _without(jobs):
            submitted = replace(submitted, warnings=[*submitted.warnings, without])
        return Rerun(submitted=submitted, jobs={job.proc: job.job for job in jobs})

    def refusals(self, who: Principal, crate: Crate) -> list[ArmillaryError]:
        """Return why these jobs could not be run again now, as far as that is to do with their inputs."""
        found: list[ArmillaryError] = []
        try:
            self._exports.require_inputs(crate)
        except ArmillaryError as gone:
            found.append(gone)
        try:
            self._require_unchanged(who, [job.document for job in crate.jobs])
        except ArmillaryError as changed:
            found.append(changed)
        try:
            _require_arguments([job.document for job in crate.jobs])
        except ArmillaryError as secret:
            found.append(secret)
        return found

    def withheld(self, crate: Crate) -> list[str]:
        """Return the names of variables that the jobs would run without, since no record has their values."""
        return _withheld([job.document for job in crate.jobs])

    def _require_unchanged(self, who: Principal, jobs: Sequence[JobRecord]) -> None:
        """Refuse when a file that a job read in VOSpace by itself has other bytes now, or is gone."""
        asked: dict[tuple[str | None, ...], str] = {}
        wrong: list[dict[str, str]] = []
        for job in jobs:
            for access in job.reads:
                read = access.uri, access.md5, access.sha256
                if read not in asked:
                    asked[read] = self._now(who, access)
                if asked[read]:
                    wrong.append({"job": job.job, "uri": access.uri, "now": asked[read]})
        if wrong:
            first = ", ".join(f"{one['uri']} ({one['now']})" for one in wrong[:3])
            raise Conflict(
                f"{len(wrong)} files that the jobs read in VOSpace are not what they were: {first}",
                code="inputs_changed",
                facts={"inputs": wrong[:_NAMED], "count": len(wrong)},
                remedy="Put the recorded bytes back where they were, from a crate or the bin.",
            )

    def _now(self, who: Principal, access: Access) -> str:
        """Return what has become of bytes that were read: `gone`, `changed`, or nothing."""
        if access.md5 is None:
            return ""
        now = self._tree.md5(who, access.uri)
        if now is None:
            return "gone"
        if now != access.md5:
            return "changed"
        # Other bytes of the same MD5 can be made on purpose. Of the bytes that were read the SHA-256 is known already.
        same = access.sha256 is None or self._tree.sha256(who, access.uri) == access.sha256
        return "" if same else "changed"


def _require_arguments(jobs: Sequence[JobRecord]) -> None:
    """Refuse jobs that were given a secret as an argument: without it they would do something else."""
    secret = [job.job for job in jobs if any(WITHHELD in argument for argument in job.arguments)]
    if secret:
        raise Conflict(
            f"{len(secret)} jobs were given a secret as an argument, and no record has it: {', '.join(secret[:3])}",
            code="secrets_withheld",
            facts={"jobs": secret[:_NAMED], "count": len(secret)},
            remedy="Submit them by hand, from the submit file in the crate.",
        )


def _withheld(jobs: Sequence[JobRecord]) -> list[str]:
    return sorted({name for job in jobs for name, value in job.environment.items() if WITHHELD in value})


def _without(jobs: Sequence[JobRecord]) -> str:
    """Return what to tell of variables that the jobs are run without."""
    names = _withheld(jobs)
    return f"run without what no record has, since it is secret: {', '.join(names[:_NAMED])}" if names else ""


def _spec(job: JobRecord, cloud: str | None) -> dict[str, Any]:
    spec = {**job.submission(), "proc": job.proc, "on_hold": False}
    spec["environment"] = {name: value for name, value in job.environment.items() if WITHHELD not in value}
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
