"""The control: the same judge, over jobs that a real HTCondor pool runs for us, in a storm of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos_history import History, Verdict
from sqlalchemy import event

from armillary.app.database import make_engine
from armillary.base.errors import Unavailable
from armillary.base.ids import PersonId
from armillary.batch.engines.htcondor.engine import CondorEngine
from armillary.batch.model import JobId, JobSpec, JobState, Resources, Selection, Submission
from armillary.batch.store.records import Records
from condor_bench import CondorBench, condor_bench
from htcondor_pool import Pool

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

JOBS, STORM_SECONDS, PATIENCE = 12, 15.0, 180.0
LEASE = timedelta(seconds=40)
"""Long enough for a schedd that was killed to come back, and to find the machines that went on."""
WORK = """\
#!/bin/sh
# Says in a notebook of its own when it began, that it lives, and when it ended; leaves behind which process it was.
me=$(cat /proc/sys/kernel/random/uuid) book=/bench/history-$1
said() { echo "$1 $2 $me $(date +%s.%N)" >>"$book"; }
said began "$2"
for _ in $(seq "$3"); do sleep 0.1; said lives "$2"; done
echo "$me" >result
said ended "$2"
"""


class Killed(BaseException):
    """`kill -9` of us, in front of some statement to the database."""


class Lossy:
    """A pool some of whose replies are lost: what was asked for is done, and nobody hears of it."""

    def __init__(self, pool: Any, storm: Storm) -> None:
        self._pool = pool
        self._storm = storm

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._pool, name)

        def asked(*args: Any) -> Any:
            answer = call(*args)
            first = f"a reply to {name} is lost" not in self._storm.happened
            if name != "ping" and (first or (self._storm.blows and self._storm.dice.random() < 0.1)):
                self._storm.count(f"a reply to {name} is lost")
                raise Unavailable("the reply was lost", code="htcondor_unavailable")
            return answer

        return asked


class Storm:
    """Troubles of every kind, from one seed; and in between, our engine does its work as well as it may."""

    def __init__(self, *, bench: CondorBench, pool: Pool, seed: int) -> None:
        self.dice = Random(seed)
        self.blows = True
        self.happened: dict[str, int] = {}
        self._bench = bench
        self._pool = pool
        self._statements_left: int | None = None
        event.listen(bench.database, "before_cursor_execute", self._statement)
        self._engine = self._another()
        self._troubles = [self.kill_schedd, self.kill_us, *[self.kill_startd] * 2, *[self.kill_us] * 4]
        self.dice.shuffle(self._troubles)

    def count(self, what: str) -> None:
        self.happened[what] = self.happened.get(what, 0) + 1

    def _another(self) -> CondorEngine:
        return self._bench.make(Lossy(self._bench.door, self))

    def _statement(self, *_: Any) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
            if self._statements_left < 0:
                self._statements_left = None
                raise Killed

    def step(self) -> None:
        with suppress(Unavailable):
            try:
                self._engine.tick()
            except Killed:
                self.count("we are killed")
                self._bench.database.dispose()
                self._engine = self._another()

    def kill_us(self) -> None:
        self._statements_left = self.dice.randrange(40)

    def kill_schedd(self) -> None:
        self.count("the schedd is killed")
        self._pool.run("sh", "-c", _KILL.format(name="condor_schedd"))

    def kill_startd(self) -> None:
        self.count("a startd is killed")
        name = self.dice.choice(sorted(self._bench.machines))
        self._bench.machines[name].run("sh", "-c", _KILL.format(name="condor_startd"))

    def rages(self, seconds: float) -> None:
        """Let it all happen, evenly over some time."""
        began, count = time.monotonic(), len(self._troubles)
        while (passed := time.monotonic() - began) < seconds:
            if self._troubles and passed > seconds * (1 - len(self._troubles) / count):
                self._troubles.pop()()
            self.step()
            time.sleep(0.1)  # the pool has no bell
        self.blows, self._statements_left = False, None

    def ends(self, states: Callable[[], dict[str, JobState]]) -> None:
        """Calm weather: held jobs are released as a person would, until all are completed.

        What ran on a machine whose startd was killed is run again when its lease is over, and not before: HTCondor
        lets nothing else end it, neither a hold nor a vacate (seen with 23.9 and 25).
        """
        end = time.monotonic() + PATIENCE
        while set((now := states()).values()) != {JobState.COMPLETED}:
            for name in [JobId.parse(job) for job, state in now.items() if state is JobState.HELD]:
                self._engine.release(Selection(cluster=name.cluster, proc=name.proc))
            self.step()
            if time.monotonic() > end:
                pytest.fail(f"not all end: {now}\n{self._bench.last_words()}", pytrace=False)
            time.sleep(0.1)


_KILL = "kill -9 $(cat /proc/[0-9]*/stat | awk '$2 == \"({name})\" {{print $1}}')"


@pytest.fixture
def bench(htcondor_pool: Pool, tmp_path: Path) -> Iterator[CondorBench]:
    database = make_engine(f"sqlite:///{tmp_path}/records.db", durable=False)
    with condor_bench(database, htcondor_pool, tmp_path, lease=LEASE) as made:
        for name in ("w1", "w2"):
            made.worker_comes(name)
        yield made
    database.dispose()


def submit(bench: CondorBench, dice: Random) -> list[str]:
    small = Resources(cpus=1, memory_mib=128, disk_kib=1024)
    spec = {"executable": "/bench/history-work", "transfer_executable": False}
    jobs = tuple(
        JobSpec(
            proc=n,
            resources=small,
            data={**spec, "arguments": [bench.mark, str(n), str(dice.randrange(5, 30))]},
        )
        for n in range(JOBS)
    )
    cluster = bench.engine.submit(
        Submission(
            group=bench.group,
            owner=PersonId("o" * 32),
            owner_name="ada",
            project_name="galaxies",
            image_name="my-snapshot",
            batch_name=None,
            submit_text="",
            jobs=jobs,
        )
    )
    return [f"{cluster}.{n}" for n in range(JOBS)]


def history_of(book: str, jobs: list[str]) -> tuple[History, dict[str, tuple[str, int]]]:
    """What the processes wrote down; and of each, which job and which start of it that was."""
    history, known = History(), dict[str, tuple[str, int]]()
    last: dict[str, datetime] = {}
    for line in book.splitlines():
        what, number, process, moment = line.split()
        job, at = jobs[int(number)], datetime.fromtimestamp(float(moment), UTC)
        last[process] = at
        if what == "began":
            known[process] = (job, 1 + sum(1 for other, _ in known.values() if other == job))
            history.began(*known[process], at)
        elif what == "ended":
            history.stopped(*known[process], at, wrote=process)
    for process, name in known.items():
        if history.runs[name].wrote is None:
            history.stopped(*name, last[process])  # it was killed some time after it last said that it lives
    return history, known


def verdict(bench: CondorBench, job: str, known: dict[str, tuple[str, int]]) -> Verdict:
    name = JobId.parse(job)
    detail = Records(database=bench.database).job(None, name)
    (content,) = (
        bench.spool.path(out.sha256).read_text().strip() for out in detail.outputs if out.name == "result"
    )
    events = bench.engine.changes(after=0, cluster=name.cluster, limit=10_000)
    return Verdict(
        state=detail.view.state,
        attempt=known[content][1] if content in known else None,
        content=content,
        moves=[one.state.value for one in events if one.job == name],
    )


@pytest.mark.parametrize("seed", [1])
def test_a_storm_over_a_real_pool_loses_nothing_and_repeats_nothing(
    bench: CondorBench, htcondor_pool: Pool, seed: int
) -> None:
    program = htcondor_pool.bench / "history-work"
    program.write_text(WORK)
    program.chmod(0o755)
    book = htcondor_pool.bench / f"history-{bench.mark}"
    book.touch()
    book.chmod(0o666)
    storm = Storm(bench=bench, pool=htcondor_pool, seed=seed)
    jobs = submit(bench, storm.dice)

    def states() -> dict[str, JobState]:
        events = bench.engine.changes(after=0, limit=10_000)
        return {str(one.job): one.state for one in events}

    storm.rages(STORM_SECONDS)
    storm.ends(states)
    assert set(storm.happened) >= {
        *("a reply to submit is lost", "a reply to query is lost", "a reply to retrieve is lost"),
        *("we are killed", "the schedd is killed", "a startd is killed"),
    }
    history, known = history_of(book.read_text(), jobs)
    assert history.judge(jobs, {job: verdict(bench, job, known) for job in states()}) == []
