"""`armillary fsck`: each fault is found, and mended without losing anything, on every kind of storage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore
from sqlalchemy import Engine, create_engine, text, update

from armillary.accounts.model import Principal
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.ids import PersonId, new_hex
from armillary.base.units import GiB
from armillary.vospace.api import Settings
from armillary.vospace.bytes import Bucket, FolderBytes, PiecedBytes, S3Bytes
from armillary.vospace.check_model import DAMAGED, Fault, Finding
from armillary.vospace.job_model import Job, JobKind, Phase
from armillary.vospace.model import Change, Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import ByteStore
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.checking import Checker
from armillary.vospace.store import SqlInspection, SqlJobRecords, SqlRecords, create_all
from armillary.vospace.store.tables import nodes
from outside_engines import ON_BOTH

TOMORROW = datetime.now(UTC) + timedelta(days=1)
HOME = "/home/ada"
DATA = b"a galaxy far away"


@dataclass
class Yard:
    """A space with Ada's home, and the means to break it."""

    engine: Engine
    bytes: ByteStore
    space: VOSpaceService
    ada: Principal
    jobs: SqlJobRecords
    people: set[str]
    now: datetime = TOMORROW

    def put(self, name: str, data: bytes = DATA) -> Node:
        return self.space.put_bytes(self.ada, f"{HOME}/{name}", [data])

    def node(self, name: str = "") -> Node:
        return self.space.node(self.ada, f"{HOME}/{name}".rstrip("/"))

    def read(self, name: str) -> bytes:
        return b"".join(self.space.open_bytes(self.ada, f"{HOME}/{name}").chunks)

    def change(self, node: Node, **values: Any) -> None:
        """Change a record behind everybody's back."""
        # a connection that minds no foreign keys
        engine = create_engine(self.engine.url)
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(update(nodes).where(nodes.c.id == node.id).values(values))
        engine.dispose()

    def check(self, *, mends: bool = False, checksums: bool = False, portion: int = 20_000) -> list[Finding]:
        checker = Checker(
            records=self.space.records,
            inspection=SqlInspection(self.engine),
            bytes_=self.bytes,
            jobs=self.jobs,
            clock=VirtualClock(self.now),
            known=lambda person: person in self.people,
            progress=lambda what, done, whole: None,
            mends=mends,
            checksums=checksums,
            portion=portion,
        )
        return list(checker.findings())

    def finds(self, fault: Fault, *, checksums: bool = False) -> Finding:
        """Look, change nothing, and find this alone, however often one looks."""
        [found] = self.check(checksums=checksums)
        assert found.fault is fault
        assert not found.mended
        assert self.check(checksums=checksums) == [found]
        return found


@pytest.fixture
def a_yard(records_url: str, ada: Principal) -> Iterator[Callable[[ByteStore], Yard]]:
    """Builds a yard with its bytes in a store."""
    made: list[Yard] = []

    def make(store: ByteStore) -> Yard:
        engine = make_engine(records_url, durable=False)
        create_all(engine)
        space = VOSpaceService(
            records=SqlRecords(engine),
            bytes_=store,
            clock=VirtualClock(),
            authorities=Settings().authorities,
            groups=lambda person: frozenset(),
            quota=lambda person: GiB(1),
        )
        space.ensure_home(ada.person)
        made.append(Yard(engine, store, space, ada, SqlJobRecords(engine), {ada.person.id}))
        return made[-1]

    yield make
    for yard in made:
        yard.space.adding_up.shutdown()
        yard.engine.dispose()


@pytest.fixture(params=["folder", "pieces"])
def yard(request: pytest.FixtureRequest, tmp_path: Path, a_yard: Callable[[ByteStore], Yard]) -> Yard:
    return a_yard(
        FolderBytes(tmp_path / "bytes") if request.param == "folder" else PiecedBytes(MemoryStore(), piece=8)
    )


def test_a_space_that_is_right_is_left_alone(yard: Yard) -> None:
    yard.space.make_container(yard.ada, f"{HOME}/a/b", parents=True)
    yard.put("a/b/m51.fits")
    yard.space.copy(yard.ada, f"{HOME}/a", f"{HOME}/c")
    yard.space.delete(yard.ada, f"{HOME}/a")
    yard.space.make_file(yard.ada, f"{HOME}/empty")
    assert yard.check(checksums=True) == []
    assert yard.check(mends=True, checksums=True) == []
    assert yard.read("c/b/m51.fits") == DATA


def test_orphans_are_told_and_with_mending_deleted(yard: Yard) -> None:
    yard.put("m51.fits")
    key = new_hex()
    writer = yard.bytes.begin(key)
    writer.write(DATA)
    writer.publish()
    assert yard.finds(Fault.ORPHAN_BYTES).subject == key
    [mended] = yard.check(mends=True)
    assert mended.mended == "deleted"
    assert yard.bytes.size(key) is None
    assert yard.check() == []
    assert yard.read("m51.fits") == DATA


def test_what_is_young_is_not_suspected(yard: Yard) -> None:
    key = new_hex()
    writer = yard.bytes.begin(key)
    writer.write(DATA)
    writer.publish()
    yard.now = datetime.now(UTC) + timedelta(minutes=50)
    assert yard.check(mends=True) == []
    assert yard.bytes.size(key) == len(DATA)


