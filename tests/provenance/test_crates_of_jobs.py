"""Jobs carried away as a crate, and run again from their records."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from recorded_world import World

from armillary.accounts.model import Principal, Role
from armillary.app.wiring_crates import Crates, build_crates
from armillary.base.errors import Conflict, Invalid, NotFound, TooLarge
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.crates.comparing import Tolerance
from armillary.crates.runs import Comparing
from armillary.crates.shelves import open_shelf
from armillary.crates.verify import verify
from armillary.provenance.doi import Registrar
from armillary.provenance.exporting import Target
from armillary.provenance.here import Here
from armillary.provenance.model import MAX_RECORDS

IMAGE, CATALOGUE = "/home/ada/m51.fits", "/home/ada/m51.cat"


@pytest.fixture
def crates(world: World) -> Crates:
    return crates_of(world)


def crates_of(world: World, registrar: Registrar | None = None) -> Crates:
    return build_crates(
        provenance=world.provenance,
        batch=world.batch,
        vospace=world.space,
        fleet=world.fleet,
        accounts=world.accounts,
        platform="https://armillary.example",
        database=world.database,
        clock=world.clock,
        registrar=registrar,
    )


def count(world: World) -> JobId:
    """Run the next job: it reads an image in VOSpace, leaves a catalogue there, and brings a file back."""

    def act(who: Principal) -> None:
        world.read(who, IMAGE)
        world.write(who, CATALOGUE, b"7 sources")

    return world.run(world.worker(), act, files={"out.txt": b"counted\n"})


@pytest.fixture
def counted(world: World) -> JobId:
    world.write(world.ada, IMAGE, b"image of m51")
    world.submit()
    job = count(world)
    world.clerk.tick()
    return job


def packed(world: World, crates: Crates, job: JobId, folder: Path) -> Path:
    place = folder / "crate.zip"
    place.write_bytes(b"".join(crates.exports.archive(world.ada, Target(cluster=job.cluster))))
    return place


def test_a_crate_has_all_that_made_the_results_and_is_verified_offline(
    world: World, crates: Crates, counted: JobId, tmp_path: Path
) -> None:
    (key,) = world.provenance.published_keys()
    with open_shelf(packed(world, crates, counted, tmp_path)) as shelf:
        report = verify(shelf, trusted=[key.id])
        assert report.findings == []
        read = {name: b"".join(shelf.chunks(name)) for name in shelf.names()}
    contents = set(read.values())
    assert {b"#!/bin/sh\n", b"pixels", b"image of m51", b"counted\n", b"7 sources"} <= contents
    assert read[f"outputs/{counted}/out.txt"] == b"counted\n"
    assert read[f"written/{counted}{CATALOGUE}"] == b"7 sources"
    assert json.loads(read["prov.json"])["activity"].keys() == {f"job:{counted}"}


def test_a_result_that_a_second_run_left_alone_in_vospace_is_kept_while_it_is_there(
    world: World, crates: Crates, counted: JobId
) -> None:
    world.submit()
    second = world.run(world.worker(), lambda who: None, files={"out.txt": b"counted\n"})
    world.clerk.tick()
    name = f"vos:{CATALOGUE}"

    def outcomes() -> dict[str, str]:
        runs = [crates.exports.crate(world.ada, Target(cluster=job.cluster)) for job in (counted, second)]
        first, then = (Here(exports=crates.exports, who=world.ada, crate=run) for run in runs)
        with Comparing(first=first, second=then, tolerance=Tolerance()) as comparing:
            return {one.name: one.outcome for one in comparing.outcomes()}

    assert outcomes()[name] == "kept"
    world.write(world.ada, CATALOGUE, b"8 sources")
    assert outcomes()[name] == "missing"
    assert crates.exports.lies_at(world.eve, name) is None


def test_a_crate_is_its_members_alone(world: World, crates: Crates, counted: JobId) -> None:
    with pytest.raises(NotFound):
        crates.exports.archive(world.eve, Target(cluster=counted.cluster))


def test_a_crate_is_refused_with_the_list_when_a_result_was_written_over(
    world: World, crates: Crates, counted: JobId
) -> None:
    world.write(world.ada, CATALOGUE, b"8 sources")
    with pytest.raises(Conflict) as refused:
        crates.exports.archive(world.ada, Target(cluster=counted.cluster))
    assert refused.value.code == "contents_gone"
    assert refused.value.facts["gone"][0]["name"].endswith(CATALOGUE)


def test_a_private_file_that_a_job_read_is_nobody_elses_though_the_spool_has_its_bytes(
    world: World, crates: Crates, counted: JobId
) -> None:
    sha256, _ = world.keep(b"image of m51")
    world.accounts.set_role(world.project.id, world.eve.person.id, Role.MEMBER)
    assert crates.exports.crate(world.eve, Target(cluster=counted.cluster)).jobs, "she sees the records"
    for take in (
        lambda: crates.exports.content(world.eve, Target(cluster=counted.cluster), sha256),
        lambda: crates.exports.archive(world.eve, Target(cluster=counted.cluster)),
    ):
        with pytest.raises(Conflict) as refused:
            take()
        assert refused.value.code == "contents_gone"
    mine = crates.exports.content(world.ada, Target(cluster=counted.cluster), sha256)
    assert b"".join(mine) == b"image of m51"


def test_what_a_job_brought_home_and_wrote_into_vospace_too_is_in_its_crate(
    world: World, crates: Crates, tmp_path: Path
) -> None:
    def act(who: Principal) -> None:
        world.write(who, CATALOGUE, b"7 sources")

    world.submit()
    job = world.run(world.worker(), act, files={"m51.cat": b"7 sources"})
    world.clerk.tick()
    with open_shelf(packed(world, crates, job, tmp_path)) as shelf:
        assert verify(shelf).findings == []


def test_jobs_run_again_on_the_same_image_with_the_same_inputs(
    world: World, crates: Crates, counted: JobId
) -> None:
    crate = crates.exports.crate(world.ada, Target.parse(str(counted)))
    done = crates.reruns.rerun(world.ada, crate, cloud="east", project=None, key="again")
    assert done.jobs == {counted.proc: str(counted)}
    again = crates.reruns.rerun(world.ada, crate, cloud="east", project=None, key="again")
    assert again.submitted.cluster == done.submitted.cluster, "asked twice, queued once"
    second = count(world)
    assert second == JobId(ClusterId(done.submitted.cluster), counted.proc)
    before, after = (world.provenance.record(world.ada, job)[0].record for job in (counted, second))
    assert (after.arguments, after.environment) == (before.arguments, before.environment)
    assert (after.executable, after.inputs) == (before.executable, before.inputs)
    assert after.machine.image_sha512 == before.machine.image_sha512
    assert {file.name: file.sha256 for file in after.results} == {
        file.name: file.sha256 for file in before.results
    }
    assert after.spec["requirements"] == 'CloudName == "east"'


def test_a_job_runs_again_without_the_secrets_that_no_record_has_or_not_at_all(
    world: World, crates: Crates
) -> None:
    world.submit(data={"environment": {"API_TOKEN": "hunter2", "BAND": "r"}})
    world.submit(data={"arguments": ["--token", "hunter2"]})
    by_variable, by_argument = (world.run(world.worker()) for _ in range(2))
    crate = crates.exports.crate(world.ada, Target.parse(str(by_variable)))
    done = crates.reruns.rerun(world.ada, crate, cloud=None, project=None, key=None)
    assert "API_TOKEN" in done.submitted.warnings[-1]
    again = world.run(world.worker())
    assert world.provenance.record(world.ada, again)[0].record.environment == {"BAND": "r"}
    crate = crates.exports.crate(world.ada, Target.parse(str(by_argument)))
    with pytest.raises(Conflict) as refused:
        crates.reruns.rerun(world.ada, crate, cloud=None, project=None, key=None)
    assert (refused.value.code, refused.value.facts["jobs"]) == ("secrets_withheld", [str(by_argument)])


def test_whoever_sees_a_projects_records_runs_its_jobs_again_though_others_sent_the_files(
    world: World, crates: Crates
) -> None:
    world.submit()
    job = world.run(world.worker(), lambda _who: None, files={"out.txt": b"counted\n"})
    world.accounts.set_role(world.project.id, world.eve.person.id, Role.MEMBER)
    crate = crates.exports.crate(world.eve, Target(cluster=job.cluster))
    assert (
        len(world.batch.files.missing(world.eve, (file.sha256 for file in crate.jobs[0].document.files))) == 2
    )
    done = crates.reruns.rerun(world.eve, crate, cloud=None, project="galaxies", key=None)
    assert done.jobs == {0: str(job)}


def test_nothing_runs_again_when_an_input_is_gone(world: World, crates: Crates, counted: JobId) -> None:
    crate = crates.exports.crate(world.ada, Target(cluster=counted.cluster))
    program = crate.jobs[0].document.executable
    assert program
    world.spool.path(program.sha256).unlink()
    with pytest.raises(Conflict) as refused:
        crates.reruns.rerun(world.ada, crate, cloud=None, project=None, key=None)
    assert [one["name"] for one in refused.value.facts["gone"]] == ["run.sh"]


def test_nothing_runs_again_when_what_it_read_in_vospace_has_changed(
    world: World, crates: Crates, counted: JobId
) -> None:
    crate = crates.exports.crate(world.ada, Target(cluster=counted.cluster))
    world.write(world.ada, IMAGE, b"another image")
    with pytest.raises(Conflict) as refused:
        crates.reruns.rerun(world.ada, crate, cloud=None, project=None, key=None)
    assert refused.value.code == "inputs_changed"
    assert [one["now"] for one in refused.value.facts["inputs"]] == ["changed"]
    world.space.delete(world.ada, IMAGE)
    with pytest.raises(Conflict, match="gone"):
        crates.reruns.rerun(world.ada, crate, cloud=None, project=None, key=None)


SAME_MD5 = [
    bytes.fromhex(
        f"d131dd02c5e6eec4693d9a0698aff95c2fcab5{a}12467eab4004583eb8fb7f89"
        f"55ad340609f4b30283e4888325{b}415a085125e8f7cdc99fd91dbd{c}80373c5b"
        f"d8823e3156348f5bae6dacd436c919c6dd53e2{d}87da03fd02396306d248cda0"
        f"e99f33420f577ee8ce54b67080{e}0d1ec69821bcb6a8839396f965{f}6ff72a70"
    )
    for a, b, c, d, e, f in (("87", "71", "f2", "b4", "a8", "2b"), ("07", "f1", "72", "34", "28", "ab"))
]
"""Two texts by X. Wang and H. Yu, 2004."""


def test_nothing_runs_again_when_what_it_read_was_changed_so_that_its_md5_is_the_same(
    world: World, crates: Crates
) -> None:
    one, other = SAME_MD5
    assert one != other and hashlib.md5(one).digest() == hashlib.md5(other).digest()
    world.write(world.ada, IMAGE, one)
    world.submit(2)
    jobs = [count(world) for _ in range(2)]
    crate = crates.exports.crate(world.ada, Target(cluster=jobs[0].cluster))
    assert crates.reruns.refusals(world.ada, crate) == []
    world.write(world.ada, IMAGE, other)
    [refused] = crates.reruns.refusals(world.ada, crate)
    assert (refused.code, refused.facts["count"]) == ("inputs_changed", 2)


def shelf_files(place: Path) -> list[bytes]:
    with open_shelf(place) as shelf:
        return [b"".join(shelf.chunks(path)) for path in shelf.names()]


def test_twelve_jobs_carried_to_a_fresh_platform_run_again_there_and_make_the_same(tmp_path: Path) -> None:
    """All that the first platform had is gone but for the crate."""
    old, new = World(folder=made(tmp_path / "old")), World(folder=made(tmp_path / "new"), homes=False)
    old.write(old.ada, IMAGE, b"image of m51")
    cluster = old.submit(12)
    for _ in range(12):
        job = count(old)
    old.clerk.tick()
    place = packed(old, crates_of(old), job, tmp_path)
    (key,) = old.provenance.published_keys()
    old.close()

    with open_shelf(place) as shelf:
        crate = verify(shelf, trusted=[key.id]).crate
        assert crate
        for path in shelf.names():
            new.keep(b"".join(shelf.chunks(path)))
    crates = crates_of(new)
    signatures = [job.signature for job in crate.jobs]
    brought = crates.imports.take(new.ada, cluster=crate.cluster.signature, jobs=signatures, keys=crate.keys)
    assert brought.jobs == [f"{cluster}.{proc}" for proc in range(12)]
    assert new.read(new.ada, IMAGE) == b"image of m51"
    with pytest.raises(
        Conflict
    ) as refused:  # who knows the digests alone gets no bytes by records of their own
        crates.imports.take(new.eve, cluster=crate.cluster.signature, jobs=signatures, keys=crate.keys)
    assert refused.value.code == "contents_gone"
    again = crates.imports.take(new.ada, cluster=crate.cluster.signature, jobs=signatures, keys=crate.keys)
    assert (again.number, again.written) == (brought.number, [])
    for path in shelf_files(place):
        with new.batch.files.writer(new.eve) as writer:
            writer.write(path)
            writer.commit()
    stranger = crates.imports.take(new.eve, cluster=crate.cluster.signature, jobs=signatures, keys=crate.keys)
    assert stranger.written == []
    assert {uri.rpartition("/")[2] for uri in stranger.refused} == {"m51.cat", "m51.fits"}

    found = crates.exports.crate(new.ada, Target.parse(f"import-{brought.number}"))
    done = crates.reruns.rerun(new.ada, found, cloud=None, project=None, key=None)
    assert done.submitted.jobs == 12
    for _ in range(12):
        second = count(new)
    after = crates.exports.crate(new.ada, Target(cluster=second.cluster))
    for one, other in zip(found.jobs, after.jobs, strict=True):
        before = {file.name.partition("/home")[2] or file.name: file.sha256 for file in one.document.results}
        assert before == {
            file.name.partition("/home")[2] or file.name: file.sha256 for file in other.document.results
        }
    with pytest.raises(NotFound):
        crates.exports.crate(new.eve, Target.parse(f"import-{brought.number}"))
    new.close()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_records_that_no_trusted_key_signed_are_not_imported(
    world: World, crates: Crates, counted: JobId
) -> None:
    crate = crates.exports.crate(world.ada, Target(cluster=counted.cluster))
    for paper in [crate.cluster, *crate.jobs]:
        world.keep(paper.data)
    world.keep(b"image of m51"), world.keep(b"7 sources")
    with pytest.raises(Invalid, match="not signed by a key"):
        crates.imports.take(
            world.ada, cluster=crate.cluster.signature, jobs=[job.signature for job in crate.jobs], keys={}
        )


def test_what_is_larger_than_records_can_be_is_not_read_as_one(
    world: World, crates: Crates, counted: JobId
) -> None:
    crate = crates.exports.crate(world.ada, Target(cluster=counted.cluster))
    large = world.keep(b"{}")[0]
    os.truncate(world.spool.path(large), MAX_RECORDS + 1)
    world.keep(crate.cluster.data)
    with pytest.raises(TooLarge):
        crates.imports.take(
            world.ada,
            cluster=crate.cluster.signature,
            jobs=[crate.jobs[0].signature.model_copy(update={"sha256": large})],
            keys=crate.keys,
        )


def test_an_import_has_one_record_of_each_job(world: World, crates: Crates, counted: JobId) -> None:
    crate = crates.exports.crate(world.ada, Target(cluster=counted.cluster))
    for paper in [crate.cluster, *crate.jobs]:
        world.keep(paper.data)
    world.keep(b"image of m51"), world.keep(b"7 sources")
    for jobs, told in (([], "0 records"), ([crate.jobs[0].signature] * 2, "two records are of the job")):
        with pytest.raises(Invalid, match=told):
            crates.imports.take(world.ada, cluster=crate.cluster.signature, jobs=jobs, keys=crate.keys)


def test_records_that_are_more_than_memory_is_for_are_had_by_job(world: World, counted: JobId) -> None:
    with pytest.raises(TooLarge, match="more than 100 bytes"):
        world.provenance.job_records(world.ada, counted.cluster, most=100)
    assert len(world.provenance.job_records(world.ada, counted.cluster, procs=[0], most=100)) == 1
