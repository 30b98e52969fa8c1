"""Many agents at once over one SQLite file: each job goes to one of them, and every result is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from batch_world import WHOLE, World

from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.register import Session


def work(world: World, session: Session) -> list[str]:
    done: list[str] = []
    while claimed := world.leases.claim(session, WHOLE).jobs:
        for leased in claimed:
            world.leases.finish(session, leased.key, Result(exit_code=0), usage={}, brought=[])
            done.append(str(leased.key.job))
    return done


def test_each_job_runs_once_however_many_ask(world: World) -> None:
    world.submit(60)
    sessions = [world.worker(f"w{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = [job for jobs in pool.map(lambda s: work(world, s), sessions) for job in jobs]
    assert sorted(done) == sorted(world.states())
    assert set(world.states().values()) == {"completed"}
