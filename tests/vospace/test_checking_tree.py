"""`armillary fsck`: each fault of the tree, of its sums and of jobs is found, and mended without losing anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from yards import DATA, HOME, Yard

from armillary.base.clock import VirtualClock
from armillary.base.ids import PersonId, new_hex
from armillary.vospace.check_model import Fault
from armillary.vospace.job_model import Job, JobKind, Phase
from armillary.vospace.service.checking import Checker
from armillary.vospace.store import SqlInspection
from outside_engines import ON_BOTH


def test_a_space_that_is_right_is_left_alone(yard: Yard) -> None:
    yard.space.make_container(yard.ada, f"{HOME}/a/b", parents=True)
    yard.put("a/b/m51.fits")
    yard.space.copy(yard.ada, f"{HOME}/a", f"{HOME}/c")
    yard.space.delete(yard.ada, f"{HOME}/a")
    yard.space.make_file(yard.ada, f"{HOME}/empty")
    assert yard.check(checksums=True) == []
    assert yard.check(mends=True, checksums=True) == []
    assert yard.read("c/b/m51.fits") == DATA


@ON_BOTH
def test_a_wrong_sum_is_told_and_counted_anew(yard: Yard) -> None:
    yard.put("m51.fits")
    yard.change(yard.node(), used=1)
    assert yard.finds(Fault.WRONG_USAGE).subject == HOME
    [mended] = yard.check(mends=True)
    assert mended.mended
    assert yard.node().used == len(DATA)
    assert yard.check() == []


@ON_BOTH
@pytest.mark.parametrize("parent", ["nothing", "a file", "itself"])
def test_a_lost_branch_comes_home_with_all_below_it(yard: Yard, parent: str) -> None:
    yard.space.make_container(yard.ada, f"{HOME}/a/b", parents=True)
    yard.put("a/b/m51.fits")
    file = yard.put("file", b"x")
    branch = yard.node("a")
    parents = {"nothing": 10**9, "a file": file.id, "itself": yard.node("a/b").id}
    yard.change(branch, parent_id=parents[parent])
    found = [finding for finding in yard.check() if finding.fault is Fault.UNREACHABLE]
    assert [finding.subject for finding in found] == [f"node {branch.id}"]
    yard.check(mends=True)
    assert yard.read(f"lost+found/{branch.id} a/b/m51.fits") == DATA
    assert yard.check(checksums=True) == []
    assert yard.node().used == len(DATA) + 1


def test_a_ring_is_opened_once_and_what_hangs_on_it_stays_together(yard: Yard) -> None:
    below = yard.space.make_container(yard.ada, f"{HOME}/below")
    one = yard.space.make_container(yard.ada, f"{HOME}/one")
    other = yard.space.make_container(yard.ada, f"{HOME}/other")
    for node, parent in ((below, one), (one, other), (other, one)):
        yard.change(node, parent_id=parent.id)
    yard.check(mends=True)
    [top] = yard.space.children(yard.ada, f"{HOME}/lost+found")
    assert top.id == one.id
    assert [node.name for node in yard.space.children(yard.ada, top.path)] == ["below", "other"]
    assert yard.check() == []


@ON_BOTH
def test_a_lost_branch_of_somebody_without_a_home_is_told_and_left(yard: Yard) -> None:
    yard.space.make_container(yard.ada, f"{HOME}/a")
    yard.change(yard.node("a"), parent_id=10**9, owner_name="nobody")
    [found] = yard.check(mends=True)
    assert found.fault is Fault.UNREACHABLE
    assert found.is_open


def test_what_belongs_to_people_who_have_gone_is_told_and_is_no_fault(yard: Yard) -> None:
    yard.put("m51.fits")
    yard.people.clear()
    found = yard.finds(Fault.GONE_OWNER)
    assert found.subject == "ada"
    assert not found.is_open
    yard.check(mends=True)
    assert yard.read("m51.fits") == DATA


@ON_BOTH
@pytest.mark.parametrize(("kind", "phase"), [(JobKind.DELETE, Phase.QUEUED), (JobKind.TRANSFER, Phase.ERROR)])
def test_a_job_whose_runner_has_ended_waits_again_or_ends(yard: Yard, kind: JobKind, phase: Phase) -> None:
    job = Job(
        id=new_hex(),
        kind=kind,
        owner_id=PersonId(yard.ada.person.id),
        owner_name="ada",
        phase=Phase.EXECUTING,
        document="",
        created_at=yard.now - timedelta(days=2),
        destroy_at=yard.now + timedelta(days=2),
        runner="somebody",
        seen_at=yard.now - timedelta(days=1),
    )
    yard.jobs.add(job)
    assert job.id in yard.finds(Fault.LEFT_JOB).subject
    yard.check(mends=True)
    ended = yard.jobs.job(job.id)
    assert ended
    assert ended.phase is phase
    assert yard.check() == []


@ON_BOTH
def test_what_changes_while_one_looks_is_no_fault(yard: Yard) -> None:
    yard.put("m51.fits")

    class Busy(SqlInspection):
        def named(self, shard: str, limit: int | None = None) -> Any:
            found = super().named(shard, limit)
            if found:
                yard.put("m51.fits", b"new")
                yard.put("another")
            return found

    checker = Checker(
        records=yard.space.records,
        inspection=Busy(yard.engine),
        bytes_=yard.bytes,
        jobs=yard.jobs,
        clock=VirtualClock(datetime.now(UTC)),
        known=lambda person: True,
        progress=lambda what, done, whole: None,
        mends=True,
        checksums=True,
    )
    assert list(checker.findings()) == []
    assert yard.check(checksums=True) == []
