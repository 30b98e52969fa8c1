"""What is easily left out of a record: what was replaced, moved, copied, read in two versions, or is secret."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

from recorded_world import World
from sqlalchemy import select

from armillary.accounts.model import Principal
from armillary.base.ids import PersonId, ProjectId
from armillary.batch.ended import EndedAttempt, EndedCluster, EndedJob
from armillary.batch.model import JobId
from armillary.batch.views import OutputView
from armillary.crates.canonical import digest
from armillary.crates.describing import descriptions
from armillary.crates.layout import METADATA, PROV, Crate, Signed
from armillary.crates.record import JobRecord, read
from armillary.crates.withholding import WITHHELD
from armillary.provenance.making import job_record
from armillary.vospace.access_model import Deed, JobAccess
from armillary.vospace.store.tables import digests


def recorded(world: World, job: JobId) -> JobRecord:
    world.clerk.tick()
    return world.provenance.record(world.ada, job)[0].record


def crate_of(world: World, job: JobId) -> Crate:
    signed, cluster = world.provenance.record(world.ada, job)
    return Crate(
        cluster=Signed(document=cluster.record, data=cluster.document, signature=cluster.signature),
        jobs=[Signed(document=signed.record, data=signed.document, signature=signed.signature)],
    )


def path(uri: str) -> str:
    return uri.partition("vault")[2]


def test_an_input_that_was_replaced_before_it_was_added_up_is_named_in_the_crate(world: World) -> None:
    world.write(world.ada, "/home/ada/in", b"input")
    world.submit()
    job = world.run(world.worker(), lambda who: void(world.read(who, "/home/ada/in")))
    world.write(world.ada, "/home/ada/in", b"another")
    [access] = recorded(world, job).unknown
    assert (path(access.uri), access.sha256, access.size) == ("/home/ada/in", None, 5)
    told = descriptions(crate_of(world, job))
    graph = {one["@id"]: one for one in json.loads(told[METADATA])["@graph"]}
    [named] = [one for name, one in graph.items() if name.startswith(f"urn:md5:{access.md5}")]
    assert named["identifier"] == access.uri
    assert {"@id": named["@id"]} in graph[f"#job-{job}"]["object"]
    prov = json.loads(told[PROV])
    assert prov["entity"][f"md5:{access.md5}"]["voprov:location"] == access.uri
    assert f"md5:{access.md5}" in {used["prov:entity"] for used in prov["used"].values()}


def test_a_result_that_was_written_over_before_it_was_recorded_keeps_its_sha256(world: World) -> None:
    world.submit(2)
    first, second = (
        world.run(world.worker(), lambda who, data=data: world.write(who, "/home/ada/out", data))
        for data in (b"first", b"second")
    )
    assert [one.sha256 for one in recorded(world, first).writes] == [digest(b"first")]
    assert [one.sha256 for one in recorded(world, second).writes] == [digest(b"second")]
    with world.database.connect() as db:
        kept = db.execute(select(digests.c.sha256)).scalars().all()
    assert kept == [digest(b"second")], "what is gone and recorded is forgotten"


def test_both_versions_of_a_file_that_changed_while_a_job_read_it_are_inputs(world: World) -> None:
    world.write(world.ada, "/home/ada/in", b"first")
    world.submit()

    def act(who: Principal) -> None:
        world.read(who, "/home/ada/in")
        world.write(world.ada, "/home/ada/in", b"second!")
        world.read(who, "/home/ada/in")

    record = recorded(world, world.run(world.worker(), act))
    assert [one.size for one in record.reads] == [5, 7]


def test_a_file_that_a_job_wrote_twice_and_read_again_is_one_result_and_no_input(world: World) -> None:
    world.submit()

    def act(who: Principal) -> None:
        world.write(who, "/home/ada/out", b"first")
        world.write(who, "/home/ada/out", b"second!")
        world.read(who, "/home/ada/out")

    record = recorded(world, world.run(world.worker(), act))
    assert (record.reads, [one.size for one in record.writes]) == ([], [7])


def test_what_a_job_moves_is_found_where_it_lies_now_and_not_where_it_was(world: World) -> None:
    world.submit()

    def act(who: Principal) -> None:
        world.space.make_container(who, "/home/ada/tmp")
        world.write(who, "/home/ada/tmp/a", b"one")
        world.write(who, "/home/ada/tmp/b", b"two!")
        world.space.move(who, "/home/ada/tmp", "/home/ada/final")

    job = world.run(world.worker(), act)
    record = recorded(world, job)
    assert sorted(path(one.uri) for one in record.writes) == ["/home/ada/final/a", "/home/ada/final/b"]
    assert record.unknown == record.reads == []
    why = world.provenance.why(world.ada, "/home/ada/final/a")
    assert (why.verdict.value, why.makers[0].job) == ("made", str(job))


def test_what_a_job_copies_is_read_there_and_written_here(world: World) -> None:
    world.write(world.ada, "/home/ada/in", b"input")
    world.submit()
    record = recorded(
        world,
        world.run(world.worker(), lambda who: void(world.space.copy(who, "/home/ada/in", "/home/ada/out"))),
    )
    assert [path(one.uri) for one in record.reads] == ["/home/ada/in"]
    assert [path(one.uri) for one in record.writes] == ["/home/ada/out"]
    assert record.reads[0].sha256 == record.writes[0].sha256


def test_what_is_left_of_a_folder_that_a_job_deleted_is_nothing(world: World) -> None:
    world.submit()

    def act(who: Principal) -> None:
        world.space.make_container(who, "/home/ada/tmp")
        world.write(who, "/home/ada/tmp/a", b"one")
        world.write(who, "/home/ada/tmpa", b"beside")
        world.space.delete(who, "/home/ada/tmp")

    record = recorded(world, world.run(world.worker(), act))
    assert [path(one.uri) for one in record.writes] == ["/home/ada/tmpa"]


def test_the_longest_path_in_signs_that_are_escaped_has_a_place_in_a_record(world: World) -> None:
    name = "%" * 255
    way = "/home/ada"
    for _ in range(14):
        way += f"/{name}"
        world.space.make_container(world.ada, way)
    world.submit()
    record = recorded(world, world.run(world.worker(), lambda who: world.write(who, f"{way}/{name}", b"far")))
    assert len(record.results[0].name) > 9_000


def test_a_job_that_lost_its_machine_names_that_one_too_and_what_it_did_there(world: World) -> None:
    world.submit()
    first = world.worker()
    [claimed] = world.agents.claim(first, first.whole).jobs
    assert claimed.credential
    world.write(world.by_certificate(claimed.credential), "/home/ada/partial", b"half")
    world.queue.lost(first.worker, "its cloud took it away")
    record = recorded(
        world, world.run(world.worker(), lambda who: world.write(who, "/home/ada/whole", b"all of it"))
    )
    assert (record.attempt, record.attempts, record.machine.worker) == (2, 2, "w2")
    [before] = record.earlier
    assert (before.number, before.worker, before.cloud, before.error) == (
        1,
        "w1",
        "east",
        "its cloud took it away",
    )
    assert before.image_sha512 == record.machine.image_sha512
    assert [(path(one.uri), one.attempt) for one in record.accesses] == [
        ("/home/ada/partial", 1),
        ("/home/ada/whole", None),
    ]


def test_no_secret_gets_into_a_record_that_is_signed(world: World) -> None:
    secret = "hunter2-hunter2"
    spec = {
        "environment": {"API_TOKEN": secret, "BAND": "r"},
        "arguments": ["--password", secret, "m51.fits"],
        "attributes": {"MySecret": secret},
    }
    world.submit(
        data=spec, submit_text=f"environment = API_TOKEN={secret}\narguments = --password {secret}\n"
    )
    job = world.run(world.worker())
    record = recorded(world, job)
    signed, cluster = world.provenance.record(world.ada, job)
    for document in (signed.document, cluster.document, *descriptions(crate_of(world, job)).values()):
        assert secret.encode() not in document
    assert record.environment == {"API_TOKEN": WITHHELD, "BAND": "r"}
    assert record.arguments == ["--password", WITHHELD, "m51.fits"]
    assert cluster.record.submit_text.count(WITHHELD) == 2


def test_a_job_that_did_more_than_a_document_has_room_for_has_a_record_that_says_so() -> None:
    who, at = PersonId("ada"), datetime(2026, 1, 1, tzinfo=UTC)
    folder = "/home/ada/" + "/".join(["%" * 255] * 15)
    accesses = [
        JobAccess(
            job="1.0.1", person_id=who, deed=Deed.WRITE, path=f"{folder}/{number}", blob=f"{number}", length=1,
            md5="0" * 32, at=at, sha256="1" * 64,
        )
        for number in range(10_000)
    ]  # fmt: skip
    attempt = EndedAttempt(
        number=1, worker="w", claimed_at=at, started_at=at, ended_at=at, exit_code=0, signal=None, error=None,
        usage={"cpu_seconds": 1.5, "memory_mib": math.nan}, cpus=1, memory_mib=1, disk_kib=1, gpus=0, cloud=None, flavor="f", server=None, agent_version=None,
        image="0" * 128,
    )  # fmt: skip
    outputs = [
        OutputView(name=f"{'é' * 100}/{number:05}", sha256=f"{number:064x}", size=1)
        for number in range(10_000)
    ]
    job = EndedJob(
        id=JobId.parse("1.0"), state="completed", succeeded=True, reason=None, owner=who, attempts=1,
        submitted_at=at, finished_at=at, exit_code=0, signal=None, spec={}, inputs=[], attempt=attempt,
        outputs=outputs,
    )  # fmt: skip
    cluster = EndedCluster(
        id=1, batch_name=None, owner=who, owner_name="ada", project=ProjectId("p"), project_name="p",
        submitted_at=at, submit_text="", jobs=1, flavor="f", image="0" * 128, image_name="i", wishes={},
    )  # fmt: skip
    record = job_record(
        job, attempt, cluster, cluster_digest="0" * 64, accesses=accesses, digests={}, authority="a~vault",
        most=10_000,
    )  # fmt: skip
    document = record.canonical()
    assert read(JobRecord, document).canonical() == document
    assert len(record.outputs) == 10_000
    assert record.usage == {"cpu_seconds": 1.5}, "what is no number is not told"
    assert len(record.accesses) > 1_000
    assert len(record.accesses) + record.accesses_dropped == 10_000


def void(_: object) -> None:
    """Take what an act returns."""
