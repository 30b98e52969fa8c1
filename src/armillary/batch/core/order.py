"""Who goes first: fair shares between people and between groups."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from armillary.base.ids import PersonId
from armillary.batch.model import JobId, Resources

K = TypeVar("K", bound=Hashable)


class Candidate(NamedTuple):
    """An idle job that a worker could take."""

    job: JobId
    owner: PersonId
    priority: int
    resources: Resources


def fair_order(candidates: Sequence[Candidate], running: Mapping[PersonId, int]) -> list[Candidate]:
    """Order jobs so that whoever has fewest running is served next.

    A person's own jobs go by their priority (higher first), then in the order of submission. A priority never
    takes a turn from somebody else. Ties between people go to the older job.
    """
    queues: dict[PersonId, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: (-c.priority, c.job), reverse=True):
        queues.setdefault(candidate.owner, []).append(candidate)
    shares = {owner: running.get(owner, 0) for owner in queues}
    ordered: list[Candidate] = []
    while queues:
        owner = min(queues, key=lambda o: (shares[o], queues[o][-1].job))
        ordered.append(queues[owner].pop())
        shares[owner] += 1
        if not queues[owner]:
            del queues[owner]
    return ordered


def pack(candidates: Sequence[Candidate], *, free: Resources, whole: Resources) -> list[Candidate]:
    """Return the candidates, in order, that fit into `free` together.

    A request larger than the `whole` machine is cut to it: a flavor's 2048 MiB are a little less inside the guest.
    A job that does not fit blocks nobody behind it.
    """
    taken: list[Candidate] = []
    for candidate in candidates:
        share = candidate.resources.cut_to(whole)
        if share.fits(free):
            free -= share
            taken.append(candidate)
        if free.cpus <= 0:
            break
    return taken


def round_robin(groups: Mapping[K, int]) -> list[K]:
    """Order groups by how many workers they have, fewest first; equal ones in the order given."""
    return sorted(groups, key=lambda group: groups[group])
