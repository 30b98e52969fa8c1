"""`condor_q` and `condor_history`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import rich_click as click

from armillary.base.job_ads import COMPLETED, HELD, IDLE, LETTERS, REMOVED, RUNNING, job_ad
from armillary.cli.choosing import who_am_i
from armillary.cli.condor.ads import (
    ALIASES,
    PRINTING,
    Ad,
    Question,
    asks_for_ads,
    evaluable,
    matching,
    print_ads,
)
from armillary.cli.condor.options import Options, read
from armillary.cli.condor.reaching import Reach
from armillary.cli.queueing import chosen_jobs, in_words, left_out, past_jobs
from armillary.client.targets import read_targets

_LIVE = ["idle", "claimed", "running", "held"]
_POOL = {"name": 1, "pool": 1, "schedd": 1, "global": 0, "debug": 0, "wide": 0}
"""taken for the habit: there is one queue here"""
_Q = {
    "hold": 0,
    "held": 0,
    "run": 0,
    "idle": 0,
    "nobatch": 0,
    "batch": 0,
    "totals": 0,
    "allusers": 0,
    "submitter": 1,
    "owner": 1,
    "better-analyze": 0,
    "analyze": 0,
    "limit": 1,
    **PRINTING,
    **_POOL,
}
_HISTORY = {"limit": 1, "match": 1, "completed": 0, "backwards": 0, "forwards": 0, **PRINTING, **_POOL}
_FEW = 8
_NEWEST = 1000
"""clusters: of those that are in the queue most are among them"""
_STATES = {"hold": ["held"], "held": ["held"], "run": ["running", "claimed"], "idle": ["idle"]}


def condor_q(arguments: Sequence[str], reach: Reach) -> int:
    """Show jobs that wait, run or are held: yours, or those that are named."""
    options = read(arguments, _Q, aliases=ALIASES)
    ids, owners = reach.told_apart(options.words)
    owners += [name for name in (options.one("submitter"), options.one("owner")) if name]
    if "analyze" in options or "better-analyze" in options:
        return _analyze(reach, ids)
    states = next((_STATES[name] for name in _STATES if name in options), _LIVE)
    if not ids and not owners and "allusers" not in options:
        owners = [who_am_i(reach.http)]
    if ids and states is _LIVE:
        found = (ad for ad in _ads(reach, ids, owners, ()) if _in_queue(ad))
    else:
        found = _ads(reach, ids, owners, states)
    ads = matching(found, options.one("constraint"))
    ads = islice(ads, options.number("limit"))
    if asks_for_ads(options):
        print_ads(ads, options)
        return 0
    return _tables(list(ads), options, reach)


def condor_history(arguments: Sequence[str], reach: Reach) -> int:
    """Show jobs that are over, the newest cluster first."""
    options = read(arguments, _HISTORY, aliases=ALIASES)
    ids, owners = reach.told_apart(options.words)
    limit = options.number("limit") or options.number("match")
    jobs = past_jobs(reach.batch, ids, owner=owners[0] if owners else None, spec=True)
    ads = islice(matching((job_ad(job, job["spec"]) for job in jobs), options.one("constraint")), limit)
    if asks_for_ads(options):
        print_ads(ads, options)
        return 0
    click.echo(" ID     OWNER          SUBMITTED   RUN_TIME     ST COMPLETED   CMD")
    for ad in ads:
        done = _moment(ad.get("CompletionDate"))
        line = f"{_id(ad):<7} {ad['Owner']:<14} {_moment(ad['QDate'])} {_ran(ad):>12} {_letter(ad)}"
        click.echo(f"{line}  {done:<11} {_command(ad)}")
    return 0


def _ads(reach: Reach, ids: Sequence[str], owners: Sequence[str], states: Sequence[str]) -> Iterator[Ad]:
    people: list[str | None] = [*owners] if owners else [None]
    for owner in people:
        for job in chosen_jobs(reach.batch, ids, states=states, owner=owner, spec=True):
            yield job_ad(job, job["spec"])


def _in_queue(ad: Ad) -> bool:
    """Whether a job is in HTCondor's queue still: it may want to stay there when it is over."""
    if ad["JobStatus"] not in {REMOVED, COMPLETED}:
        return True
    stay = ad.get("LeaveJobInQueue")
    return stay is not None and Question(str(stay)).ask(evaluable(ad)) is True


def _tables(ads: list[Ad], options: Options, reach: Reach) -> int:
    click.echo(f"\n\n-- Schedd: armillary : <{reach.http.url}> @ {time.strftime('%m/%d/%y %H:%M:%S')}")
    if "totals" not in options:
        if "hold" in options or "held" in options:
            _print_held(ads)
        elif "run" in options:
            _print_running(ads)
        elif "nobatch" in options or "idle" in options:
            _print_each(ads)
        else:
            _print_batches(ads, reach)
    click.echo()
    click.echo(_total("query", ads))
    for owner in dict.fromkeys(ad["Owner"] for ad in ads):
        click.echo(_total(owner, [ad for ad in ads if ad["Owner"] == owner]))
    click.echo(_total("all users", ads) + "\n")
    return 0


def _print_each(ads: Iterable[Ad]) -> None:
    click.echo(" ID      OWNER            SUBMITTED     RUN_TIME ST PRI SIZE    CMD")
    for ad in ads:
        line = f"{_id(ad):<8} {ad['Owner']:<15} {_moment(ad['QDate'])} {_ran(ad):>12}"
        click.echo(
            f"{line} {_letter(ad)}  {ad['JobPrio']:<3} {ad.get('RequestMemory', 0):<7.1f} {_command(ad)}"
        )


