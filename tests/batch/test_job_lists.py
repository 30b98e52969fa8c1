"""Jobs are listed by what a person asks for, with what was submitted if it is asked for."""

from __future__ import annotations

from typing import Any

from batch_world import World

from armillary.batch.core.states import Fault, Result

API = "/api/v1/batch"


def listed(world: World, **query: Any) -> list[dict[str, Any]]:
    answer = world.client().get(f"{API}/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["jobs"])


def test_jobs_of_one_person_or_one_project(world: World) -> None:
    bea = world.people.add("bea", world.project)
    world.submit(2)
    hers = world.submit(1, who=bea)
    assert [job["job"] for job in listed(world, owner="bea")] == [f"{hers}.0"]
    assert len(listed(world, project=world.project.name)) == 3
    assert listed(world, project="elsewhere") == []


def test_what_was_submitted_comes_when_it_is_asked_for(world: World) -> None:
    world.submit(1)
    assert listed(world)[0]["spec"] is None
    assert listed(world, spec=True)[0]["spec"]["executable"] == "run.sh"


def test_a_hold_has_htcondors_number(world: World) -> None:
    cluster = world.submit(1)
    session = world.worker("runner")
    fault = Fault(code="memory_exceeded", message="used 3000 of 2048 MiB", retry=False)
    world.leases.finish(session, world.claim_one(session), Result(error=fault), usage={}, brought=[])
    (job,) = listed(world)
    assert (job["state"], job["hold_code"]) == ("held", "memory_exceeded")
    assert (job["hold_reason_code"], job["hold_reason_subcode"]) == (34, 102)
    assert listed(world, state="idle") == []
    for numbers, changed in ((["46"], 0), (["999"], 0), (["34"], 1)):
        body = {"action": "release", "selection": {"cluster": cluster, "hold_codes": numbers}}
        assert world.client().post(f"{API}/changes", json=body).json() == {"changed": changed}


def test_a_part_of_a_cluster_is_changed(world: World) -> None:
    cluster = world.submit(5)
    body = {"action": "hold", "selection": {"job": f"{cluster}.1", "last_proc": 3}}
    assert world.client().post(f"{API}/changes", json=body).json() == {"changed": 3}
    assert [job["job"] for job in listed(world, state="idle")] == [f"{cluster}.0", f"{cluster}.4"]
