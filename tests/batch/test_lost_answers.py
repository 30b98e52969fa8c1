"""An answer that brought jobs is lost on the way: the same call made again brings them, and no other worker had them."""

from __future__ import annotations

from datetime import timedelta

from batch_world import SMALL, WHOLE, World

from armillary.batch.core.states import Result
from outside_engines import ON_BOTH

CALL, ANOTHER = "a" * 64, "b" * 64


@ON_BOTH
def test_a_claim_made_again_gives_what_it_gave(world: World) -> None:
    world.submit(3)
    session = world.worker()
    first = world.leases.claim(session, SMALL, call=CALL).jobs
    again = world.leases.claim(session, SMALL, call=CALL).jobs
    assert [job.key for job in again] == [job.key for job in first]
    assert [job.key.job.proc for job in world.leases.claim(session, SMALL, call=ANOTHER).jobs] == [1]


@ON_BOTH
def test_an_end_told_again_brings_the_same_jobs(world: World) -> None:
    world.submit(2)
    session = world.worker()
    (leased,) = world.leases.claim(session, SMALL).jobs
    ends = [
        world.leases.finish(
            session, leased.key, Result(exit_code=0), usage={}, brought=[], then=SMALL, call=CALL
        )
        for _ in range(2)
    ]
    assert ends[0].claimed.jobs
    assert ends[0].state == ends[1].state
    assert [job.key for job in ends[1].claimed.jobs] == [job.key for job in ends[0].claimed.jobs]


def test_a_lease_given_once_more_counts_from_then(world: World) -> None:
    world.submit(1)
    session = world.worker()
    world.leases.claim(session, WHOLE, call=CALL)
    world.clock.advance(timedelta(seconds=50))
    (leased,) = world.leases.claim(session, WHOLE, call=CALL).jobs
    world.clock.advance(timedelta(seconds=50))
    assert world.queue.expire() == 0
    assert world.leases.renew(session, [leased.key], fading=timedelta()).lost == ()


def test_what_the_worker_has_begun_is_not_given_again(world: World) -> None:
    world.submit(2)
    session = world.worker()
    (leased,) = world.leases.claim(session, SMALL, call=CALL).jobs
    world.leases.renew(session, [leased.key], fading=timedelta())
    (other,) = world.leases.claim(session, SMALL, call=CALL).jobs
    assert other.key.job != leased.key.job


def test_a_worker_that_is_to_go_still_gets_what_it_was_given(world: World) -> None:
    world.submit(1)
    session = world.worker()
    (leased,) = world.leases.claim(session, WHOLE, call=CALL).jobs
    world.queue.drain(session.worker)
    assert [job.key for job in world.leases.claim(session, WHOLE, call=CALL).jobs] == [leased.key]
    assert world.leases.claim(session, WHOLE, call=ANOTHER).retire


def test_another_workers_call_of_the_same_name_brings_nothing_of_it(world: World) -> None:
    world.submit(1)
    world.leases.claim(world.worker("w1"), WHOLE, call=CALL)
    assert world.leases.claim(world.worker("w2"), WHOLE, call=CALL).jobs == ()
