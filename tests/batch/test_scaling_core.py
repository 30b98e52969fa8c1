"""The scaler's decisions, without clouds, clocks or records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from armillary.base.ids import CloudName, ProjectId, Sha512, WorkerId
from armillary.batch.core.budget import Prices, Purse, spending
from armillary.batch.core.flavors import Offer
from armillary.batch.core.packing import Bin, Kind, Packer, ordered
from armillary.batch.core.retire import Crew, leaving
from armillary.batch.core.scaling import Bounds, Decision, Quota, Situation, decide
from armillary.batch.model import (
    OPEN_FLAVOR,
    Demand,
    Group,
    Machine,
    MachineState,
    Resources,
    Shape,
    Wants,
    WorkerReport,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
EAST, WEST = CloudName("east"), CloudName("west")
SIZES = {
    "c1": (1, 1024),
    "c2": (2, 2048),
    "c4": (4, 8192),
    "c8": (8, 30720),
    "g4": (4, 8192),
    "w8": (8, 8192),
}


def size(flavor: str) -> Resources:
    cpus, memory = SIZES[flavor]
    return Resources(cpus=cpus, memory_mib=memory, disk_kib=10**7, gpus=int(flavor == "g4"))


def asks(cpus: int = 1, memory: int = 512, **more: int) -> Resources:
    return Resources(cpus=cpus, memory_mib=memory, disk_kib=1024, **more)


def offer(flavor: str = "c2", cloud: CloudName = EAST, **changes: Any) -> Offer:
    whole = size(flavor)
    made = Offer(kind=Kind(cloud, flavor), size=whole, vcpus=whole.cpus, ram_mib=whole.memory_mib, pool=cloud)
    return replace(made, **changes)


def group(name: str = "p", flavor: str = "c2", image: str = "i") -> Group:
    return Group(ProjectId(name), Sha512(image), flavor)


def situation(
    *shapes: Shape, offers: tuple[Offer, ...] = (), of: Group | None = None, **changes: Any
) -> Situation:
    of = of or group()
    made = Situation(
        demand=Demand(group=of, shapes=shapes, since=NOW),
        packer=Packer(open_flavor=of.flavor == OPEN_FLAVOR),
        offers=offers or (offer(),),
    )
    return replace(made, **changes)


def bounds(cores: int = 1000, **changes: Any) -> Bounds:
    made = Bounds(
        quotas={EAST: Quota(), WEST: Quota()},
        boot_slots={EAST: 1000, WEST: 1000},
        cores_left={ProjectId("p"): cores, ProjectId("q"): cores},
        cores_granted={ProjectId("p"): cores, ProjectId("q"): cores},
    )
    return replace(made, **changes)


def one(found: list[Decision]) -> Decision:
    (decision,) = found
    return decision


def booted(decision: Decision) -> dict[str, int]:
    counts: dict[str, int] = {}
    for boots in decision.boots:
        counts[boots.offer.kind.flavor] = counts.get(boots.offer.kind.flavor, 0) + boots.count
    return counts


# packing


def test_small_jobs_fill_what_large_ones_leave() -> None:
    jobs = [Shape(asks(1, 500), 4), Shape(asks(3, 6000), 2)]
    left, _ = Packer(open_flavor=True).fill(ordered(jobs), [Bin(Kind(EAST, "c4"), size("c4"), size("c4"), 2)])
    assert left == [Shape(asks(1, 500), 2)]


def test_a_million_equal_jobs_cost_no_more_than_ten() -> None:
    decision = one(decide([situation(Shape(asks(), 1_000_000))], bounds=bounds(cores=20_000)))
    assert len(decision.boot) == 1000  # what may boot at once
    assert sum(shape.jobs for shape in decision.missing) == 1_000_000 - 2000


def test_where_the_flavor_was_chosen_a_request_is_cut_to_the_machine_and_where_it_is_open_never() -> None:
    huge = Shape(asks(4, 512), 1)
    assert len(one(decide([situation(huge)], bounds=bounds())).boot) == 1
    open_one = situation(huge, of=group(flavor=OPEN_FLAVOR))
    assert one(decide([open_one], bounds=bounds())).boot == ()


def test_gpus_are_never_cut() -> None:
    assert one(decide([situation(Shape(asks(gpus=1), 1))], bounds=bounds())).boot == ()


# flavors


def choose(*shapes: Shape, offers: tuple[Offer, ...]) -> dict[str, int]:
    return booted(
        one(decide([situation(*shapes, offers=offers, of=group(flavor=OPEN_FLAVOR))], bounds=bounds()))
    )


ALL = tuple(offer(flavor) for flavor in SIZES)


def test_an_open_flavor_becomes_the_one_that_wastes_least() -> None:
    assert choose(Shape(asks(1, 900), 1), offers=ALL) == {"c1": 1}
    assert choose(Shape(asks(1, 6000), 1), offers=ALL) == {"c4": 1}
    assert choose(Shape(asks(1, 20_000), 1), offers=ALL) == {"c8": 1}


def test_a_machine_with_a_gpu_is_for_jobs_that_want_one() -> None:
    offers = (offer("c4"), offer("g4"))
    assert choose(Shape(asks(4, 8000), 2), offers=offers) == {"c4": 2}
    assert choose(Shape(asks(1, 500, gpus=1), 1), offers=offers) == {"g4": 1}


def test_many_small_jobs_share_large_machines_when_these_cost_the_same() -> None:
    assert choose(Shape(asks(1, 1024), 16), offers=ALL) == {"w8": 2}


def test_the_cheaper_cloud_is_filled_first() -> None:
    """A field that was misspelt broke just this in a system before us."""
    offers = (offer(core_hour=1.5), offer(cloud=WEST))
    limits = bounds(quotas={EAST: Quota(), WEST: Quota(cores=4, limits=(4, None, None))})
    decision = one(decide([situation(Shape(asks(2), 5), offers=offers)], bounds=limits))
    assert decision.boot.count(WEST) == 2
    assert decision.boot.count(EAST) == 3


def test_equal_clouds_share_the_workers() -> None:
    decision = one(
        decide([situation(Shape(asks(2), 6), offers=(offer(), offer(cloud=WEST)))], bounds=bounds())
    )
    assert (decision.boot.count(EAST), decision.boot.count(WEST)) == (3, 3)


def test_a_cloud_that_has_the_image_comes_before_one_that_needs_a_copy() -> None:
    offers = (offer(here=False), offer(cloud=WEST))
    assert one(decide([situation(Shape(asks(), 1), offers=offers)], bounds=bounds())).boot == (WEST,)


def test_a_rank_is_a_preference_and_no_condition() -> None:
    offers = (offer(), offer(cloud=WEST))
    wants = Wants("", 'TARGET.CloudName == "west"')
    liking = situation(
        Shape(asks(2), 3, wants), offers=offers, ranks=lambda _w, _a, kind: float(kind.cloud == WEST)
    )
    slots = bounds(boot_slots={EAST: 10, WEST: 2})
    assert sorted(one(decide([liking], bounds=slots)).boot) == ["east", "west", "west"]


def test_requirements_are_a_condition() -> None:
    packer = Packer(open_flavor=False, accepts=lambda _w, _a, kind: kind.cloud == WEST)
    wanting = situation(Shape(asks(2), 3, Wants("x")), offers=(offer(), offer(cloud=WEST)), packer=packer)
    slots = bounds(boot_slots={EAST: 10, WEST: 2})
    decision = one(decide([wanting], bounds=slots))
    assert decision.boot == (WEST, WEST)
    assert "booting_enough" in {refusal.code for refusal in decision.refusals}


# bounds


def test_nothing_is_ever_passed() -> None:
    quota = Quota(cores=9, ram_mib=100_000, instances=100, limits=(20, 200_000, 100))
    limits = bounds(cores=12, quotas={EAST: quota, WEST: quota})
    decision = one(decide([situation(Shape(asks(2), 50))], bounds=limits))
    assert len(decision.boot) == 4
    assert {"quota_cores"} == {refusal.code for refusal in decision.refusals}
    assert "19/20 cores" in decision.refusals[0].message


def test_projects_on_one_account_share_its_quota() -> None:
    shared = bounds(quotas={EAST: Quota(cores=8, limits=(8, None, None))})
    found = decide([situation(Shape(asks(2), 9)), situation(Shape(asks(2), 9), of=group("q"))], bounds=shared)
    assert [len(decision.boot) for decision in found] == [2, 2]


def test_who_has_used_little_of_late_goes_first() -> None:
    busy = situation(Shape(asks(2), 90))
    busy = replace(busy, demand=replace(busy.demand, used=36_000.0))
    fresh = situation(Shape(asks(2), 90), of=group("q"))
    found = decide([busy, fresh], bounds=bounds(boot_slots={EAST: 40}))
    assert len(found[0].boot) < len(found[1].boot)
    assert len(found[0].boot) > 0


def test_a_budget_is_never_passed_and_says_so() -> None:
    purse = Purse(budget=100.0, spent=93.0)
    decision = one(decide([situation(Shape(asks(2), 9))], bounds=bounds(purses={ProjectId("p"): purse})))
    assert len(decision.boot) == 3
    (refusal,) = decision.refusals
    assert refusal.code == "budget_used"
    assert "99.0 of its budget of 100" in refusal.message


# reserve


def test_a_reserve_is_booted_after_all_jobs_and_where_it_is_to_be() -> None:
    offers = (offer(), offer(cloud=WEST))
    kept = situation(offers=offers, reserve={WEST: 2})
    decision = one(decide([kept], bounds=bounds()))
    assert decision.boot == (WEST, WEST)
    assert decision.missing == ()


def test_idle_workers_are_the_reserve() -> None:
    idle = Bin(Kind(EAST, "c2"), size("c2"), size("c2"), 2)
    kept = situation(Shape(asks(2), 1), rooms=(idle,), reserve={None: 2})
    assert len(one(decide([kept], bounds=bounds())).boot) == 1


# retirement


def machine(name: str, *, idle_for: float, **changes: Any) -> tuple[Machine, WorkerReport]:
    of = group()
    since = NOW - timedelta(seconds=idle_for)
    made = Machine(
        id=WorkerId(name),
        group=of,
        cloud=EAST,
        project_name="p",
        vcpus=2,
        size=size("c2"),
        state=MachineState.READY,
        created_at=since,
        registered_at=since,
    )
    report = WorkerReport(
        id=made.id,
        group=of,
        registered_at=since,
        last_seen_at=NOW,
        idle_since=since,
        free=changes.pop("free", size("c2")),
        server_id=None,
        draining=False,
        left=False,
        jobs=0,
    )
    return replace(made, **changes), report


def go(crew: Crew) -> list[tuple[str, str]]:
    found = leaving(crew, now=NOW, after=timedelta(seconds=120), deaf=timedelta(seconds=300))
    return [(leave.worker, leave.code) for leave in found]


def test_idle_workers_go_after_a_while_and_the_reserve_stays() -> None:
    idle = [machine("a", idle_for=500), machine("b", idle_for=130), machine("c", idle_for=10)]
    crew = Crew(idle=idle, packer=Packer(open_flavor=False))
    assert go(crew) == [("a", "retired"), ("b", "retired")]
    assert go(replace(crew, reserve={None: 2})) == [("a", "retired")]


def test_idle_workers_go_at_once_when_others_of_the_project_need_their_room() -> None:
    crew = Crew(idle=[machine("a", idle_for=5)], packer=Packer(open_flavor=False), wanted_elsewhere=True)
    assert go(crew) == [("a", "retired")]


def test_a_worker_stays_only_for_jobs_that_fit_on_it() -> None:
    idle = [machine("a", idle_for=200)]
    crew = Crew(idle=idle, packer=Packer(open_flavor=True), waiting=(Shape(asks(1), 1),))
    assert go(crew) == []
    assert go(replace(crew, waiting=(Shape(asks(16), 1),))) == [("a", "retired")]


def test_a_worker_that_is_less_than_its_flavor_or_takes_no_jobs_counts_as_a_failure() -> None:
    small = machine("a", idle_for=5, free=replace(size("c2"), disk_kib=10**6))
    deaf = machine("b", idle_for=301)
    crew = Crew(idle=[small, deaf], packer=Packer(open_flavor=False), waiting=(Shape(asks(1), 9),))
    found = leaving(crew, now=NOW, after=timedelta(seconds=120), deaf=timedelta(seconds=300))
    assert [(leave.code, leave.failed) for leave in found] == [
        ("machine_too_small", True),
        ("takes_no_jobs", True),
    ]


# money


def test_what_was_spent_counts_from_the_month_on_and_one_hour_ahead() -> None:
    made, _ = machine("a", idle_for=3600, size_flavor="c2")
    prices = Prices(of={"east": 2.0, "east/c4": 5.0})
    ended = {(ProjectId("p"), EAST, "c4"): 3.0}
    assert spending([made], ended, prices=prices, now=NOW) == {ProjectId("p"): 3.0 * 5 + 2 * 2 * 2.0}
    assert (prices.core_hour(EAST, "c4"), prices.core_hour(WEST, "c4")) == (5.0, 1.0)
