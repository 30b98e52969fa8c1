"""What the scaler says when nothing boots: one sentence with its figures, for each thing in the way."""

from __future__ import annotations

from collections.abc import Sequence

from armillary.base.ids import CloudName
from armillary.batch.core.backoff import Lane
from armillary.batch.core.flavors import Offer
from armillary.batch.model import Refusal, Resources

_QUOTAS = (("quota_cores", "cores"), ("quota_ram", "MiB of RAM"), ("quota_instances", "machines"))


def out_of_batch_cores(left: int, granted: int, offer: Offer) -> Refusal:
    """Say that the project's batch cores are in use."""
    return Refusal(
        code="batch_cores_used",
        message=f"the project uses {granted - left} of its {granted} batch cores; "
        f"a worker of {offer.kind.flavor} needs {offer.vcpus}",
        facts={"used": granted - left, "granted": granted, "needed": offer.vcpus},
        remedy="Wait for jobs to end, choose a smaller flavor, or ask for more batch cores.",
    )


def quota_full(offer: Offer, left: Sequence[int | None], limits: Sequence[int | None]) -> list[Refusal]:
    """Say which quotas of the cloud have no room for one more machine."""
    found: list[Refusal] = []
    needs = (offer.vcpus, offer.ram_mib, 1)
    for (code, unit), have, limit, need in zip(_QUOTAS, left, limits, needs, strict=True):
        if have is not None and limit is not None and have < need:
            used = limit - have
            found.append(
                Refusal(
                    cloud=offer.kind.cloud,
                    code=code,
                    message=f"quota on {offer.kind.cloud}: {used}/{limit} {unit}; {offer.kind.flavor} needs {need}",
                    facts={
                        "used": used,
                        "limit": limit,
                        "needs": need,
                        "flavor": offer.kind.flavor,
                        "unit": unit,
                    },
                    remedy="Wait for machines on this cloud to end, or ask for a larger allocation.",
                )
            )
    return found


def cloud_drained(cloud: CloudName, reason: str) -> Refusal:
    """Say that an administrator wants no new workers there."""
    return Refusal(
        cloud=cloud,
        code="cloud_drained",
        message=f"{cloud} is being drained: no new workers boot there" + (f" ({reason})" if reason else ""),
        facts={"cloud": cloud, "reason": reason},
        remedy="Wait, or let the jobs run on other clouds.",
    )


def booting_enough(cloud: CloudName, booting: int) -> Refusal:
    """Say that the cloud has its hands full."""
    return Refusal(
        cloud=cloud,
        code="booting_enough",
        message=f"{booting} machine(s) boot on {cloud}; more would only slow each other down",
        facts={"booting": booting},
        remedy="The next ones are booted when these have come up.",
    )


def trying(offer: Offer, lane: Lane) -> Refusal:
    """Say that one machine tries whether it works again."""
    return Refusal(
        cloud=offer.kind.cloud,
        code="trying_again",
        message=f"boots of {lane} failed; one machine tries whether it works again",
        facts={"image": lane.image or None, "flavor": lane.flavor or None},
        remedy="More are booted when it has come up.",
    )


def copying(cloud: CloudName, *, done: int, size: int, seconds: int) -> Refusal:
    """Say that the image is on its way."""
    percent = 100 * done // size if size else 0
    return Refusal(
        cloud=cloud,
        code="image_copying",
        message=f"the image is being copied to {cloud}: {percent} %, for {seconds} s",
        facts={"percent": percent, "done": done, "size": size, "seconds": seconds},
        remedy="Workers boot there when it has arrived.",
    )


def no_flavor_fits(asked: Resources, largest: Resources, cloud: CloudName | None = None) -> Refusal:
    """Say that a job is larger than each flavor, figure by figure."""
    parts = [
        f"{ask} {unit} (largest: {have})"
        for ask, have, unit in (
            (asked.cpus, largest.cpus, "cores"),
            (asked.memory_mib, largest.memory_mib, "MiB of memory"),
            (asked.disk_kib, largest.disk_kib, "KiB of disk"),
            (asked.gpus, largest.gpus, "GPUs"),
        )
        if ask > have
    ]
    where = f" on {cloud}" if cloud else ""
    return Refusal(
        cloud=cloud,
        code="no_flavor_fits",
        message=f"no flavor{where} has " + (", ".join(parts) or "all that the job asks for together"),
        facts={
            "asked": {
                "cpus": asked.cpus,
                "memory_mib": asked.memory_mib,
                "disk_kib": asked.disk_kib,
                "gpus": asked.gpus,
            },
            "largest": {
                "cpus": largest.cpus,
                "memory_mib": largest.memory_mib,
                "disk_kib": largest.disk_kib,
                "gpus": largest.gpus,
            },
        },
        remedy="Ask for less, or for a larger flavor to be made.",
    )


def flavor_missing(cloud: CloudName | None, flavor: str) -> Refusal:
    """Say that a cloud, or none of them, has the flavor."""
    return Refusal(
        cloud=cloud,
        code="flavor_not_found",
        message=f"{cloud or 'no cloud'} has {'no' if cloud else 'a'} flavor {flavor}",
        facts={"flavor": flavor},
        remedy="Choose one of the flavors, or leave the choice open with `auto`.",
    )