@ON_BOTH
def test_a_node_with_lost_bytes_stays_and_is_marked_until_they_are_there_again(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    yard.bytes.delete(node.blob)
    assert yard.finds(Fault.MISSING_BYTES).subject == f"{HOME}/m51.fits"
    for _ in range(2):
        [found] = yard.check(mends=True)
        assert found.is_open, "bytes that are lost are not mended by a mark"
        assert yard.node("m51.fits").properties[DAMAGED].startswith("missing_bytes ")
    assert yard.node("m51.fits").length == len(DATA)

    writer = yard.bytes.begin(node.blob)
    writer.write(DATA)
    writer.publish()
    [found] = yard.check(mends=True)
    assert found.mended
    assert DAMAGED not in yard.node("m51.fits").properties
    assert yard.check(checksums=True) == []


def test_an_owner_can_put_a_file_with_lost_bytes_anew(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    yard.bytes.delete(node.blob)
    yard.check(mends=True)
    yard.put("m51.fits", b"again")
    yard.check(mends=True)
    assert yard.check(checksums=True) == []
    assert yard.read("m51.fits") == b"again"


def test_a_node_that_has_a_length_and_no_bytes_at_all_is_told(yard: Yard) -> None:
    yard.change(yard.put("m51.fits"), blob=None)
    found = {finding.fault: finding.subject for finding in yard.check()}
    assert found[Fault.MISSING_BYTES] == f"{HOME}/m51.fits"


def test_a_wrong_length_is_told(yard: Yard) -> None:
    node = yard.put("m51.fits")
    yard.change(node, length=5)
    yard.change(yard.node(), used=5)
    assert yard.finds(Fault.WRONG_LENGTH).subject == f"{HOME}/m51.fits"
    yard.check(mends=True)
    assert yard.node("m51.fits").properties[DAMAGED].startswith("wrong_length ")


def test_a_wrong_checksum_is_told_by_those_who_read_all(yard: Yard) -> None:
    node = yard.put("m51.fits")
    yard.change(node, md5=hashlib.md5(b"something else").hexdigest())
    assert yard.check() == []
    assert yard.finds(Fault.WRONG_CHECKSUM, checksums=True).subject == f"{HOME}/m51.fits"


def test_a_lost_piece_is_told_by_those_who_read_all(a_yard: Callable[[ByteStore], Yard]) -> None:
    bucket = MemoryStore()
    yard = a_yard(PiecedBytes(bucket, piece=8))
    node = yard.put("m51.fits")
    assert node.blob
    obstore.delete(bucket, f"pieces/{node.blob[:2]}/{node.blob}/{8:020d}")
    assert yard.check() == []
    assert yard.finds(Fault.MISSING_BYTES, checksums=True).subject == f"{HOME}/m51.fits"


@pytest.mark.engines
def test_a_bucket_is_checked_and_mended(
    a_yard: Callable[[ByteStore], Yard], a_bucket: Callable[[], Bucket]
) -> None:
    yard = a_yard(S3Bytes(a_bucket()))
    lost, kept = yard.put("lost"), yard.put("kept", DATA * 1_000_000)
    assert lost.blob
    yard.bytes.delete(lost.blob)
    orphan, unfinished = new_hex(), new_hex()
    for key in (orphan, unfinished):
        writer = yard.bytes.begin(key)
        writer.write(DATA)
        writer.publish() if key == orphan else writer.pause()
    found = {finding.fault: finding.subject for finding in yard.check(mends=True, checksums=True)}
    assert found == {
        Fault.MISSING_BYTES: f"{HOME}/lost",
        Fault.ORPHAN_BYTES: orphan,
        Fault.UNFINISHED_UPLOAD: unfinished,
    }
    assert [finding.fault for finding in yard.check()] == [Fault.MISSING_BYTES]
    assert hashlib.md5(yard.read("kept")).hexdigest() == kept.md5


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
def test_deleted_files_whose_bytes_were_kept_are_given_back(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    with yard.space.records.writing() as tree:
        tree.remove(node)
        tree.charge(tree.walk(VOSPath(("home", "ada")))[-1], -len(DATA))
    yard.finds(Fault.WAITING_BYTES)
    yard.check(mends=True)
    assert yard.bytes.size(node.blob) is None
    assert yard.check() == []


def test_an_upload_that_nobody_can_finish_is_deleted(yard: Yard) -> None:
    key = new_hex()
    writer = yard.bytes.begin(key)
    writer.write(DATA)
    writer.pause()
    assert yard.finds(Fault.UNFINISHED_UPLOAD).subject == key
    yard.check(mends=True)
    assert yard.bytes.kept(key) is None
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


def test_many_files_are_compared_in_portions(yard: Yard) -> None:
    for number in range(20):
        yard.put(f"{number}")
    assert yard.check(portion=7, checksums=True) == []
    node, orphan = yard.node("7"), new_hex()
    assert node.blob
    yard.bytes.delete(node.blob)
    writer = yard.bytes.begin(orphan)
    writer.write(DATA)
    writer.publish()
    found = yard.check(portion=7)
    assert {(one.fault, one.subject) for one in found} == {
        (Fault.MISSING_BYTES, f"{HOME}/7"),
        (Fault.ORPHAN_BYTES, orphan),
    }
    assert sorted(map(str, found)) == sorted(map(str, yard.check()))


def test_a_mark_is_the_owners_to_take_away(yard: Yard) -> None:
    node = yard.put("m51.fits")
    assert node.blob
    yard.bytes.delete(node.blob)
    yard.check(mends=True)
    yard.space.set_properties(yard.ada, f"{HOME}/m51.fits", Change(properties={DAMAGED: None}))
    assert DAMAGED not in yard.node("m51.fits").properties
