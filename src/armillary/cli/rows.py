"""A job as a row of a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from armillary.cli.output import Columns, Record
from armillary.client.submitfile.model import CLUSTER

JOB_COLUMNS: Columns = [
    ("JOB", "job"),
    ("STATE", "state"),
    ("EXIT", lambda job: f"signal {job['signal']}" if job.get("signal") else job.get("exit_code")),
    ("CLOUD", "cloud"),
    ("WORKER", "worker"),
    ("SECONDS", "seconds"),
    ("COMMAND", lambda job: " ".join([job["executable"], *job["arguments"]])[:60]),
    ("REASON", "reason"),
]


def job_row(job: Record) -> dict[str, Any]:
    """Add what a reader wants to see at once: `id`, the image's digest, and the seconds it ran."""
    # a platform may keep $(Cluster) as the submit file has it
    arguments = [argument.replace(CLUSTER, str(job["cluster"])) for argument in job["arguments"]]
    seconds = None
    if job.get("started_at") and job.get("finished_at"):
        ran = datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])
        seconds = round(ran.total_seconds(), 1)
    return {
        "id": job["job"],
        **job,
        "arguments": arguments,
        "image_sha512": job["image"]["sha512"],
        "seconds": seconds,
    }
