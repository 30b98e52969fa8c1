"""The clerk's promises: each job once, whatever it is killed at, and bounds on what one record says."""

from __future__ import annotations

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from recorded_world import PLACE, Killed, World
from sqlalchemy import text

from armillary.accounts.model import JOB_MARK, Principal, TokenKind
from armillary.base.errors import QuotaExceeded, Unavailable
from armillary.batch.ended import Ending
from armillary.batch.model import JobId, Selection
from armillary.batch.store.ended_records import EndedRecords
from armillary.provenance.clerk import Clerk, Place
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath


def job(cluster: int, proc: int = 0) -> JobId:
    return JobId.parse(f"{cluster}.{proc}")


def test_each_job_is_written_down_once(world: World) -> None:
    world.submit(3)
    session = world.worker()
    for _ in range(3):
        world.run(session, files={"out": b"same for all"})
    assert world.clerk.tick() == 3
    assert world.clerk.tick() == 0
    records = world.provenance.job_records(world.ada, job(1).cluster)
    assert [str(one.job) for one in records] == ["1.0", "1.1", "1.2"]
    assert [one.record.arguments for one in records] == [["0"], ["1"], ["2"]]


def test_a_clerk_that_is_killed_before_it_has_kept_anything_makes_the_same_record_again(world: World) -> None:
    world.submit()
    world.run(world.worker(), lambda who: world.write(who, "/home/ada/a", b"7"))
    world.store.dies = True
    with pytest.raises(Killed):
        world.clerk.tick()
    [lost] = world.store.last
    world.restart()
    assert world.clerk.tick() == 1
    signed, _ = world.provenance.record(world.ada, job(1))
    assert signed.document == lost.signed.document


def test_jobs_that_failed_leave_records_too(world: World) -> None:
    world.submit(3)
    session = world.worker()
    world.run(session, exit_code=3)
    world.run(session, fault="the worker's disk is full")
    world.remove(job(1, 1))
    world.remove(job(1, 2))
    assert world.clerk.tick() == 2
    failed, _ = world.provenance.record(world.ada, job(1, 0))
    assert (failed.record.exit_code, failed.record.succeeded) == (3, False)
    removed, _ = world.provenance.record(world.ada, job(1, 1))
    assert (removed.record.state, removed.record.error) == ("removed", "the worker's disk is full")
    assert world.store.job(job(1, 2)) is None  # it never ran


def test_a_job_that_is_tried_again_has_a_record_of_each_end(world: World) -> None:
    world.submit()
    world.run(world.worker(), exit_code=1)
    world.clerk.tick()
    world.queue.retry(Selection(cluster=job(1).cluster, proc=0))
    world.run(world.worker())
    world.clerk.tick()
    newest, first = world.store.job(job(1)), world.store.job(job(1), 1)
    assert newest and first
    assert (newest.attempt, newest.record.succeeded, first.record.succeeded) == (2, True, False)
    assert [one.attempt for one in world.provenance.job_records(world.ada, job(1).cluster)] == [2]


def test_a_record_names_as_many_accesses_as_it_may_and_says_how_many_more_there_were(tmp_path: Path) -> None:
    world = World(
        folder=tmp_path, place=Place(platform=PLACE.platform, authority=PLACE.authority, most_accesses=2)
    )
    world.submit()

    def write(who: Principal) -> None:
        for number in range(5):
            world.write(who, f"/home/ada/{number}", b"x%d" % number)

    world.run(world.worker(), write)
    world.clerk.tick()
    signed, _ = world.provenance.record(world.ada, job(1))
    assert ([one.uri[-1] for one in signed.record.accesses], signed.record.accesses_dropped) == (
        ["0", "1"],
        3,
    )
    world.close()


def test_files_that_jobs_read_are_noted_before_a_byte_goes_out_and_survive_the_end_of_the_platform(
    world: World,
) -> None:
    world.write(world.ada, "/home/ada/in", b"input")
    world.submit()

    def read(who: Principal) -> None:
        world.read(who, "/home/ada/in")
        world.restart()
        world.read(who, "/home/ada/in")

    world.run(world.worker(), read)
    world.clerk.tick()
    signed, _ = world.provenance.record(world.ada, job(1))
    assert [(one.action, one.count) for one in signed.record.accesses] == [("read", 2)]
    assert world.space.witness.of_jobs(["1.0.1"]) == []


def test_a_file_that_was_replaced_before_it_could_be_added_up_has_its_md5_alone(world: World) -> None:
    world.write(world.ada, "/home/ada/in", b"input")
    world.submit()
    world.run(world.worker(), lambda who: world.read(who, "/home/ada/in"))
    world.write(world.ada, "/home/ada/in", b"other")
    world.clerk.tick()
    [access] = world.provenance.record(world.ada, job(1))[0].record.accesses
    assert (access.sha256, access.md5) == (None, "a43c1b0aa53a0c908810c06ab1ff3967")


def test_deletions_are_noted(world: World) -> None:
    world.write(world.ada, "/home/ada/old", b"input")
    world.submit()
    world.run(world.worker(), lambda who: world.space.delete(who, "/home/ada/old") and None)
    world.clerk.tick()
    [access] = world.provenance.record(world.ada, job(1))[0].record.accesses
    assert (access.action, access.uri) == ("delete", "vos://armillary.example~vault/home/ada/old")


def test_jobs_on_one_machine_are_told_apart(world: World) -> None:
    world.submit(2)
    session = world.worker()
    for number in range(2):
        world.run(
            session, lambda who, number=number: world.write(who, f"/home/ada/{number}", b"x%d" % number)
        )
    world.clerk.tick()
    for number in range(2):
        [access] = world.provenance.record(world.ada, job(1, number))[0].record.accesses
        assert access.uri.endswith(f"/{number}")


