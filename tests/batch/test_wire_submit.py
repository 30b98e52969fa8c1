"""What a submit may say on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from armillary.batch.api.wire_submit import SubmitIn


def _submit(**changed: Any) -> SubmitIn:
    body = {"project": "p", "image": "i", "flavor": "f", "jobs": [{"proc": 0, "executable": "a"}], **changed}
    return SubmitIn.model_validate(body)


def test_what_all_jobs_share_is_said_once_and_what_a_job_says_wins() -> None:
    body = _submit(
        common={"executable": "run.sh", "request_cpus": 2},
        jobs=[{"proc": 0}, {"proc": 1, "request_cpus": 4}],
    )
    assert [(job.executable, job.request_cpus) for job in body.jobs] == [("run.sh", 2), ("run.sh", 4)]


@pytest.mark.parametrize(
    "changed",
    [
        {"common": {"no_such_field": 1}},
        {"common": ["executable"]},
        {"jobs": ["run.sh"], "common": {"executable": "a"}},
        {"jobs": []},
        {"jobs": 5, "common": {"executable": "a"}},
        {"jobs": [{"proc": 0, "executable": "a", "request_gpus": -1}]},
        {"jobs": [{"proc": 0, "executable": "a", "policy": {"periodic_held": "true"}}]},
        # numbers that neither a database nor JSON has exactly
        {"max_idle": 2**53 + 1},
        {"max_materialize": 2**53 + 1},
        *(
            {"jobs": [{"proc": 0, "executable": "a", name: value}]}
            for name, value in {
                "allowed_execute_seconds": 2**53 + 1,
                "allowed_job_seconds": 2**53 + 1,
                "request_cpus": 2**63,
                "request_memory_mib": 2**63,
                "request_disk_kib": 2**63,
                "concurrency_limits": {"sky": float("inf")},
                "policy": {"retry_request_memory_mib": [2**53 + 1]},
            }.items()
        ),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _submit(**changed)
