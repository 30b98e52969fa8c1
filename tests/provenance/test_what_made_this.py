"""From a file in VOSpace to the signed record of the job that wrote it."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from recorded_world import HARDWARE, World

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound
from armillary.batch.model import JobId
from armillary.crates.canonical import digest
from armillary.provenance.model import JOB_PROPERTY, RECORD_PROPERTY, Verdict
from armillary.provenance.service import CANDIDATES
from armillary.vospace.model import Change

CATALOGUE = "/home/ada/m51.cat"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def counting(world: World, path: str = CATALOGUE) -> JobId:
    """A job that reads an image in VOSpace twice and writes a catalogue there."""
    world.write(world.ada, "/home/ada/m51.fits", b"image of m51")
    world.submit()

    def count(who: Principal) -> None:
        world.read(who, "/home/ada/m51.fits")
        world.read(who, "/home/ada/m51.fits")
        world.write(who, path, b"7 sources")

    return world.run(world.worker(), count, files={"out.txt": b"counted\n"})


def test_a_job_leaves_a_signed_record_of_all_that_made_its_results(world: World) -> None:
    job = counting(world)
    assert world.clerk.tick() == 1
    signed, shared = world.provenance.record(world.ada, job)
    record, cluster = signed.record, shared.record
    assert world.provenance.is_signed(signed)
    assert world.provenance.is_signed(shared)
    assert record.cluster == digest(shared.document)
    assert record.executable and (record.executable.name, record.executable.sha256) == (
        "run.sh",
        sha256(b"#!/bin/sh\n"),
    )
    assert [(one.name, one.sha256) for one in record.inputs] == [("in.txt", sha256(b"pixels"))]
    assert (record.arguments, record.environment) == (["0"], {"BAND": "r"})
    assert (record.state, record.exit_code, record.succeeded) == ("completed", 0, True)
    assert record.usage == {"wall_seconds": 1.5}
    assert [(one.name, one.sha256) for one in record.outputs] == [("out.txt", sha256(b"counted\n"))]
    begun, over = world.clock.now() - timedelta(seconds=2), world.clock.now()
    assert (record.submitted_at, record.started_at, record.ended_at) == (begun, begun, over)
    machine = record.machine
    assert (machine.cloud, machine.flavor, machine.image_sha512) == ("east", "c2-2gb-10", world.group.image)
    assert (machine.cpu_model, machine.kernel) == (HARDWARE["cpu_model"], HARDWARE["kernel"])
    read, written = record.accesses
    assert (read.action, read.count, read.sha256) == ("read", 2, sha256(b"image of m51"))
    assert (written.action, written.uri, written.sha256) == (
        "write",
        "vos://armillary.example~vault/home/ada/m51.cat",
        sha256(b"7 sources"),
    )
    assert (cluster.owner.name, cluster.submit_text) == ("ada", "executable = run.sh\nqueue\n")
    assert [step.kind for step in cluster.image.lineage] == ["recipe", "snapshot"]


def test_the_file_that_a_job_wrote_says_which_job_it_was(world: World) -> None:
    job = counting(world)
    before = world.space.node(world.ada, CATALOGUE)
    world.clerk.tick()
    found = world.provenance.why(world.ada, "vos:me/m51.cat")
    assert (found.verdict, found.sha256, found.intact) == (Verdict.MADE, sha256(b"7 sources"), True)
    assert [maker.job for maker in found.makers] == [str(job)]
    node = world.space.node(world.ada, CATALOGUE)
    assert found.record
    assert node.properties == {
        RECORD_PROPERTY: found.record.signature.sha256,
        JOB_PROPERTY: str(job),
    }
    assert node.modified_at == before.modified_at


def test_a_copy_and_a_moved_file_are_known_by_their_bytes(world: World) -> None:
    job = counting(world)
    world.clerk.tick()
    world.space.copy(world.ada, CATALOGUE, "/home/ada/copy.cat")
    world.write(world.ada, "/home/ada/brought home.cat", b"7 sources")
    world.space.move(world.ada, CATALOGUE, "/home/ada/moved.cat")
    for name in ("copy.cat", "brought home.cat", "moved.cat"):
        found = world.provenance.why(world.ada, f"/home/ada/{name}")
        assert (found.verdict, [one.job for one in found.makers]) == (Verdict.COPIED, [str(job)])
        assert found.makers[0].uri == "vos://armillary.example~vault/home/ada/m51.cat"


def test_what_a_job_brought_back_is_found_wherever_it_was_put(world: World) -> None:
    job = counting(world)
    world.clerk.tick()
    world.write(world.ada, "/home/ada/from the laptop.txt", b"counted\n")
    found = world.provenance.why(world.ada, "/home/ada/from the laptop.txt")
    assert (found.verdict, found.makers[0].job, found.makers[0].name) == (
        Verdict.COPIED,
        str(job),
        "out.txt",
    )


def test_a_file_that_was_changed_since_says_so_and_names_the_job_before(world: World) -> None:
    job = counting(world)
    world.clerk.tick()
    world.write(world.ada, CATALOGUE, b"8 sources")
    found = world.provenance.why(world.ada, CATALOGUE)
    assert (found.verdict, found.makers) == (Verdict.CHANGED, [])
    assert found.record
    assert found.record.job == job


def test_a_file_that_no_job_made_says_so(world: World) -> None:
    counting(world)
    world.clerk.tick()
    found = world.provenance.why(world.ada, "/home/ada/m51.fits")
    assert (found.verdict, found.record, found.intact) == (Verdict.UNKNOWN, None, None)


def test_an_empty_file_is_nobodys(world: World) -> None:
    world.submit()
    world.run(world.worker(), lambda who: world.write(who, "/home/ada/empty", b""), files={"err": b""})
    world.clerk.tick()
    assert world.provenance.why(world.ada, "/home/ada/empty").verdict is Verdict.UNKNOWN


def test_a_mark_that_somebody_forged_makes_nothing_a_result(world: World) -> None:
    job = counting(world)
    world.clerk.tick()
    forged = Change(properties={JOB_PROPERTY: str(job), RECORD_PROPERTY: "0" * 64})
    world.space.set_properties(world.ada, "/home/ada/m51.fits", forged)
    assert world.provenance.why(world.ada, "/home/ada/m51.fits").verdict is Verdict.UNKNOWN


def test_who_may_not_see_the_job_does_not_see_its_record(world: World) -> None:
    job = counting(world)
    world.clerk.tick()
    with pytest.raises(NotFound):
        world.provenance.record(world.eve, job)
    world.write(world.eve, "/home/eve/same.cat", b"7 sources")
    assert world.provenance.why(world.eve, "/home/eve/same.cat").verdict is Verdict.UNKNOWN


def test_a_job_that_made_what_many_made_after_it_is_still_found(world: World) -> None:
    """Files such as empty tables are made a thousand times, by everybody."""
    job = counting(world)
    for _ in range(CANDIDATES + 1):
        world.submit()
        world.run(world.worker(), files={"same.cat": b"7 sources"})
    while world.clerk.tick():
        pass
    found = world.provenance.why(world.ada, CATALOGUE)
    assert (found.verdict, found.makers[0].job) == (Verdict.MADE, str(job))
