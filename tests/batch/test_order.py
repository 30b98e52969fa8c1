"""Whose turn it is: equal shares over time, nobody starves, and bounds hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.base.ids import ClusterId, PersonId
from armillary.batch.core.order import (
    HALF_LIFE,
    PATIENCE,
    Account,
    Bounds,
    Offer,
    decayed,
    next_of,
    share_out,
)
from armillary.batch.model import Resources

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Resources(cpus=1, memory_mib=100, disk_kib=100)
MANY = Resources(cpus=8, memory_mib=800, disk_kib=800)
ADA, BEA, EVE = PersonId("ada"), PersonId("bea"), PersonId("eve")


def offer(key: int, owner: PersonId = ADA, **changes: object) -> Offer:
    made = Offer(key=key, owner=owner, priority=0, cluster=ClusterId(key), resources=ONE, room=100)
    return made._replace(**changes)


def deal(
    offers: list[Offer], accounts: dict[PersonId, Account] | None = None, **more: object
) -> dict[int, int]:
    known = accounts or {one.owner: Account() for one in offers}
    options: dict[str, object] = {"free": MANY, "whole": MANY, "at_most": 64, "now": NOW, **more}
    return share_out(offers, known, **options)  # pyright: ignore[reportArgumentType]


def simulate(weights: dict[PersonId, float], *, slots: int, hours: int) -> dict[PersonId, float]:
    """Run ten-minute jobs of people who always have more; returns the core-seconds that each got."""
    step = timedelta(minutes=1)
    accounts = {who: Account(weight=weight) for who, weight in weights.items()}
    got = dict.fromkeys(weights, 0.0)
    running: list[tuple[datetime, PersonId]] = []
    now = NOW
    for _ in range(hours * 60):
        for ends, who in [one for one in running if one[0] <= now]:
            accounts[who].cores -= 1
            running.remove((ends, who))
        while len(running) < slots:
            who = next_of(accounts, list(accounts), now)
            accounts[who].cores += 1
            accounts[who].served_at = now
            running.append((now + 10 * step, who))
        for who, account in accounts.items():
            account.used = decayed(account.used, step) + account.cores * step.total_seconds()
            got[who] += account.cores * step.total_seconds()
        now += step
    return got


@pytest.mark.parametrize("slots", [1, 2, 7, 100])
def test_over_a_day_everybody_with_work_gets_the_same(slots: int) -> None:
    got = simulate({ADA: 1.0, BEA: 1.0, EVE: 1.0}, slots=slots, hours=24)
    mean = sum(got.values()) / len(got)
    assert all(abs(one - mean) / mean < 0.05 for one in got.values())


def test_twice_the_weight_is_twice_the_share() -> None:
    got = simulate({ADA: 2.0, BEA: 1.0}, slots=30, hours=24)
    assert got[ADA] / got[BEA] == pytest.approx(2.0, rel=0.05)


def test_who_used_little_goes_first_and_who_used_much_is_not_shut_out() -> None:
    accounts = {ADA: Account(used=1e9), BEA: Account()}
    taken = deal([offer(1, ADA), offer(2, BEA)], accounts)
    assert taken[2] == 8
    accounts = {ADA: Account(used=1e9), BEA: Account(cores=100)}
    assert deal([offer(1, ADA), offer(2, BEA)], accounts)[1] >= 1


@given(used=st.floats(0, 1e12), cores=st.floats(0, 1e6))
def test_nobody_who_waits_longer_than_the_patience_is_passed_by(used: float, cores: float) -> None:
    long_ago = NOW - PATIENCE - timedelta(seconds=1)
    accounts = {ADA: Account(), BEA: Account(used=used, cores=cores, served_at=long_ago)}
    assert next_of(accounts, [ADA, BEA], NOW) == BEA


def test_use_counts_half_after_a_half_life() -> None:
    assert decayed(100.0, HALF_LIFE) == pytest.approx(50.0)
    assert decayed(100.0, timedelta(0)) == 100.0


def test_a_priority_decides_among_ones_own_jobs_only() -> None:
    offers = [offer(1, ADA, priority=9, room=2), offer(2, ADA), offer(3, BEA)]
    assert deal(offers, free=Resources(cpus=4, memory_mib=800, disk_kib=800)) == {1: 2, 3: 2}


def test_a_job_that_does_not_fit_blocks_nobody_behind_it() -> None:
    wide = offer(1, resources=Resources(cpus=9, memory_mib=1, disk_kib=1))
    assert deal([wide, offer(2, room=3)], cut=False) == {2: 3}
    assert deal([wide, offer(2, room=3)]) == {1: 1}


def test_gpus_are_packed_and_never_cut() -> None:
    two = Resources(cpus=1, memory_mib=1, disk_kib=1, gpus=2)
    assert deal([offer(1, resources=two)]) == {}
    three_there = Resources(cpus=8, memory_mib=800, disk_kib=800, gpus=3)
    assert deal([offer(1, resources=two)], free=three_there, whole=three_there) == {1: 1}


def test_concurrency_limits_and_bounds_of_submits_hold() -> None:
    licences = Bounds[PersonId](limits={"idl": 3.0})
    assert deal([offer(1, limits={"idl": 2.0}), offer(2, limits={"unknown": 5.0})], bounds=licences)[1] == 1
    few = Bounds[PersonId](clusters={ClusterId(1): 2})
    assert deal([offer(1), offer(2, room=1)], bounds=few) == {1: 2, 2: 1}


@given(
    asked=st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 400), st.sampled_from([ADA, BEA, EVE])), max_size=12
    )
)
def test_what_is_taken_fits_together(asked: list[tuple[int, int, PersonId]]) -> None:
    offers = [
        offer(key, owner, room=3, resources=Resources(cpus=cpus, memory_mib=memory, disk_kib=1))
        for key, (cpus, memory, owner) in enumerate(asked)
    ]
    taken = deal(offers)
    assert sum(offers[key].resources.cpus * count for key, count in taken.items()) <= MANY.cpus
    assert sum(offers[key].resources.memory_mib * count for key, count in taken.items()) <= MANY.memory_mib
    left = [one for one in offers if taken.get(one.key, 0) < one.room]
    used = sum(offers[key].resources.cpus * count for key, count in taken.items())
    memory = sum(offers[key].resources.memory_mib * count for key, count in taken.items())
    assert not [
        one
        for one in left
        if one.resources.cpus <= MANY.cpus - used and one.resources.memory_mib <= MANY.memory_mib - memory
    ]
