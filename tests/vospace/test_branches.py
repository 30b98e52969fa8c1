"""Branches of any size are deleted and changed in small steps; what must stay is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from starlette.testclient import TestClient
from uws_talk import VOS, XML, ended_here, fault, made, over, phase_of, results, run, uri

from armillary.accounts.model import Person, Principal
from armillary.base.errors import ArmillaryError, Unauthorized
from armillary.base.ids import PersonId
from armillary.vospace.build import build_jobs
from armillary.vospace.core.permissions import Asker
from armillary.vospace.job_model import JobKind, Phase
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.branches import Branches
from armillary.vospace.store import SqlJobRecords

BATCH = 20
TOP = VOSPath.parse("/home/ada/top")


@pytest.fixture
def asker(space: VOSpaceService, ada: Principal) -> Asker:
    asker = space.access.asker(ada)
    assert asker is not None
    return asker


@pytest.fixture
def wide(space: VOSpaceService, ada: Principal) -> int:
    """`top`, with folders in folders and more files than fit into a batch; returns how many nodes."""
    space.make_container(ada, TOP)
    for name in ("a", "a/b", "a/b/c", "empty", "z"):
        space.make_container(ada, f"{TOP}/{name}", parents=True)
    for number in range(2 * BATCH):
        space.make_file(ada, f"{TOP}/a/b/f{number}")
    for number in range(5):
        space.put_bytes(ada, f"{TOP}/z/f{number}", [b"12345"])
    return 1 + 5 + 2 * BATCH + 5


def ignore(_progress: Mapping[str, int]) -> None:
    """Nobody looks."""


def left(space: VOSpaceService, who: Principal, path: str) -> list[str]:
    return [node.name for node in space.children(who, path)]


def test_a_branch_is_deleted_in_steps_and_others_write_between_them(
    space: VOSpaceService, ada: Principal, asker: Asker, wide: int
) -> None:
    seen: list[int] = []

    def step(progress: Mapping[str, int]) -> None:
        space.make_file(ada, f"/home/ada/between{len(seen)}")
        seen.append(progress["done"])

    counts = Branches(space=space, batch=BATCH).delete(asker, TOP, step)
    assert counts == {"done": wide, "refused": 0}
    assert seen == sorted(seen)
    assert max(later - sooner for sooner, later in zip([0, *seen], seen, strict=False)) <= BATCH
    assert "top" not in left(space, ada, "/home/ada")
    assert space.node(ada, "/home/ada").used == 0


def test_what_is_locked_stays_and_so_do_the_containers_above(
    space: VOSpaceService, ada: Principal, asker: Asker, wide: int
) -> None:
    space.set_properties(ada, f"{TOP}/a/b/f7", Change(is_locked=True))
    counts = Branches(space=space, batch=BATCH).delete(asker, TOP, ignore)
    assert counts == {"done": wide - 4, "refused": 4}  # the file, b, a and top
    assert left(space, ada, str(TOP)) == ["a"]
    assert left(space, ada, f"{TOP}/a/b") == ["f7"]


def test_a_locked_container_keeps_all_that_is_in_it(
    space: VOSpaceService, ada: Principal, asker: Asker, wide: int
) -> None:
    space.set_properties(ada, f"{TOP}/z", Change(is_locked=True))
    Branches(space=space, batch=BATCH).delete(asker, TOP, ignore)
    assert left(space, ada, str(TOP)) == ["z"]
    assert len(left(space, ada, f"{TOP}/z")) == 5


def test_what_others_keep_to_themselves_stays(
    space: VOSpaceService, ada: Principal, bob: Principal, asker: Asker, wide: int
) -> None:
    everything = Change(group_write=frozenset({"m51"}))
    Branches(space=space, batch=BATCH).change(asker, TOP, everything, ignore)
    space.set_properties(ada, "/home/ada", everything)
    space.set_properties(ada, f"{TOP}/z/f3", Change(group_write=frozenset()))
    his = space.access.asker(bob)
    assert his is not None
    counts = Branches(space=space, batch=BATCH).delete(his, TOP, ignore)
    assert counts == {"done": wide - 3, "refused": 3}
    assert left(space, ada, f"{TOP}/z") == ["f3"]


def test_a_delete_that_was_cut_short_goes_on_where_it_was(
    space: VOSpaceService, ada: Principal, asker: Asker, wide: int
) -> None:
    class Cut(Exception):
        pass

    so_far: dict[str, int] = {}

    def cut(progress: Mapping[str, int]) -> None:
        so_far.update(progress)
        raise Cut

    with pytest.raises(Cut):
        Branches(space=space, batch=BATCH).delete(asker, TOP, cut)
    assert 0 < so_far["done"] < wide
    assert Branches(space=space, batch=BATCH).delete(asker, TOP, ignore, so_far) == {
        "done": wide,
        "refused": 0,
    }
    # killed after the last step, before anybody was told: there is nothing more to do
    assert Branches(space=space, batch=BATCH).delete(asker, TOP, ignore, {"done": wide}) == {
        "done": wide,
        "refused": 0,
    }


def test_what_vanishes_meanwhile_does_not_trouble(
    space: VOSpaceService, ada: Principal, asker: Asker, wide: int
) -> None:
    def vanish(_progress: Mapping[str, int]) -> None:
        if "saved" not in left(space, ada, "/home/ada"):
            space.move(ada, f"{TOP}/a", "/home/ada/saved")

    Branches(space=space, batch=BATCH).delete(asker, TOP, vanish)
    assert left(space, ada, "/home/ada") == ["saved"]


def test_properties_of_a_branch_are_set_in_steps(
    space: VOSpaceService, ada: Principal, asker: Asker, wide: int
) -> None:
    space.set_properties(ada, f"{TOP}/a/b/f7", Change(is_locked=True))
    steps: list[int] = []
    change = Change(is_public=True, properties={"ivo://example.org/x": "1"})
    counts = Branches(space=space, batch=BATCH).change(asker, TOP, change, lambda p: steps.append(p["done"]))
    assert counts == {"done": wide - 1, "refused": 1}
    assert len(steps) > 2
    assert space.node(None, f"{TOP}/a/b/f8").properties == {"ivo://example.org/x": "1"}
    assert not space.node(ada, f"{TOP}/a/b/f7").sharing.is_public
    unlocked = Branches(space=space, batch=BATCH).change(asker, TOP, Change(is_locked=False), ignore)
    assert unlocked["refused"] == 0


@pytest.mark.parametrize("path", ["/home/ada", "/home/bob/x", "/home", "/home/ada/nothing"])
def test_what_may_not_be_deleted_at_all_is_refused(space: VOSpaceService, asker: Asker, path: str) -> None:
    with pytest.raises(ArmillaryError):
        Branches(space=space, batch=BATCH).delete(asker, VOSPath.parse(path), ignore)


def test_the_jobs_tell_what_stayed(http: TestClient, space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, TOP)
    for name in "abc":
        space.put_bytes(ada, f"{TOP}/{name}", [b"x"])
    space.set_properties(ada, f"{TOP}/b", Change(is_locked=True))
    change = (
        f'<vos:node xmlns:vos="{VOS}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" uri="{uri(str(TOP))}"'
        ' xsi:type="vos:ContainerNode"><vos:properties><vos:property uri="ivo://example.org/x">1</vos:property>'
        "</vos:properties></vos:node>"
    )
    job = run(http, "/vault/async-setprops", change)
    assert results(job) == {"successcount": "final:3", "errorcount": "final:1"}
    assert job.find("{*}jobInfo/{*}progress").attrib == {"done": "3", "refused": "1"}
    job = run(http, "/arc/async-delete", target=uri(str(TOP)))
    assert (phase_of(job), results(job)) == (
        "COMPLETED",
        {"successcount": "final:2", "errorcount": "final:2"},
    )
    assert left(space, ada, str(TOP)) == ["b"]


def test_a_job_whose_credential_was_revoked_while_it_waited_does_nothing(
    space: VOSpaceService, job_records: SqlJobRecords, a_token: Callable[..., Principal]
) -> None:
    def revoked(person_id: PersonId, credential: str) -> Person:
        raise Unauthorized(f"{credential or 'A password'} of {person_id} is good no more.")

    who = a_token("ada")
    space.make_container(who, TOP)
    jobs = build_jobs(records=job_records, space=space, holder=revoked)
    job = jobs.create(who, JobKind.DELETE, uri(str(TOP)), run=True)
    ended = ended_here(jobs, who, job)
    assert ended.phase is Phase.ERROR
    assert ended.error.startswith("NotAuthenticated - ")
    assert left(space, who, "/home/ada") == ["top"]


def test_a_job_that_may_do_nothing_ends_in_error(http: TestClient) -> None:
    job = over(http, made(http, "/vault/async-delete", target=uri("/home/bob/x"), phase="RUN"))
    assert (phase_of(job), results(job)) == ("ERROR", {})
    assert fault(job).startswith("Permission Denied: ")
    assert http.post("/vault/async-delete", data={"target": "vos://elsewhere~x/y"}).status_code == 400
    assert http.post("/vault/async-setprops", content="<x/>", headers=XML).status_code == 400
