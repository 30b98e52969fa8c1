"""What the records of jobs and of resumable uploads promise, in SQLite and in PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from armillary.base.ids import PersonId, new_hex
from armillary.vospace.core.conditions import Conditions
from armillary.vospace.job_model import Credential, Job, JobFilter, JobKind, Phase
from armillary.vospace.paths import VOSPath
from armillary.vospace.store import SqlJobRecords, SqlRecords, create_all
from armillary.vospace.upload_model import ResumableUpload
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
ADA, BOB = PersonId("id-ada"), PersonId("id-bob")


@pytest.fixture
def records(database: Engine) -> SqlJobRecords:
    create_all(database)
    return SqlJobRecords(database)


def a_job(number: int = 0, **changes: Any) -> Job:
    job = Job(
        id=new_hex(),
        kind=JobKind.TRANSFER,
        owner_id=ADA,
        owner_name="ada",
        phase=Phase.QUEUED,
        document="<transfer>\u2028 銀河</transfer>",
        created_at=NOW + timedelta(seconds=number),
        queued_at=NOW + timedelta(seconds=number),
        destroy_at=NOW + timedelta(days=7, seconds=number),
    )
    return replace(job, **changes)


def test_all_of_a_job_is_read_back(records: SqlJobRecords) -> None:
    job = a_job(
        run_id="a/b",
        credential=Credential(is_admin=True, confined=True),
        duration_seconds=60,
        started_at=NOW,
        ended_at=NOW,
        seen_at=NOW,
        runner="r",
        progress={"nodes": 2**40},
        results={"transferDetails": "results/transferDetails"},
        error="InternalFault: “no”",
    )
    records.add(job)
    assert records.job(job.id) == job
    assert records.job(new_hex()) is None


def test_a_job_is_changed_only_in_the_phases_that_were_meant(records: SqlJobRecords) -> None:
    job = a_job(runner="mine", phase=Phase.EXECUTING)
    records.add(job)
    done = replace(job, phase=Phase.COMPLETED)
    assert not records.update(done, among={Phase.PENDING})
    assert not records.update(done, among={Phase.EXECUTING}, runner="other")
    assert records.job(job.id) == job
    assert records.update(done, among={Phase.EXECUTING}, runner="mine")
    assert not records.update(done, among={Phase.EXECUTING})
    assert not records.update(a_job(), among=set(Phase))


def test_a_list_has_ones_own_of_a_kind_newest_first(records: SqlJobRecords) -> None:
    for number in range(5):
        records.add(a_job(number, phase=Phase.COMPLETED if number % 2 else Phase.ERROR))
    records.add(a_job(9, owner_id=BOB))
    records.add(a_job(9, kind=JobKind.DELETE))

    def seconds(wanted: JobFilter) -> list[int]:
        found = records.jobs(JobKind.TRANSFER, ADA, wanted)
        return [(job.created_at - NOW).seconds for job in found]

    assert seconds(JobFilter()) == [4, 3, 2, 1, 0]
    assert seconds(JobFilter(last=2)) == [4, 3]
    assert seconds(JobFilter(after=NOW + timedelta(seconds=2))) == [4, 3]
    assert seconds(JobFilter(phases=frozenset({Phase.COMPLETED}))) == [3, 1]


def test_no_job_is_given_to_two(records: SqlJobRecords) -> None:
    jobs = {job.id for job in map(a_job, range(20))}
    for number, job in enumerate(sorted(jobs)):
        records.add(replace(a_job(number), id=job))
    together = threading.Barrier(5)

    def take(name: str) -> list[str]:
        together.wait(30)
        taken: list[str] = []
        while job := records.claim(name, NOW, 1000):
            assert (job.phase, job.runner, job.seen_at) == (Phase.EXECUTING, name, NOW)
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(5) as runners:
        taken = [job for found in runners.map(take, "abcde") for job in found]
    assert sorted(taken) == sorted(jobs)


def test_whoever_has_fewest_running_is_next_and_nobody_has_too_many(records: SqlJobRecords) -> None:
    for number in range(4):
        records.add(a_job(number))
    records.add(a_job(10, owner_id=BOB))
    claimed = [records.claim("r", NOW, 2) for _ in range(4)]
    assert [job.owner_id if job else None for job in claimed] == [ADA, BOB, ADA, None]


def test_jobs_whose_runner_has_fallen_silent_are_told(records: SqlJobRecords) -> None:
    for number in range(3):
        records.add(a_job(number))
    first = records.claim("dead", NOW, 9)
    records.claim("alive", NOW, 9)
    assert first
    later = NOW + timedelta(minutes=5)
    assert records.beat("alive", later, NOW) == []
    assert [job.id for job in records.beat("alive", later, NOW + timedelta(minutes=1))] == [first.id]


def test_jobs_are_forgotten_when_their_time_has_come(records: SqlJobRecords) -> None:
    jobs = [a_job(number) for number in range(3)]
    for job in jobs:
        records.add(job)
    records.forget(job_id=jobs[2].id)
    records.forget(before=jobs[1].destroy_at)
    assert [records.job(job.id) is not None for job in jobs] == [False, True, False]
    assert records.active(ADA) == 1


def test_uploads_are_kept_found_and_forgotten(database: Engine) -> None:
    create_all(database)
    uploads = SqlRecords(database).uploads
    upload = ResumableUpload(
        id=new_hex(),
        key=new_hex(),
        person_id=ADA,
        user_name="ada",
        path=VOSPath(("home", "ada", "銀河 #1%")),
        length=2**41,
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
        md5="0" * 32,
        content_type="application/fits",
        conditions=Conditions(match=frozenset({"a"}), unmodified_since=NOW),
        notes="filename bTUx",
        mark=7,
    )
    uploads.save_upload(upload)
    uploads.save_upload(replace(upload, mark=9))
    assert uploads.upload(upload.id) == replace(upload, mark=9)
    assert [found.id for found in uploads.unfinished_uploads(ADA)] == [upload.id]
    assert uploads.upload_keys() == {upload.key}
    assert uploads.expired_uploads(upload.expires_at, 10) == []
    assert len(uploads.expired_uploads(upload.expires_at + timedelta(microseconds=1), 10)) == 1
    uploads.save_upload(replace(upload, outcome="0" * 32))
    assert uploads.upload_keys() == frozenset()
    uploads.forget_upload(upload.id)
    uploads.forget_upload(upload.id)
    assert uploads.upload(upload.id) is None
