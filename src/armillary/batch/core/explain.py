"""Why a job is where it is, as data that every voice renders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from armillary.base.ids import CloudName
from armillary.batch.core.packing import Kind
from armillary.batch.core.refusals import no_flavor_fits
from armillary.batch.model import (
    NO_WANTS,
    OPEN_FLAVOR,
    JobId,
    JobState,
    Machine,
    MachineState,
    Refusal,
    Resources,
    Wants,
)


@dataclass(frozen=True, kw_only=True)
class KnownOffer:
    """A kind of machine that the last round of placement looked at."""

    kind: Kind
    size: Resources
    boot_seconds: float | None = None


Parts = Callable[[KnownOffer], Sequence[tuple[str, bool]]]
"""The conjuncts of the job's requirements, and which hold for a machine. All must."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What there is to know about a job's wait."""

    job: JobId
    state: JobState
    now: datetime
    entered_at: datetime
    reason: str | None = None
    hold_code: str | None = None
    stopping: bool = False
    """an attempt before this state has not ended yet"""
    ahead: int = 0
    """idle jobs of the group that were submitted before"""
    waits: Sequence[Refusal] = field(default_factory=tuple[Refusal, ...])
    """what the queue says: limits, shares, jobs ahead"""
    machines: Sequence[Machine] = field(default_factory=tuple[Machine, ...])
    refusals: Sequence[Refusal] = field(default_factory=tuple[Refusal, ...])
    offers: Sequence[KnownOffer] = field(default_factory=tuple[KnownOffer, ...])
    asked: Resources | None = None
    flavor: str = ""
    wants: Wants = NO_WANTS
    parts: Parts | None = None
    looked: bool = False
    """whether the scaler has looked at the group since the job came"""
    exit_code: int | None = None
    signal: int | None = None


def explain(known: Known) -> list[Refusal]:
    """Return every reason for the job's state, the most telling first; never an empty list."""
    seconds = int((known.now - known.entered_at).total_seconds())
    match known.state:
        case JobState.IDLE:
            return _idle(known, seconds)
        case JobState.HELD:
            return [
                Refusal(
                    code=known.hold_code or "held",
                    message=f"held {seconds} s ago: {known.reason or 'no reason was given'}",
                    facts={"seconds": seconds},
                    remedy="Mend the cause, then release the job.",
                )
            ]
        case JobState.CLAIMED:
            text = f"a worker took it {seconds} s ago and gathers its files"
            return [Refusal(code="claimed", message=text, facts={"seconds": seconds})]
        case JobState.RUNNING:
            return [Refusal(code="running", message=f"runs for {seconds} s", facts={"seconds": seconds})]
        case JobState.REMOVED:
            text = f"removed {seconds} s ago" + (f": {known.reason}" if known.reason else "")
            return [Refusal(code="removed", message=text, facts={"seconds": seconds})]
        case JobState.COMPLETED:
            how = f"signal {known.signal}" if known.signal is not None else f"exit code {known.exit_code}"
            facts = {"exit_code": known.exit_code, "signal": known.signal}
            return [Refusal(code="completed", message=f"ended with {how}", facts=facts)]


def _idle(known: Known, seconds: int) -> list[Refusal]:
    reasons: list[Refusal] = []
    if known.stopping:
        reasons.append(
            Refusal(
                code="earlier_attempt_stopping",
                message="an earlier attempt is still being stopped; two never run at once",
            )
        )
    reasons.extend(known.waits)
    never = _never(known)
    reasons.extend(never)
    reasons.extend(_on_the_way(known))
    ready = [machine for machine in known.machines if machine.state is MachineState.READY]
    if ready:
        reasons.append(
            Refusal(
                code="workers_busy",
                message=f"{len(ready)} worker(s) run jobs for this image; {known.ahead} job(s) are before this one",
                facts={"workers": len(ready), "ahead": known.ahead},
                remedy="It starts when one of them has room, or when a further worker has booted.",
            )
        )
    # A cloud whose every machine is out of the question is not to be waited for.
    hopeless = {refusal.cloud for refusal in never if refusal.cloud}
    reasons.extend(
        refusal for refusal in known.refusals if refusal.cloud is None or refusal.cloud not in hopeless
    )
    if not reasons:
        text = (
            "the next round of placement has not come yet"
            if not known.looked
            else "a worker is about to take it"
        )
        reasons.append(
            Refusal(code="not_looked_yet", message=f"{text} ({seconds} s)", facts={"seconds": seconds})
        )
    return reasons


