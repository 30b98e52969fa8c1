"""A submit from its JSON shape to what the service takes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from armillary.batch.api.wire_submit import JobSpecIn, SubmitIn
from armillary.batch.core.shared import SharedSpec
from armillary.batch.intake import SubmitRequest
from armillary.batch.model import InputFile, JobSpec, Resources, Wishes


def request_of(body: SubmitIn, key: str | None) -> SubmitRequest:
    """Return what a submit asks for. What its jobs say alike is kept once."""
    return SubmitRequest(
        project=body.project,
        image=body.image,
        flavor=body.flavor,
        batch_name=body.batch_name,
        submit_text=body.submit_text,
        jobs=_jobs(body.jobs),
        files={
            path: InputFile(path=path, sha256=file.sha256, size=file.size, mode=file.mode)
            for path, file in body.files.items()
        },
        idempotency_key=key,
        # it tells whether a key was used for something else, and is not looked at without one
        request_hash=hashlib.sha256(body.model_dump_json().encode()).hexdigest() if key else "",
        wishes=Wishes(
            accounting_group=body.accounting_group,
            max_materialize=body.max_materialize,
            max_idle=body.max_idle,
            notification=body.notification,
            notify_user=body.notify_user,
            notify_url=body.notify_url,
        ),
    )


def _jobs(jobs: Sequence[JobSpecIn]) -> list[JobSpec]:
    first = jobs[0].__dict__
    differs: set[str] = {"proc"}
    for job in jobs:
        differs.update([name for name, value in job.__dict__.items() if value != first[name]])
    common = {name: value for name, value in jobs[0].model_dump().items() if name not in differs}
    whole: dict[Resources, Resources] = {}

    def spec(job: JobSpecIn) -> JobSpec:
        own: dict[str, Any] = {name: job.__dict__[name] for name in differs}
        if "policy" in own and job.policy is not None:
            own["policy"] = job.policy.model_dump()
        asked = Resources(
            cpus=job.request_cpus,
            memory_mib=job.request_memory_mib,
            disk_kib=job.request_disk_kib,
            gpus=job.request_gpus,
        )
        return JobSpec(
            proc=job.proc,
            resources=whole.setdefault(asked, asked),
            priority=job.priority,
            max_retries=job.max_retries,
            on_hold=job.on_hold,
            data=SharedSpec(common, own),
        )

    return [spec(job) for job in jobs]
