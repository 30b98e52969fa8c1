"""Puts the jobs of a space together."""

from __future__ import annotations

from armillary.base.bell import Bell
from armillary.vospace.courier import HttpCourier
from armillary.vospace.job_ports import Courier, JobRecords
from armillary.vospace.service import JobService, VOSpaceService
from armillary.vospace.service.job_work import Holder, JobWork
from armillary.vospace.service.runner import JobRunner


def build_jobs(
    *,
    records: JobRecords,
    space: VOSpaceService,
    courier: Courier | None = None,
    holder: Holder | None = None,
    workers: int = 4,
) -> JobService:
    """Return the jobs of `space`, with their workers. Call `tick` every second or so, and `close` at the end.

    `courier` goes to other services; without one it goes to the Internet only. `holder` looks whether a
    credential is still good, when a job begins.
    """
    work = JobWork(space=space, courier=courier or HttpCourier(), holder=holder)
    runner = JobRunner(records=records, clock=space.clock, bell=Bell(), work=work, workers=workers)
    return JobService(records=records, clock=space.clock, runner=runner)
