"""`condor_status`: the workers, as HTCondor shows its slots."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import rich_click as click

from armillary.cli.condor.ads import ALIASES, PRINTING, Ad, asks_for_ads, matching, print_ads
from armillary.cli.condor.options import read
from armillary.cli.condor.reaching import Reach

_KNOWN = {
    "total": 0,
    "avail": 0,
    "run": 0,
    "state": 0,
    "compact": 0,
    "limit": 1,
    "pool": 1,
    "name": 1,
    "debug": 0,
    **PRINTING,
}
_STATE = {"ready": "Unclaimed", "draining": "Drained", "ending": "Drained"}


def condor_status(arguments: Sequence[str], reach: Reach) -> int:
    """Show the machines that run your jobs, or are about to."""
    options = read(arguments, _KNOWN, aliases=ALIASES)
    ads = (machine_ad(worker) for worker in reach.batch.workers())
    if "avail" in options:
        ads = (ad for ad in ads if ad["State"] == "Unclaimed")
    elif "run" in options:
        ads = (ad for ad in ads if ad["State"] == "Claimed")
    ads = islice(matching(ads, options.one("constraint")), options.number("limit"))
    if asks_for_ads(options):
        print_ads(ads, options)
        return 0
    found = list(ads)
    if "total" not in options and found:
        click.echo(
            "Name                                 OpSys      Arch   State     Activity LoadAv Mem    ActvtyTime"
        )
        click.echo()
        for ad in found:
            line = f"{ad['Name']:<36} {ad['OpSys']:<10} {ad['Arch']:<6} {ad['State']:<9} {ad['Activity']:<8}"
            click.echo(f"{line} 0.000 {ad['Memory']:>6} {_since(ad)}")
        click.echo()
    states = Counter(ad["State"] for ad in found)
    click.echo(f"{'':>15}Total Owner Claimed Unclaimed Matched Preempting  Drain")
    figures = f"{len(found):>5} {states['Owner']:>5} {states['Claimed']:>7} {states['Unclaimed']:>9}"
    click.echo(f"{'X86_64/LINUX':>14} {figures} {0:>7} {0:>10} {states['Drained']:>6}")
    return 0


def machine_ad(worker: dict[str, Any]) -> Ad:
    """Return a worker as a machine ClassAd. One that boots is its owner's, as HTCondor says of machines not to be had."""
    state = (
        "Claimed" if worker["jobs"] and worker["state"] == "ready" else _STATE.get(worker["state"], "Owner")
    )
    since = worker["idle_since"] or worker["registered_at"] or worker["created_at"]
    ad: dict[str, Any] = {
        "MyType": "Machine",
        "Name": f"slot1@{worker['worker']}.{worker['cloud']}",
        "Machine": f"{worker['worker']}.{worker['cloud']}",
        "OpSys": "LINUX",
        "Arch": "X86_64",
        "State": state,
        "Activity": "Busy" if state == "Claimed" else "Idle",
        "Cpus": worker["cpus"] or 0,
        "Memory": worker["memory_mib"] or 0,
        "VMImage": worker["image_sha512"],
        "CloudName": worker["cloud"],
        "FlavorName": worker["flavor"],
        "ProjectName": worker["project"],
        "NumDynamicSlots": len(worker["jobs"]),
        "JobId": " ".join(worker["jobs"]),
        "EnteredCurrentState": int(datetime.fromisoformat(since).timestamp()),
    }
    if worker["last_seen_at"]:
        ad["LastHeardFrom"] = int(datetime.fromisoformat(worker["last_seen_at"]).timestamp())
    return ad


def _since(ad: Ad) -> str:
    minutes, seconds = divmod(max(0, int(time.time()) - ad["EnteredCurrentState"]), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days:>3}+{hours:02}:{minutes:02}:{seconds:02}"
