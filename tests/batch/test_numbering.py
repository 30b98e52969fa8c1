"""`$(Cluster)` in a job becomes the number of its submit, wherever it stands and nowhere else."""

from __future__ import annotations

import hashlib

import pytest
from batch_world import World

from armillary.batch.core.numbering import numbered

API = "/api/v1/batch"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("$(Cluster).$(ClusterId)", "7.7"),
        ("$(Clus$(Cluster)ter)", "$(Clus7ter)"),
        ("$(cluster) $(Clusters) $Cluster) $(Cluster", "$(cluster) $(Clusters) $Cluster) $(Cluster"),
        ("$(Process) \\g<0> {}", "$(Process) \\g<0> {}"),
    ],
)
def test_exactly_the_marks_are_replaced_and_once(text: str, made: str) -> None:
    assert numbered(text, 7) == made


def test_what_is_no_text_stays_as_it_is() -> None:
    assert numbered({"$(Cluster)": [1, None, True, {"a": "$(Cluster)"}]}, 7) == {
        "7": [1, None, True, {"a": "7"}]
    }


def test_everybody_sees_the_number_of_a_submit_where_it_said_cluster(world: World) -> None:
    client = world.client()
    content = b"#!/bin/sh\n"
    script = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    client.put(f"{API}/blobs/{script['sha256']}", content=content)
    job = {
        "proc": 0,
        "executable": "run-$(Cluster).sh",
        "arguments": ["--run=$(Cluster)"],
        "environment": {"RUN_$(Cluster)": "$(ClusterId)"},
        "output": "$(Cluster).0.out",
        "transfer_output_remaps": {"a$(Cluster)": "b$(Cluster)"},
    }
    body = {"project": "galaxies", "image": "my-snapshot", "flavor": "c2-2gb-10", "jobs": [job]}
    body |= {"files": {"run-$(Cluster).sh": script}, "batch_name": "night $(Cluster)"}
    world.submit()
    assert client.post(f"{API}/clusters", json=body).json()["cluster"] == 2
    seen = client.get(f"{API}/jobs/2.0").json()
    assert (seen["executable"], seen["arguments"]) == ("run-2.sh", ["--run=2"])
    assert (seen["batch_name"], seen["spec"]["output"]) == ("night 2", "2.0.out")
    assert (seen["spec"]["environment"], seen["spec"]["transfer_output_remaps"]) == (
        {"RUN_2": "2"},
        {"a2": "b2"},
    )
    session = world.worker()
    one, two = world.leases.claim(session, session.whole).jobs
    assert one.key.job.cluster == 1
    assert [file.path for file in two.inputs] == ["run-2.sh"]