def _on_the_way(known: Known) -> list[Refusal]:
    usual = {offer.kind: offer.boot_seconds for offer in known.offers}
    found: list[Refusal] = []
    for machine in known.machines:
        if machine.state not in {MachineState.PLANNED, MachineState.BOOTING}:
            continue
        since = int((known.now - (machine.booted_at or machine.created_at)).total_seconds())
        step = "boots" if machine.state is MachineState.BOOTING else "is being prepared"
        note = f" ({machine.reason})" if machine.reason else ""
        takes = usual.get(Kind(machine.cloud, machine.flavor))
        often = f", usually {takes:.0f} s" if takes else ""
        found.append(
            Refusal(
                cloud=machine.cloud,
                code=f"worker_{machine.state.value}",
                message=f"worker {machine.id} {step} on {machine.cloud} for {since} s{often}{note}",
                facts={"worker": machine.id, "seconds": since, "usual_seconds": takes},
                remedy="It takes jobs when it has come up.",
            )
        )
    return found


def _never(known: Known) -> list[Refusal]:
    """Return why no machine of a cloud could ever run the job: too small, or not what it requires."""
    if known.asked is None or not known.offers:
        return []
    per_cloud: dict[CloudName, list[KnownOffer]] = {}
    for offer in known.offers:
        per_cloud.setdefault(offer.kind.cloud, []).append(offer)
    found: list[Refusal] = []
    for cloud, offers in sorted(per_cloud.items()):
        fitting = [offer for offer in offers if _fits(known.asked, offer.size, known.flavor)]
        if not fitting:
            found.append(no_flavor_fits(known.asked, largest([offer.size for offer in offers]), cloud))
        elif known.parts is not None and known.wants.requirements:
            told = {offer.kind: known.parts(offer) for offer in fitting}
            if not any(all(holds for _, holds in parts) for parts in told.values()):
                found.append(_requirements(cloud, told))
    return found


def _fits(asked: Resources, size: Resources, flavor: str) -> bool:
    return asked.fits(size) if flavor == OPEN_FLAVOR else asked.gpus <= size.gpus


def largest(sizes: Sequence[Resources]) -> Resources:
    """Return the largest of each figure."""
    return Resources(
        cpus=max(size.cpus for size in sizes),
        memory_mib=max(size.memory_mib for size in sizes),
        disk_kib=max(size.disk_kib for size in sizes),
        gpus=max(size.gpus for size in sizes),
    )


def _requirements(cloud: CloudName, told: Mapping[Kind, Sequence[tuple[str, bool]]]) -> Refusal:
    """Say which conjuncts fail on every machine; or, when each holds somewhere, that no machine has them all."""
    somewhere: dict[str, bool] = {}
    for parts in told.values():
        for text, holds in parts:
            somewhere[text] = somewhere.get(text, False) or holds
    failing = [text for text, holds in somewhere.items() if not holds]
    if failing:
        what = "never true there: " + ", ".join(failing)
    else:
        what = "each part holds for some machine there, but for none all of them do"
    return Refusal(
        cloud=cloud,
        code="requirements_match_nothing",
        message=f"its requirements match no machine of {cloud}; {what}",
        facts={"failing": failing, "flavors": sorted(kind.flavor for kind in told)},
        remedy="Change requirements, and submit it again.",
    )
