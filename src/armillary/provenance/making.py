"""From what batch and VOSpace know to what a record says. Pure: the same facts make the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from armillary.batch.ended import EarlierAttempt, EndedAttempt, EndedCluster, EndedJob
from armillary.crates import withholding
from armillary.crates.record import (
    Access,
    Attempt,
    ClusterRecord,
    Content,
    Image,
    JobRecord,
    LineageStep,
    Machine,
    Person,
)
from armillary.vospace.access_model import Deed, JobAccess
from armillary.vospace.paths import VOSPath, to_uri

_MOST_OF_PATHS = 4 << 20
"""bytes of the paths of accesses, each of which is written as three at most: a document has 64 MiB"""
_APART = frozenset({"arguments", "environment"})


def cluster_record(cluster: EndedCluster, *, platform: str, lineage: Sequence[LineageStep]) -> ClusterRecord:
    """Return the record of what the jobs of one submit share."""
    return ClusterRecord(
        platform=platform,
        cluster=cluster.id,
        batch_name=cluster.batch_name,
        owner=Person(name=cluster.owner_name, id=cluster.owner),
        project=Person(name=cluster.project_name, id=cluster.project),
        submitted_at=cluster.submitted_at,
        submit_text=withholding.from_text(cluster.submit_text),
        jobs=cluster.jobs,
        flavor=cluster.flavor,
        image=Image(name=cluster.image_name, sha512=cluster.image, lineage=list(lineage)),
        wishes=_wishes(cluster.wishes),
    )


def job_record(
    job: EndedJob,
    attempt: EndedAttempt,
    cluster: EndedCluster,
    *,
    cluster_digest: str,
    accesses: Sequence[JobAccess],
    digests: Mapping[str, str],
    authority: str,
    most: int,
) -> JobRecord:
    """Return the record of one job.

    `digests` has the SHA-256 of bytes that were read or written, by their key in the byte store. Of `accesses` the
    first `most` are named, or fewer, if their paths are very long.
    """
    executable, inputs = _inputs(job)
    named = _room_for(accesses, most)
    given: Mapping[str, Any] = job.spec.get("environment") or {}
    ended = attempt.ended_at or job.finished_at
    return JobRecord(
        cluster=cluster_digest,
        job=str(job.id),
        attempt=attempt.number,
        attempts=job.attempts,
        earlier=[_earlier(one, cluster) for one in job.earlier],
        executable=executable,
        arguments=withholding.from_arguments([str(one) for one in job.spec.get("arguments") or ()]),
        environment=withholding.from_environment({str(name): str(value) for name, value in given.items()}),
        inputs=inputs,
        spec=_spec(job),
        machine=_machine(attempt, cluster),
        submitted_at=job.submitted_at,
        started_at=attempt.started_at or attempt.claimed_at,
        ended_at=ended,
        exit_code=job.exit_code if job.exit_code is not None else attempt.exit_code,
        signal=job.signal if job.signal is not None else attempt.signal,
        succeeded=job.succeeded,
        state="removed" if job.state == "removed" else "completed",
        error=attempt.error or (None if job.succeeded else job.reason),
        usage={name: float(value) for name, value in attempt.usage.items() if math.isfinite(value)},
        outputs=[Content(name=one.name, sha256=one.sha256, size=one.size) for one in job.outputs],
        accesses=[_access(one, attempt.number, digests, authority) for one in accesses[:named]],
        accesses_dropped=len(accesses) - named,
    )


def _room_for(accesses: Sequence[JobAccess], most: int) -> int:
    """Return how many of the first accesses a document has room for: paths may be long."""
    left = _MOST_OF_PATHS
    for number, one in enumerate(accesses[:most]):
        left -= len(one.path.encode())
        if left < 0:
            return number
    return min(len(accesses), most)


def contents_of(record: JobRecord) -> set[str]:
    """Return the SHA-256 of what a job made, by which its record is found. Empty files are everybody's."""
    brought = {one.sha256 for one in record.outputs if one.size}
    return brought | {
        one.sha256 for one in record.accesses if one.action == "write" and one.sha256 and one.size
    }


def _inputs(job: EndedJob) -> tuple[Content | None, list[Content]]:
    executable: Content | None = None
    inputs: list[Content] = []
    brought = job.spec.get("executable") if job.spec.get("transfer_executable", True) else None
    for file in job.inputs:
        content = Content(name=file.path, sha256=file.sha256, size=file.size, mode=file.mode)
        if file.path == brought and executable is None:
            executable = content
        else:
            inputs.append(content)
    return executable, inputs


def _spec(job: EndedJob) -> dict[str, Any]:
    return withholding.from_value({name: value for name, value in job.spec.items() if name not in _APART})


def _wishes(wishes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: withholding.from_address(str(value)) if name == "notify_url" else withholding.from_value(value)
        for name, value in wishes.items()
    }


def _machine(attempt: EndedAttempt, cluster: EndedCluster) -> Machine:
    told = attempt.hardware
    return Machine(
        cloud=attempt.cloud,
        flavor=attempt.flavor or cluster.flavor,
        worker=attempt.worker,
        server=attempt.server,
        image_sha512=attempt.image or cluster.image,
        agent_version=attempt.agent_version,
        cpu_model=told.get("cpu_model"),
        kernel=told.get("kernel"),
        architecture=told.get("architecture"),
        cpus=attempt.cpus,
        memory_mib=attempt.memory_mib,
        disk_kib=attempt.disk_kib,
        gpus=attempt.gpus,
    )


def _earlier(attempt: EarlierAttempt, cluster: EndedCluster) -> Attempt:
    return Attempt(
        number=attempt.number,
        worker=attempt.worker,
        cloud=attempt.cloud,
        server=attempt.server,
        image_sha512=attempt.image or cluster.image,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        exit_code=attempt.exit_code,
        signal=attempt.signal,
        error=attempt.error,
    )


def _access(access: JobAccess, counted: int, digests: Mapping[str, str], authority: str) -> Access:
    file = bool(access.md5)
    number = int(access.job.rpartition(".")[2])
    return Access(
        at=access.at,
        action="read" if access.deed is Deed.READ else "write" if access.deed is Deed.WRITE else "delete",
        uri=to_uri(VOSPath.parse(access.path), authority),
        sha256=(access.sha256 or digests.get(access.blob or "") or None) if file else None,
        md5=access.md5 or None,
        size=access.length if file else None,
        count=access.count,
        attempt=None if number == counted else number,
    )


def merged(accesses: Sequence[JobAccess]) -> list[JobAccess]:
    """Return accesses with those that are noted twice as one: after a restart nobody knows what was noted before it."""
    found: dict[tuple[Any, ...], JobAccess] = {}
    for one in accesses:
        key = (one.job, one.deed, one.path, one.blob, one.md5)
        first = found.get(key)
        if first is None:
            found[key] = one
        else:
            found[key] = _counted(first, one)
    return list(found.values())


def _counted(first: JobAccess, again: JobAccess) -> JobAccess:
    return replace(first, count=first.count + again.count, sha256=first.sha256 or again.sha256)
