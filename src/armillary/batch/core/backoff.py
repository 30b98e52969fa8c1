"""Which clouds, images and flavors are left alone for a while, because boots failed there.

A failure is written down in the narrowest lane that it tells of: what a cloud says of itself concerns the cloud, a
missing host a flavor there, a copy that differs an image there; what says nothing concerns just this image in this
flavor on this cloud. So one bad image does not stop a cloud. What several lanes have in common is suspected then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from armillary.base.ids import CloudName, ProjectId, Sha512
from armillary.batch.model import Refusal


class Lane(NamedTuple):
    """What boots have in common; an empty field means any."""

    cloud: CloudName = CloudName("")
    project: ProjectId = ProjectId("")
    image: Sha512 = Sha512("")
    flavor: str = ""

    def covers(self, other: Lane) -> bool:
        """Whether a boot in `other` is one in this lane, too."""
        return all(mine in ("", theirs) for mine, theirs in zip(self, other, strict=True))

    def __str__(self) -> str:
        parts = [f"image {self.image[:12]}" if self.image else "", self.flavor and f"flavor {self.flavor}"]
        named = " in ".join(part for part in parts if part)
        return f"{named} on {self.cloud}" if named and self.cloud else named or str(self.cloud)


@dataclass(frozen=True, kw_only=True)
class Record:
    """How boots in a lane went: the failures since the last success, and how long boots take."""

    failures: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    code: str = ""
    reason: str = ""
    not_before: datetime | None = None
    """the cloud itself said so (Retry-After)"""
    succeeded_at: datetime | None = None
    boots: int = 0
    boot_seconds: float = 0.0
    """from the create call until the agent reported: a mean in which the last boots weigh most"""

    def failed(self, at: datetime, code: str, reason: str, *, not_before: datetime | None = None) -> Record:
        """Return the record with one more failure."""
        return replace(
            self,
            failures=self.failures + 1,
            first_at=self.first_at or at,
            last_at=at,
            code=code,
            reason=reason,
            not_before=not_before,
        )

    def succeeded(self, at: datetime, seconds: float | None = None) -> Record:
        """Return the record after a machine came up."""
        calm = replace(
            self,
            failures=0,
            first_at=None,
            last_at=None,
            code="",
            reason="",
            not_before=None,
            succeeded_at=at,
        )
        if seconds is None:
            return calm
        share = max(0.25, 1 / (self.boots + 1))
        mean = self.boot_seconds + share * (seconds - self.boot_seconds)
        return replace(calm, boots=self.boots + 1, boot_seconds=mean)


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """How long a failing lane is left alone: doubled with each further failure."""

    first: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(minutes=10)

    def until(self, record: Record) -> datetime | None:
        """Return when the next boot may be tried. None: no failure."""
        if not record.failures or record.last_at is None:
            return None
        over = record.last_at + min(self.longest, self.first * 2 ** min(record.failures - 1, 20))
        return max(over, record.not_before) if record.not_before else over


_OF_CLOUD = frozenset(
    {"cloud_unreachable", "cloud_failed", "cloud_sign_in_failed", "cloud_busy", "unavailable", "conflict"}
)
_OF_FLAVOR = frozenset({"no_capacity", "flavor_not_found", "machine_too_small"})
_OF_IMAGE = frozenset({"wrong_image", "image_too_large"})
NOT_CURED_BY_A_BOOT = frozenset({"machine_too_small", "takes_no_jobs"})
"""Failures of machines that came up: that the next one comes up, too, proves nothing. They are forgotten in time."""
_FORGOTTEN = timedelta(hours=1)
_HOSTLESS = ("no valid host", "not enough hosts", "no host", "insufficient capacity")


def blame(lane: Lane, code: str, reason: str) -> Lane:
    """Return the narrowest lane that a failed boot in `lane` (all fields filled) tells of."""
    text = reason.lower()
    if code in _OF_CLOUD:
        return Lane(cloud=lane.cloud)
    if code in _OF_FLAVOR or any(words in text for words in _HOSTLESS):
        return Lane(cloud=lane.cloud, flavor=lane.flavor)
    if code == "quota_exceeded":
        return Lane(cloud=lane.cloud, project=lane.project, flavor=lane.flavor)
    if code in _OF_IMAGE or code.startswith("image_") or "image " in text:
        return Lane(cloud=lane.cloud, image=lane.image)
    return Lane(cloud=lane.cloud, image=lane.image, flavor=lane.flavor)


class Standing(NamedTuple):
    """What the history says of a boot: why not now, and which lanes only one machine at a time may try."""

    refusals: tuple[Refusal, ...] = ()
    trials: tuple[Lane, ...] = ()


@dataclass(frozen=True, kw_only=True)
class History:
    """All lanes at one moment."""

    lanes: Mapping[Lane, Record]
    now: datetime
    pauses: Pauses = field(default_factory=Pauses)

    def suspects(self) -> dict[Lane, Record]:
        """Return clouds on which several images fail and images that fail on several clouds, none succeeding since."""
        failing = [(lane, record) for lane, record in self.lanes.items() if record.failures and lane.image]
        found: dict[Lane, Record] = {}
        for suspect in {Lane(cloud=lane.cloud) for lane, _ in failing} | {
            Lane(image=lane.image) for lane, _ in failing
        }:
            inside = [(lane, record) for lane, record in failing if suspect.covers(lane)]
            differing = {lane.image if suspect.cloud else lane.cloud for lane, _ in inside}
            first = min((record.first_at for _, record in inside if record.first_at), default=None)
            good = self.lanes.get(suspect, Record()).succeeded_at
            if len(differing) < 2 or first is None or (good is not None and good >= first):
                continue
            last = max((record for _, record in inside), key=lambda record: record.last_at or self.now)
            found[suspect] = replace(last, failures=len(inside), not_before=None)
        return found

    def standing(self, boot: Lane, suspects: Mapping[Lane, Record]) -> Standing:
        """Return how a boot (all fields filled) stands. `suspects` are this history's."""
        refusals: list[Refusal] = []
        trials: list[Lane] = []
        for lane in (
            Lane(cloud=boot.cloud),
            Lane(cloud=boot.cloud, flavor=boot.flavor),
            Lane(cloud=boot.cloud, project=boot.project, flavor=boot.flavor),
            Lane(cloud=boot.cloud, image=boot.image),
            Lane(cloud=boot.cloud, image=boot.image, flavor=boot.flavor),
            Lane(image=boot.image),
        ):
            for record in (self.lanes.get(lane), suspects.get(lane)):
                until = self.pauses.until(record) if record is not None else None
                if record is None or until is None or _is_over(record, self.now):
                    continue
                trials.append(lane)
                if self.now < until:
                    refusals.append(_pausing(lane, record, until, boot.cloud, self.now))
        return Standing(tuple(refusals), tuple(dict.fromkeys(trials)))

    def boot_seconds(self, cloud: CloudName, image: Sha512) -> float | None:
        """Return how long a boot of the image takes there; else of any image there; None: nobody knows."""
        for lane in (Lane(cloud=cloud, image=image), Lane(cloud=cloud)):
            record = self.lanes.get(lane)
            if record is not None and record.boots:
                return record.boot_seconds
        return None


def _is_over(record: Record, now: datetime) -> bool:
    lasts = record.last_at is not None and now - record.last_at < _FORGOTTEN
    return record.code in NOT_CURED_BY_A_BOOT and not lasts


def _pausing(lane: Lane, record: Record, until: datetime, cloud: CloudName, now: datetime) -> Refusal:
    seconds = max(1, int((until - now).total_seconds()))
    if record.code == "quota_exceeded":
        what = f"{cloud} refused a machine of {lane.flavor} though its limits said that there is room"
    else:
        what = (
            f"{record.failures} boot(s) of {lane} failed"
            if lane != Lane(cloud=cloud)
            else f"{cloud} is failing"
        )
    return Refusal(
        cloud=cloud,
        code="boots_failing",
        message=f"{what}: {record.reason}; tried again in {seconds} s",
        facts={
            "failures": record.failures,
            "reason": record.reason,
            "cause": record.code,
            "next_try": until.isoformat(),
            "image": lane.image or None,
            "flavor": lane.flavor or None,
        },
        remedy="The next boot is tried by itself; look at the cloud if this stays."
        if not lane.image
        else "The next boot is tried by itself; see whether the image boots and has Python and cloud-init.",
    )
