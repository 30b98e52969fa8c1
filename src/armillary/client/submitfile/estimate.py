"""What a submission asks for in all, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from armillary.client.submitfile.model import Submission, is_address


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Sums over all jobs. `input_bytes` is what workers fetch from us, `sent_bytes` what is sent once before.

    `core_hours` and `longest_hours` hold at most, from `allowed_execute_duration`; None when a job has none. Inputs
    that workers fetch from an `addresses` are not counted in bytes, since nobody here knows their sizes.
    """

    jobs: int
    cores: int
    gpus: int
    memory_mib: int
    disk_kib: int
    core_hours: float | None
    longest_hours: float | None
    files: int
    addresses: int
    input_bytes: int
    sent_bytes: int

    def as_dict(self) -> dict[str, int | float | None]:
        """Return the shape that programs read."""
        return asdict(self)


def estimate(submission: Submission, *, sizes: Mapping[str, int], contents: Mapping[str, str]) -> Estimate:
    """Return the sums; `sizes` are the bytes of each file of the submission, `contents` what is in it, as a digest."""
    jobs = submission.jobs
    limits = [job.allowed_execute_seconds for job in jobs]
    known = [limit for limit in limits if limit is not None]
    bounded = len(known) == len(limits)
    seconds = sum(job.request_cpus * (job.allowed_execute_seconds or 0) for job in jobs)
    once = {contents[key]: size for key, size in sizes.items()}
    return Estimate(
        jobs=len(jobs),
        cores=sum(job.request_cpus for job in jobs),
        gpus=sum(job.request_gpus for job in jobs),
        memory_mib=sum(job.request_memory_mib for job in jobs),
        disk_kib=sum(job.request_disk_kib for job in jobs),
        core_hours=round(seconds / 3600, 3) if bounded else None,
        longest_hours=round(max(known) / 3600, 3) if bounded else None,
        files=len(once),
        addresses=sum(is_address(name) for job in jobs for name in job.transfer_input_files),
        input_bytes=sum(sizes[key] for job in jobs for key in job.input_keys),
        sent_bytes=sum(once.values()),
    )
