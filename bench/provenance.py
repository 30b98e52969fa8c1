"""What records of jobs cost: processor time and room in the database for each job, against the same without them.

    python bench/provenance.py [--jobs 10000]

Each job is short, reads one file in VOSpace and writes one by its own certificate, and brings one back: the agent's
side is played here, through the same services. Both runs do all that; the first notes and writes down nothing. The
certificate that names its job, which each one gets, is counted apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "provenance"))

from recorded_world import HARDWARE, SMALL, World

from armillary.accounts.certificates import Authority
from armillary.base.clock import SystemClock
from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.parcels import OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.guest.agent.basics import hardware

AT_ONCE = 100
MOST_TIME = 0.02
"""seconds of a one-second job"""
MOST_ROOM = 2000
"""bytes of the database a job"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Figures of one run, a job."""

    work: float
    """seconds of processor time: claim, what the job does in VOSpace, finish"""
    clerk: float
    """seconds of processor time"""
    room: int
    """bytes of the database"""


def run(folder: Path, jobs: int, *, records: bool) -> Run:
    """Run so many jobs, with or without records."""
    world = World(folder=folder)
    world.write(world.ada, "/home/ada/m51.fits", b"pixels" * 100)
    session = world.worker()
    before = _size(world)
    work = 0.0
    for first in range(0, jobs, AT_ONCE):
        world.submit(AT_ONCE, data={"request_cpus": 1, "output": "out.txt", "error": "err.txt"})
        for number in range(first, first + AT_ONCE):
            work += _job(world, session, number, records=records)
    began = time.process_time()
    if records:
        while world.clerk.tick():
            pass
    clerk = time.process_time() - began
    after = _size(world)
    world.close()
    return Run(work=work / jobs, clerk=clerk / jobs, room=(after - before) // jobs)


def _job(world: World, session: Session, number: int, *, records: bool) -> float:
    content = b"%d sources" % number
    sha256, size = world.keep(content)
    began = time.process_time()
    [job] = world.agents.claim(session, SMALL).jobs
    key = job.leased.key
    assert job.credential
    who = world.by_certificate(job.credential) if records else world.ada
    world.read(who, "/home/ada/m51.fits")
    world.write(who, f"/home/ada/{number % 1000}.cat", content)
    output = OutputRef(name="out.txt", sha256=sha256, size=size)
    world.agents.add_output(session, key, output)
    usage = {"wall_seconds": 1.0, "user_seconds": 0.5, "system_seconds": 0.1, "max_rss_kib": 1024.0}
    told = HARDWARE if records else {}
    world.clock.advance(timedelta(seconds=1))
    world.agents.finish(session, key, Result(exit_code=0), usage=usage, outputs=[output], machine=told)
    return time.process_time() - began


def _size(world: World) -> int:
    """Return the bytes of the database's pages in use; its files have what was not yet put together, too."""
    with world.database.connect() as db:
        pages, free, size = (
            int(db.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def _each(do: Callable[[], object]) -> float:
    """Return the processor time of one of many."""
    began = time.process_time()
    for _ in range(200):
        do()
    return (time.process_time() - began) / 200


def main() -> int:
    """Print the table; the exit status says whether both bounds hold."""
    parser = argparse.ArgumentParser(description="what records of jobs cost")
    parser.add_argument("--jobs", type=int, default=10_000)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as first:
        run(Path(first), AT_ONCE, records=True)  # what is made once in a process is made
    with tempfile.TemporaryDirectory() as without, tempfile.TemporaryDirectory() as kept:
        bare = run(Path(without), jobs, records=False)
        whole = run(Path(kept), jobs, records=True)
        authority = Authority(Path(kept) / "authority", SystemClock())
        hour = timedelta(hours=1)
        certificate = _each(lambda: authority.issue_client("ada", hour, job=True, of="1.0.1"))
    agent = _each(hardware)
    extra = whole.work - bare.work + whole.clerk + certificate + agent
    room = whole.room - bare.room
    lines = [
        ("", "without", "with", "more"),
        (
            "claim, job, finish, ms",
            f"{bare.work * 1e3:.2f}",
            f"{whole.work * 1e3:.2f}",
            f"{(whole.work - bare.work) * 1e3:.2f}",
        ),
        ("clerk, ms", "", f"{whole.clerk * 1e3:.2f}", f"{whole.clerk * 1e3:.2f}"),
        ("certificate, ms", "", f"{certificate * 1e3:.2f}", f"{certificate * 1e3:.2f}"),
        ("agent, once a start, ms", "", f"{agent * 1e3:.2f}", f"{agent * 1e3:.2f}"),
        ("of a one-second job, %", "", "", f"{extra * 100:.2f}"),
        ("database, bytes a job", str(bare.room), str(whole.room), str(room)),
    ]
    for label, *cells in lines:
        print(f"{label:<26}" + "".join(f"{cell:>10}" for cell in cells))
    return 0 if extra < MOST_TIME and room < MOST_ROOM else 1


if __name__ == "__main__":
    sys.exit(main())
