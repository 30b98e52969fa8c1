"""Jobs that are run again from their records, and what they made compared with what was made before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from armillary.accounts.model import Role
from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.base.ids import new_uuid
from armillary.batch.views import ClusterView
from armillary.crates.comparing import Tolerance
from armillary.crates.record import ClusterRecord
from armillary.crates.runs import GOOD, Comparing, Outcome
from armillary.portal.archive import Archive
from armillary.portal.chores import Tell
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.pages.keeping import FRESH, archive_of
from armillary.portal.visit import Visit
from armillary.provenance.exporting import Target
from armillary.provenance.here import Here
from armillary.provenance.judging import compare_apart

SHOWN = 200
"""files of each kind on the page; the command line names all"""
KEPT = timedelta(minutes=10)

Name = Annotated[str, Path(max_length=80)]
Word = Annotated[str, Query(max_length=255)]

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """What would run again, and why it would be refused."""

    record: ClusterRecord
    jobs: int
    refusals: Sequence[ArmillaryError]
    withheld: Sequence[str]
    """variables that no record has, since they are secret"""


@dataclass(kw_only=True)
class Compared:
    """What became of the files of two runs: all counted, and the first of those that differ and of the others."""

    counts: Counter[str] = field(default_factory=Counter[str])
    different: list[Outcome] = field(default_factory=list[Outcome])
    same: list[Outcome] = field(default_factory=list[Outcome])

    @property
    def bad(self) -> int:
        """How many files differ."""
        return sum(self.counts.values()) - self.good

    @property
    def good(self) -> int:
        """How many files are the same, within the tolerance or as they were kept."""
        return sum(count for outcome, count in self.counts.items() if outcome in GOOD)


@router.get("/rerun/{target}")
def rerun_page(portal: Services, visit: Visiting, target: Name, on: Word = "", of: Word = "") -> Response:
    return _rerun_shown(portal, visit, target, {"on": on, "of": of, "key": new_uuid()})


def _rerun_shown(
    portal: Portal, visit: Visit, target: str, values: dict[str, str], error: ArmillaryError | None = None
) -> Response:
    archive, who, chosen = archive_of(portal), visit.who, Target.parse(target)
    project = visit.project
    if not chosen.imported:
        portal.batch.cluster(who, chosen.cluster)

    def look(_tell: Tell) -> Ahead:
        crate = archive.exports.crate(who, chosen)
        record = crate.cluster.document
        refusals = archive.reruns.refusals(who, crate)
        try:
            portal.fleet.find_image(project, record.image.sha512)
        except ArmillaryError as nowhere:
            refusals.append(nowhere)
        return Ahead(
            record=record,
            jobs=len(crate.jobs),
            refusals=refusals,
            withheld=archive.reruns.withheld(crate),
        )

    looked = archive.chores.begin(visit.person.id, f"rerun/{chosen}/{project.id}", look, fresh=FRESH)
    if chosen.imported and isinstance(looked.error, NotFound):
        raise looked.error
    ahead = looked.result if looked.done else None
    writers = [one.project.name for one in visit.memberships if one.role is not Role.READER]
    if ahead and not values.get("of"):
        theirs = ahead.record.project.name
        values = {**values, "of": theirs if theirs in writers else project.name}
    return visit.page(
        "rerun.html",
        target=chosen,
        name=str(chosen),
        looked=looked,
        ahead=ahead,
        clouds=[str(cloud) for cloud in portal.fleet.clouds()],
        projects=writers,
        values=values,
        error=error or looked.error,
    )


@router.post("/rerun/{target}")
def rerun(portal: Services, visit: Visiting, target: Name, form: Sent) -> Response:
    visit.member()
    archive, chosen = archive_of(portal), Target.parse(target)
    try:
        crate = archive.exports.crate(visit.who, chosen)
        done = archive.reruns.rerun(
            visit.who,
            crate,
            cloud=form.text("on") or None,
            project=form.text("of") or None,
            key=form.text("key")[:255] or None,
        )
    except ArmillaryError as error:
        return _rerun_shown(portal, visit, target, form.values(), error)
    new = done.submitted.cluster
    second = str(new) if chosen.proc is None else f"{new}.{chosen.proc}"
    return visit.go("/compare", first=str(chosen), second=second, notice="submitted")


@router.get("/compare")
def comparison(
    portal: Services,
    visit: Visiting,
    first: Word = "",
    second: Word = "",
    rtol: Word = "",
    atol: Word = "",
    ignore: Word = "",
) -> Response:
    archive, person = archive_of(portal), visit.person
    values = {"first": first, "second": second, "rtol": rtol, "atol": atol, "ignore": ignore}
    error, chore, running = None, None, []
    try:
        if first and second:
            targets = [Target.parse(first.strip()), Target.parse(second.strip())]
            tolerance = Tolerance(
                relative=_number("rtol", rtol), absolute=_number("atol", atol), ignore=ignore.split()
            )
            views = [portal.batch.cluster(visit.who, one.cluster) for one in targets if not one.imported]
            running = [view for view in views if _unfinished(view)]
            if not running:
                key = urlencode({**values, "first": str(targets[0]), "second": str(targets[1])})
                chore = archive.chores.begin(
                    person.id,
                    f"compare/{key}",
                    lambda tell: _compare(archive, visit, targets, tolerance, tell),
                    fresh=KEPT,
                )
                error = chore.error
    except ArmillaryError as refusal:
        error = refusal
    return visit.page(
        "compare.html",
        values=values,
        running=running,
        chore=chore,
        found=chore.result if chore and chore.done else None,
        most=SHOWN,
        error=error,
    )


def _compare(
    archive: Archive, visit: Visit, targets: Sequence[Target], tolerance: Tolerance, tell: Tell
) -> Compared:
    crates = [archive.exports.crate(visit.who, target) for target in targets]
    sides = [Here(exports=archive.exports, who=visit.who, crate=crate) for crate in crates]
    found, seen, steps = Compared(), set[str](), len(crates[0].jobs)
    with Comparing(first=sides[0], second=sides[1], tolerance=tolerance, judge=compare_apart) as comparing:
        for one in comparing.outcomes():
            seen.add(one.of)
            tell(min(len(seen), steps), steps)
            found.counts[one.outcome] += 1
            kept = found.same if one.good else found.different
            if len(kept) < SHOWN:
                kept.append(one)
    return found


def _unfinished(view: ClusterView) -> bool:
    return any(view.states.get(state) for state in ("idle", "claimed", "running"))


def _number(name: str, text: str) -> float:
    try:
        found = float(text or 0)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise Invalid(
            "This must be a number that is not negative.",
            code="invalid_field",
            facts={"field": name},
            remedy="Correct the marked fields.",
        )
    return found
