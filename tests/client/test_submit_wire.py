"""What the client says of a submit file is what the service takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.batch.api.wire_submit import JobSpecIn, SubmitIn
from armillary.client.submitfile import LocalAccess, read_submit
from armillary.client.submitfile.model import JobSpec, Policy

CORPUS = Path(__file__).parent / "submit_corpus"


@pytest.mark.parametrize("name", sorted(path.stem for path in CORPUS.glob("*.sub")))
def test_the_service_takes_each_file_as_it_was_read(name: str):
    submission = read_submit((CORPUS / f"{name}.sub").read_text(), access=LocalAccess(base=CORPUS))
    common, jobs = submission.wire()
    taken = SubmitIn.model_validate(
        {
            "project": "p",
            "image": "i",
            "flavor": "f",
            **submission.shared(),
            "submit_text": submission.text,
            "common": common,
            "jobs": jobs,
        }
    )
    assert len(taken.jobs) == len(submission.jobs)
    for theirs, ours in zip(taken.jobs, submission.jobs, strict=True):
        said = theirs.model_dump()
        policy = said.pop("policy")
        mine = ours.as_dict()
        kept = mine.pop("policy")
        assert said == mine
        assert (policy is None) == (kept is None)
        assert {name: policy[name] for name in kept or {}} == (kept or {})


def test_both_sides_have_the_same_fields():
    assert set(vars(JobSpec(proc=0))) == set(JobSpecIn.model_fields)
    policy = JobSpecIn.model_fields["policy"].annotation
    assert set(vars(Policy())) == {
        name for part in getattr(policy, "__args__", ()) for name in getattr(part, "model_fields", ())
    }
