"""A job of which no record can be made is told to its owner and to administrators, and tried again by the next version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from recorded_world import World
from test_crates_of_jobs import crates_of

from armillary.accounts.api import install_error_handlers
from armillary.accounts.model import Principal, TokenKind
from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId
from armillary.batch.ended import EndedJob
from armillary.batch.model import JobId, Selection
from armillary.crates.record import JobRecord
from armillary.provenance import clerk as clerks
from armillary.provenance.api import provenance_router
from armillary.provenance.exporting import Target
from armillary.provenance.model import JOB_PROPERTY, Verdict
from outside_engines import ON_BOTH

pytestmark = ON_BOTH
ODD = {"attributes": {"Odd": 2**53 + 1}}
REASON = "a whole number is larger than JSON numbers are exact"
OUT = "/home/ada/out"
JOB = JobId.parse("1.0")


@pytest.fixture
def world(records_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(folder=tmp_path, url=records_url)
    yield made
    made.close()


def odd(world: World) -> None:
    """Run a job that no document can describe: it writes a file."""
    world.submit(data=ODD)
    world.run(world.worker(), lambda who: world.write(who, OUT, b"made"))


def refusal(world: World, job: JobId = JOB) -> NotFound:
    with pytest.raises(NotFound) as refused:
        world.provenance.record(world.ada, job)
    return refused.value


def test_it_keeps_no_others_from_being_written_down_and_says_why(world: World) -> None:
    odd(world)
    world.submit()
    world.run(world.worker())
    assert world.clerk.tick() == 1
    assert world.clerk.tick() == 0
    assert world.provenance.record(world.ada, JobId.parse("2.0"))
    refused = refusal(world)
    assert (refused.code, refused.facts["reason"], refused.facts["attempt"]) == (
        "record_impossible",
        REASON,
        1,
    )
    [gap], count = world.provenance.gaps(10)
    assert (gap.job, gap.attempt, gap.reason, count) == (JOB, 1, REASON, 1)


def test_a_file_that_it_wrote_names_it_to_those_who_see_the_job(world: World) -> None:
    odd(world)
    world.clerk.tick()
    why = world.provenance.why(world.ada, OUT)
    assert why.gap
    assert (why.verdict, why.record, why.gap.job, why.gap.reason) == (Verdict.UNKNOWN, None, JOB, REASON)
    assert world.provenance.why(world.admin, OUT).gap
    world.write(world.ada, "/home/ada/other", b"other")
    assert world.provenance.why(world.ada, "/home/ada/other").gap is None


def test_whoever_may_not_see_the_job_is_not_told(world: World) -> None:
    odd(world)
    world.clerk.tick()
    world.write(world.eve, "/home/eve/mine", b"made")
    node = world.space.node(world.eve, "/home/eve/mine")
    assert node.blob
    world.space.mark(
        [clerks.Mark(path="/home/eve/mine", blob=node.blob, properties={JOB_PROPERTY: str(JOB)})]
    )
    assert world.provenance.why(world.eve, "/home/eve/mine").gap is None


def test_a_version_that_can_say_it_makes_the_record_with_all_that_the_job_did(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clerks.job_record

    def cannot(*_: object, **__: object) -> JobRecord:
        raise ValueError("this version cannot say it")

    monkeypatch.setattr(clerks, "job_record", cannot)
    world.submit()
    world.run(world.worker(), lambda who: world.write(who, OUT, b"made"))
    world.clerk.tick()
    assert refusal(world).facts["reason"] == "this version cannot say it"
    world.restart()
    assert world.clerk.tick() == 0
    assert refusal(world).facts["reason"] == "this version cannot say it"
    monkeypatch.setattr(clerks, "job_record", made)
    assert world.clerk.tick() == 0, "once after a start"
    world.restart()
    assert world.clerk.tick() == 1
    signed, _ = world.provenance.record(world.ada, JOB)
    assert [one.action for one in signed.record.accesses] == ["write"]
    why = world.provenance.why(world.ada, OUT)
    assert (why.verdict, why.gap, world.provenance.gaps(10)) == (Verdict.MADE, None, ([], 0))
    assert world.space.witness.of_jobs(["1.0.1"]) == []


def test_the_record_of_an_earlier_end_is_not_taken_for_that_of_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clerks.job_record

    def cannot(*_: object, **__: object) -> JobRecord:
        raise ValueError("this version cannot say it")

    world.submit(2)
    world.run(world.worker(), exit_code=1)
    world.run(world.worker())
    world.clerk.tick()
    world.queue.retry(Selection(cluster=JOB.cluster, proc=0))
    monkeypatch.setattr(clerks, "job_record", cannot)
    world.run(world.worker(), exit_code=1)
    world.clerk.tick()
    assert refusal(world).facts["attempt"] == 2
    kept = world.provenance.job_records(world.ada, ClusterId(1))
    assert [str(one.job) for one in kept] == ["1.1"]
    assert world.provenance.job_records(world.ada, ClusterId(1), procs=[0]) == []
    monkeypatch.setattr(clerks, "job_record", made)
    world.queue.retry(Selection(cluster=JOB.cluster, proc=0))
    world.run(world.worker())
    world.clerk.tick()
    assert world.provenance.record(world.ada, JOB)[0].attempt == 3
    assert world.provenance.gaps(10) == ([], 0)


def test_a_cluster_of_it_alone_is_neither_exported_nor_frozen_and_says_why(world: World) -> None:
    crates = crates_of(world)
    odd(world)
    for refused in (
        lambda: crates.freezes.freeze(world.ada, ClusterId(1), to=None, title=None),
        lambda: crates.exports.crate(world.ada, Target.parse("1")),
        lambda: crates.exports.crate(world.ada, Target.parse("1.0")),
    ):
        with pytest.raises(NotFound) as impossible:
            refused()
        assert (impossible.value.code, impossible.value.facts["reason"]) == ("record_impossible", REASON)


def test_of_a_cluster_that_has_others_these_are_exported_and_not_frozen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clerks.job_record

    def not_the_second(job: EndedJob, *given: Any, **more: Any) -> JobRecord:
        if job.id.proc == 1:
            raise ValueError("this version cannot say it")
        return made(job, *given, **more)

    monkeypatch.setattr(clerks, "job_record", not_the_second)
    crates = crates_of(world)
    world.submit(2)
    session = world.worker()
    for _ in range(2):
        world.run(session)
    assert [one.document.job for one in crates.exports.crate(world.ada, Target.parse("1")).jobs] == ["1.0"]
    with pytest.raises(NotFound, match=r"1\.1: this version cannot say it"):
        crates.freezes.freeze(world.ada, ClusterId(1), to=None, title=None)
    assert world.provenance.cluster_record(world.ada, ClusterId(1))
    with pytest.raises(NotFound) as hidden:
        world.provenance.unrecorded(world.eve, ClusterId(1))
    assert hidden.value.code != "record_impossible"


def test_a_cluster_of_which_no_record_can_be_made_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> object:
        raise ValueError("this version cannot say it")

    monkeypatch.setattr(clerks, "cluster_record", cannot)
    world.submit()
    world.run(world.worker())
    with pytest.raises(NotFound) as refused:
        world.provenance.cluster_record(world.ada, ClusterId(1))
    assert refused.value.code == "record_impossible"


def test_administrators_list_them_and_nobody_else_does(world: World) -> None:
    odd(world)
    world.clerk.tick()
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(
        provenance_router(provenance=world.provenance, authenticate=world.authenticator.principal_of)
    )

    def asked(who: Principal, kind: TokenKind = TokenKind.API) -> tuple[int, object]:
        issued = world.accounts.issue_token(who.person.id, kind=kind, lifetime=timedelta(hours=1))
        with TestClient(app) as client:
            bearer = {"Authorization": f"Bearer {issued.secret}"}
            answer = client.get("/api/v1/provenance/gaps", headers=bearer)
        return answer.status_code, answer.json()

    status, said = asked(world.admin)
    assert status == 200
    assert isinstance(said, dict)
    assert (said["count"], said["gaps"][0]["job"], said["gaps"][0]["reason"]) == (1, "1.0", REASON)
    assert asked(world.ada)[0] == 403
    assert asked(world.admin, TokenKind.JOB)[0] == 403