def test_a_token_names_its_job_as_the_certificate_does(world: World) -> None:
    world.submit()
    session = world.worker()
    [claimed] = world.agents.claim(session, session.whole).jobs
    assert claimed.credential
    who = world.authenticator.bearer(claimed.credential.token)
    assert (who.of_job, who.job) == (True, "1.0.1")
    assert world.by_certificate(claimed.credential).job == "1.0.1"


def test_nobody_writes_into_the_record_of_somebody_elses_job(world: World) -> None:
    world.submit()
    own = world.accounts.issue_token(world.eve.person.id, kind=TokenKind.JOB, lifetime=timedelta(hours=1))
    forger = world.authenticator.bearer(f"{own.secret}{JOB_MARK}1.0.1")
    world.write(forger, "/home/eve/forged", b"not ada's")
    assert world.space.witness.of_jobs(["1.0.1"]) == []

    def act(who: Principal) -> None:
        world.write(who, "/home/ada/own", b"ada's")
        world.write(forger, "/home/eve/forged", b"not ada's")
        assert len(world.space.witness.of_jobs(["1.0.1"])) == 1
        world.space.delete(who, "/home/ada/own")

    world.run(world.worker(), act)
    world.clerk.tick()
    deeds = [one.action for one in world.provenance.record(world.ada, job(1))[0].record.accesses]
    assert deeds == ["write", "delete"]


def test_a_mark_of_a_job_that_is_not_at_work_leaves_nothing_behind(world: World) -> None:
    own = world.accounts.issue_token(world.ada.person.id, kind=TokenKind.JOB, lifetime=timedelta(hours=1))
    marked = {
        name: world.authenticator.bearer(f"{own.secret}{JOB_MARK}{name}") for name in ("99.0.1", "1.0.1")
    }
    world.write(marked["99.0.1"], "/home/ada/a", b"of no job")
    world.submit()
    world.write(marked["1.0.1"], "/home/ada/b", b"of a job that waits")
    world.run(world.worker(), lambda _who: world.write(marked["1.0.1"], "/home/ada/c", b"of one that runs"))
    world.clerk.tick()
    world.write(marked["1.0.1"], "/home/ada/e", b"of one that is written down")
    assert world.space.witness.of_jobs(["99.0.1", "1.0.1"]) == []
    [access] = world.provenance.record(world.ada, job(1))[0].record.accesses
    assert access.uri.endswith("/c")


def test_a_record_that_was_changed_in_the_database_is_refused(world: World) -> None:
    world.submit()
    world.run(world.worker())
    world.clerk.tick()
    with world.database.begin() as db:
        packed = zlib.compress(b'{"job":"1.0"}')
        db.execute(text("UPDATE provenance_jobs SET document = :packed"), {"packed": packed})
    with pytest.raises(Unavailable) as refused:
        world.provenance.record(world.ada, job(1))
    assert refused.value.code == "record_damaged"


def test_a_record_that_is_long_lies_in_the_spool(tmp_path: Path) -> None:
    world = World(folder=tmp_path, large=10)
    world.submit()
    world.run(world.worker())
    world.clerk.tick()
    signed, _ = world.provenance.record(world.ada, job(1))
    assert world.spool.path(signed.signature.sha256).read_bytes() == signed.document
    world.close()


def test_where_nobody_writes_records_nothing_is_noted(world: World) -> None:
    world.space.witness.look_away()
    world.submit()
    world.run(world.worker(), lambda who: world.write(who, "/home/ada/a", b"7"))
    assert world.space.witness.of_jobs(["1.0.1"]) == []


def test_a_mark_that_is_no_jobs_name_marks_nothing(world: World) -> None:
    own = world.accounts.issue_token(world.ada.person.id, kind=TokenKind.JOB, lifetime=timedelta(hours=1))
    who = world.authenticator.bearer(f"{own.secret}{JOB_MARK}{'x' * 300}")
    assert (who.of_job, who.job) == (True, "")


def test_whoever_asks_for_a_record_does_not_wait_for_a_clerk_who_is_long_at_it(world: World) -> None:
    busy, go_on = threading.Event(), threading.Event()

    class Slow(EndedRecords):
        def endings(self, *, after: int, limit: int) -> list[Ending]:
            busy.set()
            assert go_on.wait(60)
            return []

    clerk = Clerk(
        endings=Slow(database=world.database), store=world.store, witness=world.space.witness,
        mark=world.space.mark, lineage=lambda _project, _image: (), signer=world.keys, clock=world.clock,
        place=world.place,
    )  # fmt: skip
    with ThreadPoolExecutor(1) as beside:
        loop = beside.submit(clerk.tick)
        assert busy.wait(60)
        assert clerk.tick(patience=0) == 0
        go_on.set()
        assert loop.result(60) == 0


def test_a_copy_that_was_undone_hides_no_read_that_comes_after_it(world: World) -> None:
    world.write(world.ada, "/home/ada/a.fits", b"stars")
    world.space.set_properties(world.admin, VOSPath.parse("/home/ada"), Change(quota=8))

    def act(job: Principal) -> None:
        with pytest.raises(QuotaExceeded):
            world.space.copy(job, "/home/ada/a.fits", "/home/ada/b.fits")
        assert world.read(job, "/home/ada/a.fits") == b"stars"

    world.submit()
    made = world.run(world.worker(), act)
    world.clerk.tick()
    [access] = world.provenance.record(world.ada, made)[0].record.accesses
    assert (access.action, access.count) == ("read", 1)
    assert access.uri.endswith("/home/ada/a.fits")
