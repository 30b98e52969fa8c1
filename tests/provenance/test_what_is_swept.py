"""What goes when an operator makes room, and what stays: all that anything names."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorded_world import SMALL, World
from test_crates_of_jobs import crates_of

from armillary.base.clock import VirtualClock
from armillary.base.ids import ClusterId
from armillary.batch.engines.embedded.parcels import OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.logs import LogFolder
from armillary.batch.model import JobId
from armillary.batch.store.named_bytes import NamedBytes
from armillary.batch.sweeping import Sweeper
from armillary.crates.shelves import open_shelf
from armillary.crates.verify import verify
from armillary.provenance.exporting import Target

LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(folder=tmp_path, large=10)  # every record is in the spool
    yield made
    made.close()


@pytest.fixture
def logs(world: World) -> LogFolder:
    return LogFolder(directory=world.folder / "logs")


def sweeper_of(world: World, logs: LogFolder, *, at_once: int = 3) -> Sweeper:
    return Sweeper(
        spool=world.spool,
        logs=logs,
        named=[NamedBytes(database=world.database), world.store.named],
        active=world.ended.active,
        clock=VirtualClock(LATER),
        at_once=at_once,
    )


def bring(world: World, session: Session, content: bytes) -> None:
    """Take the next job, and send a file of it."""
    [job] = world.agents.claim(session, SMALL).jobs
    with world.agents.output(session, job.leased.key, "out.txt") as writer:
        writer.write(content)
        blob = writer.commit()
    brought = OutputRef(name="out.txt", sha256=blob.sha256, size=blob.size)
    world.agents.add_output(session, job.leased.key, brought)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_only_what_nothing_names_goes_and_a_crate_is_whole_after_it(world: World, logs: LogFolder) -> None:
    world.submit()
    session = world.worker()
    bring(world, session, b"half of it")
    world.agents.leave(session)  # before the end of its job, which runs again
    job = world.run(world.worker(), files={"out.txt": b"counted\n", "err.txt": b""})
    world.submit()
    [running] = world.agents.claim(world.worker(), SMALL).jobs
    world.clerk.tick()
    sweeper = sweeper_of(world, logs)

    [would] = sweeper.files(removes=False)
    assert (would.name, would.size) == (sha256(b"half of it"), 10)
    assert world.spool.missing([would.name]) == []
    [swept] = sweeper.files(removes=True)
    assert world.spool.missing([swept.name]) == [swept.name]
    assert list(sweeper.files(removes=True)) == []

    place = world.folder / "crate.zip"
    place.write_bytes(b"".join(crates_of(world).exports.archive(world.ada, Target(cluster=job.cluster))))
    with open_shelf(place) as shelf:
        assert verify(shelf).findings == []
    assert world.spool.missing(file.sha256 for file in running.leased.inputs) == []


def test_what_a_job_that_runs_has_brought_stays(world: World, logs: LogFolder) -> None:
    world.submit()
    session = world.worker()
    bring(world, session, b"on its way")
    assert list(sweeper_of(world, logs).files(removes=True)) == []


def test_what_came_within_a_day_stays(world: World, logs: LogFolder) -> None:
    with world.spool.writer() as writer:
        writer.write(b"nobody's yet")
        blob = writer.commit()
    os.utime(world.spool.path(blob.sha256), (0, 0))
    sweeper = sweeper_of(world, logs)
    assert [one.name for one in sweeper.files(removes=False)] == [blob.sha256]
    soon = LATER - timedelta(hours=1)
    os.utime(world.spool.path(blob.sha256), (soon.timestamp(), soon.timestamp()))
    assert list(sweeper.files(removes=True)) == []


def test_a_file_that_is_sent_again_while_it_is_swept_stays(world: World) -> None:
    with world.spool.writer() as writer:
        writer.write(b"again")
        blob = writer.commit()
    assert not world.spool.remove(blob.sha256, datetime.fromtimestamp(time.time() - 3600, UTC))
    assert world.spool.missing([blob.sha256]) == []


def test_a_sweep_that_was_killed_loses_nothing(world: World) -> None:
    digest, _ = world.keep(b"it stays")
    place = world.spool.path(digest)
    place.rename(world.folder / "spool" / "incoming" / f"aside-{digest}")
    assert world.spool.missing([digest]) == [digest]
    place.parent.rmdir()  # by somebody who tidied up
    world.spool.sweep()
    assert world.spool.path(digest).read_bytes() == b"it stays"


def test_a_platform_that_starts_in_the_middle_of_a_sweep_keeps_what_was_put_aside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, _ = world.keep(b"it stays")
    aside = Path.rename

    def starts(place: Path, target: Path) -> Path:
        done = aside(place, target)
        world.spool.sweep()
        return done

    monkeypatch.setattr(Path, "rename", starts)
    assert not world.spool.remove(digest, LATER)
    assert world.spool.path(digest).read_bytes() == b"it stays"


def test_logs_of_submits_that_are_over_go_when_they_are_old_enough(world: World, logs: LogFolder) -> None:
    over, waits = world.submit(), world.submit()
    world.run(world.worker())
    for cluster in (over, waits):
        logs.append(JobId(ClusterId(cluster), 0), 1, "stdout", offset=0, data=b"said")
    sweeper = sweeper_of(world, logs)
    assert list(sweeper.old_logs(timedelta(days=365 * 200), removes=True)) == []
    assert [one.name for one in sweeper.old_logs(timedelta(days=1), removes=False)] == [str(over)]
    assert [one.name for one in sweeper.old_logs(timedelta(days=1), removes=True)] == [str(over)]
    assert logs.read(JobId(ClusterId(over), 0), 1, "stdout", offset=0).data == b""
    assert logs.read(JobId(ClusterId(waits), 0), 1, "stdout", offset=0).data == b"said"
