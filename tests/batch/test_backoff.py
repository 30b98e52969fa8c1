"""Which lane a failure closes, for how long, and what several failures have in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from armillary.base.ids import CloudName, ProjectId, Sha512
from armillary.batch.core.backoff import History, Lane, Pauses, Record, blame

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
BOOT = Lane(CloudName("east"), ProjectId("p"), Sha512("i" * 20), "c2")


def failed(at: datetime = NOW, times: int = 1, **more: datetime) -> Record:
    record = Record()
    for _ in range(times):
        record = record.failed(at, "boot_failed", "it broke", **more)
    return record


def history(lanes: dict[Lane, Record], now: datetime = NOW) -> History:
    return History(lanes=lanes, now=now)


@pytest.mark.parametrize(
    ("code", "reason", "lane"),
    [
        ("cloud_unreachable", "no route", Lane(cloud=BOOT.cloud)),
        ("cloud_busy", "too many", Lane(cloud=BOOT.cloud)),
        ("boot_failed", "No valid host was found.", Lane(cloud=BOOT.cloud, flavor="c2")),
        ("flavor_not_found", "gone", Lane(cloud=BOOT.cloud, flavor="c2")),
        ("quota_exceeded", "no", Lane(cloud=BOOT.cloud, project=BOOT.project, flavor="c2")),
        ("image_copy_differs", "not the same", Lane(cloud=BOOT.cloud, image=BOOT.image)),
        ("invalid", "Image 17 is unacceptable", Lane(cloud=BOOT.cloud, image=BOOT.image)),
        ("never_registered", "silence", Lane(cloud=BOOT.cloud, image=BOOT.image, flavor="c2")),
    ],
)
def test_a_failure_closes_the_narrowest_lane_that_it_tells_of(code: str, reason: str, lane: Lane) -> None:
    assert blame(BOOT, code, reason) == lane


def test_a_pause_doubles_up_to_its_longest_and_a_cloud_may_ask_for_more() -> None:
    pauses = Pauses(first=timedelta(seconds=15), longest=timedelta(seconds=100))
    waits = [pauses.until(failed(times=n)) for n in (1, 2, 3, 4, 50)]
    assert [(until - NOW).total_seconds() for until in waits if until] == [15, 30, 60, 100, 100]
    later = NOW + timedelta(seconds=500)
    assert pauses.until(failed(not_before=later)) == later
    assert pauses.until(Record()) is None


def test_another_image_flavor_or_cloud_is_not_held_up() -> None:
    found = history({Lane(cloud=BOOT.cloud, image=BOOT.image, flavor="c2"): failed()})
    assert found.standing(BOOT, {}).refusals
    for other in (
        BOOT._replace(image=Sha512("j")),
        BOOT._replace(flavor="c4"),
        BOOT._replace(cloud=CloudName("west")),
    ):
        assert found.standing(other, {}) == ((), ())


def test_after_the_pause_the_lane_is_open_for_a_trial() -> None:
    lane = Lane(cloud=BOOT.cloud, flavor="c2")
    standing = history({lane: failed()}, NOW + timedelta(seconds=16)).standing(BOOT, {})
    assert (standing.refusals, standing.trials) == ((), (lane,))


def lane(cloud: str, image: str) -> Lane:
    return Lane(cloud=CloudName(cloud), image=Sha512(image), flavor="c2")


def test_several_images_that_fail_on_a_cloud_make_the_cloud_suspect() -> None:
    lanes = {lane("east", "i"): failed(), lane("east", "j"): failed()}
    assert set(history(lanes).suspects()) == {Lane(cloud=CloudName("east"))}


def test_an_image_that_fails_on_several_clouds_is_suspect_itself() -> None:
    lanes = {lane("east", "i"): failed(), lane("west", "i"): failed()}
    assert set(history(lanes).suspects()) == {Lane(image=Sha512("i"))}


def test_one_bad_image_never_makes_a_cloud_suspect() -> None:
    assert history({lane("east", "i"): failed(times=9)}).suspects() == {}


def test_a_success_since_clears_the_suspicion() -> None:
    lanes = {
        lane("east", "i"): failed(),
        lane("east", "j"): failed(),
        Lane(cloud=CloudName("east")): Record().succeeded(NOW + timedelta(seconds=1)),
    }
    assert history(lanes).suspects() == {}


def test_a_machine_that_came_up_and_was_wrong_is_not_cured_by_the_next_and_forgotten_in_time() -> None:
    wrong = Record().failed(NOW, "machine_too_small", "no disk")
    found = {Lane(cloud=BOOT.cloud, flavor="c2"): wrong}
    assert history(found).standing(BOOT, {}).refusals
    assert history(found, NOW + timedelta(minutes=61)).standing(BOOT, {}) == ((), ())


def test_boot_times_are_a_mean_in_which_the_last_ones_weigh_most() -> None:
    record = Record()
    for seconds in (40.0, 60.0):
        record = record.succeeded(NOW, seconds)
    assert record.boot_seconds == 50
    for _ in range(20):
        record = record.succeeded(NOW, 100.0)
    assert 95 < record.boot_seconds < 100
    known = history({Lane(cloud=BOOT.cloud, image=BOOT.image): record})
    assert known.boot_seconds(BOOT.cloud, BOOT.image) == record.boot_seconds
    assert known.boot_seconds(CloudName("west"), BOOT.image) is None
