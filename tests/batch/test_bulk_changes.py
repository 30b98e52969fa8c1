"""Many jobs are changed at once, by what they have in common, and never somebody else's."""

from __future__ import annotations

from collections import Counter

from batch_world import World

from armillary.accounts.model import Principal, Role
from armillary.batch.core.states import Fault, Result
from armillary.batch.model import JobId, Resources, Selection

CHANGES = "/api/v1/batch/changes"


def run_all(world: World, *results: Result) -> None:
    """Run as many jobs as there are results, one after the other."""
    session = world.worker("runner")
    for result in results:
        key = world.claim_one(session)
        world.leases.finish(session, key, result, usage={}, brought=[])


def change(world: World, action: str, selection: dict[str, object], who: str = "ada", **more: object):
    body = {"action": action, "selection": selection, **more}
    with world.client() as client:
        return client.post(CHANGES, json=body, headers={"Authorization": f"Bearer {who}"})


def test_failed_jobs_of_a_cluster_run_again_and_good_ones_stay(world: World) -> None:
    cluster = world.submit(3)
    run_all(world, Result(exit_code=0), Result(exit_code=3), Result(signal=9))
    assert change(world, "retry", {"cluster": cluster, "failed": True}).json() == {"changed": 2}
    assert Counter(world.states().values()) == {"completed": 1, "idle": 2}


def test_jobs_are_retried_by_the_cause_of_their_failure(world: World) -> None:
    cluster = world.submit(4)
    ends = [Result(exit_code=3), Result(exit_code=4), Result(signal=9)]
    run_all(world, *ends, Result(error=Fault(code="disk_exceeded", message="too much")))
    assert (
        change(world, "retry", {"cluster": cluster, "exit_codes": [3], "signals": [9]}).json()["changed"] == 2
    )
    assert change(world, "release", {"owner": "ada", "hold_codes": ["disk_exceeded"]}).json()["changed"] == 1
    assert Counter(world.states().values()) == {"completed": 1, "idle": 3}


def test_all_jobs_of_an_owner_are_held_and_no_others(world: World) -> None:
    bea = world.people.add("bea", world.project)
    world.submit(2)
    world.submit(3)
    world.submit(1, who=bea)
    assert change(world, "hold", {"owner": "ada"}, reason="wait").json() == {"changed": 5}
    assert change(world, "release", {"project": "galaxies"}).json() == {"changed": 5}


def test_a_member_cannot_change_the_jobs_of_others_and_a_manager_can(world: World) -> None:
    world.submit(2)
    world.people.add("bea", world.project)
    world.people.add("max", world.project, role=Role.MANAGER)
    refused = change(world, "remove", {"owner": "ada"}, who="bea")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_your_job")
    assert change(world, "remove", {"project": "galaxies"}, who="bea").json() == {"changed": 0}
    assert change(world, "remove", {"project": "galaxies"}, who="max").json() == {"changed": 2}


def test_jobs_of_other_projects_are_out_of_reach(world: World) -> None:
    other = world.people.add_project("stars")
    world.people.add("eve", other, role=Role.MANAGER)
    cluster = world.submit(1)
    assert change(world, "hold", {"cluster": cluster}, who="eve").status_code == 404
    assert change(world, "hold", {"project": "galaxies"}, who="eve").status_code == 404
    assert world.service.hold(Principal(person=world.people.person_named("eve")), Selection()) == 0


def test_a_selection_of_everything_is_refused(world: World) -> None:
    world.submit(1)
    refused = change(world, "remove", {"failed": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "empty_selection")


def test_a_priority_is_changed_while_jobs_wait_and_decides_who_goes_first(world: World) -> None:
    first, second = world.submit(1), world.submit(1)
    done = change(world, "prioritize", {"job": f"{second}.0"}, priority=7)
    assert done.json() == {"changed": 1}
    assert world.claim_one(world.worker()).job == JobId.parse(f"{second}.0")
    assert change(world, "prioritize", {"cluster": first}).status_code == 400


def test_held_jobs_are_released_with_more_memory_than_they_asked_for(world: World) -> None:
    cluster = world.submit(3)
    change(world, "hold", {"cluster": cluster})
    done = change(world, "release", {"job": f"{cluster}.1"}, memory_mib=700)
    assert done.json() == {"changed": 1}
    assert [job.memory_mib for job in _asked(world)] == [700]
    assert change(world, "release", {"cluster": cluster}, memory_mib=10**6).status_code == 400
    assert change(world, "hold", {"cluster": cluster}, memory_mib=700).status_code == 400


def _asked(world: World) -> list[Resources]:
    return [shape.resources for demand in world.queue.demand() for shape in demand.shapes]