def _print_held(ads: Iterable[Ad]) -> None:
    click.echo(" ID      OWNER          HELD_SINCE  HOLD_REASON")
    for ad in ads:
        since = _moment(ad["EnteredCurrentStatus"])
        click.echo(f"{_id(ad):<8} {ad['Owner']:<14} {since} {ad.get('HoldReason', '')}")


def _print_running(ads: Iterable[Ad]) -> None:
    click.echo(" ID      OWNER            SUBMITTED     RUN_TIME HOST(S)")
    for ad in ads:
        line = f"{_id(ad):<8} {ad['Owner']:<15} {_moment(ad['QDate'])} {_ran(ad):>12}"
        click.echo(f"{line} {ad.get('RemoteHost', '')}")


def _print_batches(ads: Iterable[Ad], reach: Reach) -> None:
    batches: dict[tuple[str, str], list[Ad]] = {}
    for ad in ads:
        name = ad.get("JobBatchName") or f"ID: {ad['ClusterId']}"
        batches.setdefault((ad["Owner"], name), []).append(ad)
    rows = [["OWNER", "BATCH_NAME", "SUBMITTED", "DONE", "RUN", "IDLE", "HOLD", "TOTAL", "JOB_IDS"]]
    standing = _standing(reach, {ad["ClusterId"] for of_batch in batches.values() for ad in of_batch})
    for (owner, name), of_batch in batches.items():
        count = Counter(ad["JobStatus"] for ad in of_batch)
        figures = [str(count[state] or "_") for state in (RUNNING, IDLE, HELD)]
        # jobs that are over have left the queue: what a whole cluster did stands with it
        states = [standing[number] for number in {ad["ClusterId"] for ad in of_batch}]
        done = sum(one.get("completed", 0) for one in states)
        total = sum(sum(one.values()) for one in states)
        first, last = _id(of_batch[0]), _id(of_batch[-1])
        ids = first if first == last else f"{first} ... {last}"
        rows.append([owner, name, _moment(of_batch[0]["QDate"]), str(done or "_"), *figures, str(total), ids])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        line = " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _standing(reach: Reach, wanted: set[int]) -> dict[int, dict[str, int]]:
    """Return of each cluster how many jobs are in each state. Workflows submit job by job: many are asked for by pages."""
    found: dict[int, dict[str, int]] = {}
    if len(wanted) > _FEW:
        for one in islice(reach.batch.clusters(), max(_NEWEST, 2 * len(wanted))):
            if one["cluster"] in wanted:
                found[one["cluster"]] = one["states"]
                if len(found) == len(wanted):
                    break
    return found | {number: reach.batch.cluster(number)["states"] for number in wanted - found.keys()}


def _total(what: str, ads: Sequence[Ad]) -> str:
    count = Counter(ad["JobStatus"] for ad in ads)
    return (
        f"Total for {what}: {len(ads)} jobs; 0 completed, {count[REMOVED]} removed, {count[IDLE]} idle, "
        f"{count[RUNNING]} running, {count[HELD]} held, 0 suspended "
    )


def _analyze(reach: Reach, ids: Sequence[str]) -> int:
    """Say why jobs do not run: what the platform knows, all of it; of a cluster once for all that are alike."""
    targets = read_targets(ids)
    clusters = [target.cluster for target in targets if target.first is None]
    if not targets:
        me = who_am_i(reach.http)
        clusters = [
            int(one["cluster"])
            for one in reach.batch.clusters()
            if one["owner"] == me and any(one["states"].get(state) for state in _LIVE)
        ]
    for cluster in clusters:
        found = reach.batch.explain_cluster(cluster)
        if not found["kinds"]:
            click.echo(f"\n---\n{cluster}:  No job of it waits or is held: {in_words(found['states'])}.\n")
        for kind in found["kinds"]:
            more = kind["jobs"] - 1
            _print_reasons(
                kind, "" if not more else f" {more} more job{'s are' if more > 1 else ' is'} like it."
            )
        if left := left_out(found):
            click.echo(f"\n---\n{cluster}:  {left}\n")
    named = [str(target) for target in targets if target.first is not None]
    for job in chosen_jobs(reach.batch, named, states=_LIVE) if named else ():
        _print_reasons(reach.batch.explain(job["job"]), "")
    return 0


def _print_reasons(found: dict[str, Any], more: str) -> None:
    click.echo(f"\n---\n{found['job']}:  Job is {found['state']}.{more}\n")
    for reason in found["reasons"]:
        where = f"{reason['cloud']}: " if reason.get("cloud") else ""
        click.echo(f"  {where}{reason['message']}")
        if reason.get("remedy"):
            click.echo(f"    {reason['remedy']}")


def _id(ad: Ad) -> str:
    return f"{ad['ClusterId']}.{ad['ProcId']}"


def _letter(ad: Ad) -> str:
    return LETTERS[ad["JobStatus"]]


def _command(ad: Ad) -> str:
    return f"{str(ad['Cmd']).rpartition('/')[2]} {ad.get('Args') or ad.get('Arguments') or ''}".rstrip()


def _moment(epoch: int | None) -> str:
    if epoch is None:
        return "???"
    local = datetime.fromtimestamp(epoch).astimezone()
    return f"{local.month:>2}/{local.day:<2} {local:%H:%M}"


def _ran(ad: Ad) -> str:
    begun = ad.get("JobCurrentStartDate")
    seconds = int(time.time() - begun) if begun else int(ad.get("RemoteWallClockTime", 0))
    minutes, seconds = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}+{hours:02}:{minutes:02}:{seconds:02}"
