"""`condor_rm`, `condor_hold`, `condor_release` and `condor_prio`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.base.job_ads import job_ad
from armillary.cli.choosing import who_am_i
from armillary.cli.condor.ads import matching
from armillary.cli.condor.options import Options, read
from armillary.cli.condor.reaching import Reach
from armillary.client.errors import ClientError
from armillary.client.targets import Target, in_runs, read_target

_KNOWN = {
    "all": 0,
    "constraint": 1,
    "reason": 1,
    "subcode": 1,
    "forcex": 0,
    "totals": 0,
    "long": 0,
    "name": 1,
    "pool": 1,
    "addr": 1,
    "debug": 0,
}
_LIVE = ["idle", "claimed", "running", "held"]
_OVER = 409
_NOTHING = {404, _OVER}


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One act, in the words of HTCondor's tools."""

    action: str
    done: str

    def to_job(self, job: object) -> str:
        """Say that it was done to a job, or to some of a cluster's."""
        return f"Job {job} {self.done}"

    def to_all(self, whose: str) -> str:
        """Say that it was done to many."""
        return f"{whose} have been {self.done}"

    def in_vain(self, cluster: object) -> str:
        """Say that there were none."""
        return f"Couldn't find/{self.action} all jobs in cluster {cluster}"


REMOVE = Verb(action="remove", done="marked for removal")
HOLD = Verb(action="hold", done="held")
RELEASE = Verb(action="release", done="released")


def acting(verb: Verb) -> Callable[[Sequence[str], Reach], int]:
    """Return the command that does this."""

    def command(arguments: Sequence[str], reach: Reach) -> int:
        options = read(arguments, _KNOWN)
        return _act(verb, options, reach)

    command.__doc__ = (
        f"Do it to jobs: {verb.action} jobs, clusters, all of a person's, or those of a constraint."
    )
    return command


def _act(verb: Verb, options: Options, reach: Reach) -> int:
    ids, people = reach.told_apart(options.words)
    constraint = options.one("constraint")
    if not ids and not people and constraint is None and "all" not in options:
        raise Invalid(
            "no jobs are named",
            code="nothing_chosen",
            remedy="Name clusters, jobs, a user, -constraint, or -all.",
        )
    reason = options.one("reason") or ""
    if constraint is not None:
        return _by_constraint(verb, reach, constraint, ids, people, reason)
    failures = 0
    for text in ids:
        failures += not _one(verb, reach, text, reason, force="forcex" in options)
    if "all" in options:
        people.append(who_am_i(reach.http))
    for person in people:
        reach.batch.change_many(verb.action, {"owner": person}, reason=reason)
        click.echo(verb.to_all(f"User {person}'s job(s)"))
    return 1 if failures else 0


def _one(verb: Verb, reach: Reach, text: str, reason: str, *, force: bool) -> bool:
    target = read_target(text)
    try:
        changed = reach.batch.change_many(verb.action, target.selection(), reason=reason)
    except ClientError as error:
        if error.answered not in _NOTHING:
            raise
        # what is removed already is what -forcex is for
        changed = int(force and error.answered == _OVER)
    cluster = target.first is None
    if changed:
        click.echo(verb.to_all(f"All jobs in cluster {target}") if cluster else verb.to_job(target))
    else:
        click.echo(verb.in_vain(target) if cluster else f"Job {target} not found", err=True)
    return bool(changed)


def _by_constraint(
    verb: Verb, reach: Reach, constraint: str, ids: Sequence[str], people: Sequence[str], reason: str
) -> int:
    from armillary.cli.queueing import chosen_jobs

    owner = people[0] if people else None if ids else who_am_i(reach.http)
    jobs = chosen_jobs(reach.batch, ids, states=_LIVE, owner=owner, spec=True)
    wanted = matching((job_ad(j, j["spec"]) for j in jobs), constraint)
    done = 0
    for run in in_runs((ad["ClusterId"], ad["ProcId"]) for ad in wanted):
        done += reach.batch.change_many(verb.action, run.selection(), reason=reason)
    if not done:
        click.echo(f"Couldn't find any jobs matching constraint {constraint}", err=True)
        return 1
    click.echo(verb.to_all(f"Jobs matching constraint {constraint}"))
    return 0


def condor_prio(arguments: Sequence[str], reach: Reach) -> int:
    """Change priorities: `-p 10` to a value, `+5` and `-5` from what they are."""
    change = next((word for word in arguments if word[0] in "+-" and word[1:].isdigit()), None)
    rest = [word for word in arguments if word != change]
    options = read(rest, {"p": 1, "name": 1, "pool": 1, "n": 1, "all": 0})
    value = options.number("p")
    if (value is None) == (change is None):
        raise Invalid("say one new priority", code="bad_option", remedy="Say -p 10, +5 or -5.")
    ids, people = reach.told_apart(options.words)
    if "all" in options:
        people.append(who_am_i(reach.http))
    targets = [read_target(text) for text in ids]
    if value is None:
        _by_step(reach, targets, people, int(change or 0))
        return 0
    for selection in [*(target.selection() for target in targets), *({"owner": who} for who in people)]:
        reach.batch.change_many("prioritize", selection, priority=value)
    return 0


def _by_step(reach: Reach, targets: Sequence[Target], people: Sequence[str], change: int) -> None:
    alike: dict[int, list[tuple[int, int]]] = {}
    for job in _prioritized(reach, targets, people):
        alike.setdefault(job["priority"] + change, []).append((job["cluster"], job["proc"]))
    for priority, these in alike.items():
        for run in in_runs(these):
            reach.batch.change_many("prioritize", run.selection(), priority=priority)


def _prioritized(reach: Reach, targets: Sequence[Target], people: Sequence[str]) -> Iterator[dict[str, Any]]:
    from armillary.cli.queueing import chosen_jobs

    for target in targets:
        if target.job:
            yield reach.batch.job(target.job)
        else:
            yield from chosen_jobs(reach.batch, [str(target)], states=_LIVE)
    for person in people:
        yield from reach.batch.jobs(states=_LIVE, owner=person)
