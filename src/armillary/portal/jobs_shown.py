"""What the pages of submits show: counts, causes in the visitor's words, and the jobs of a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.batch.board import Cause
from armillary.batch.looking import SubmitFilter
from armillary.batch.model import JobId
from armillary.batch.views import ClusterView
from armillary.portal.context import Portal
from armillary.portal.job_filters import STATES, Asked, asked, words_of
from armillary.portal.letters import size
from armillary.portal.visit import Visit
from armillary.portal.wording_jobs import ANY_HOLD, CAUSES, EXIT, FAILED, MEMORY, SIGNAL

SUBMITS_SHOWN = 50
JOBS_SHOWN = 50
UNFINISHED = ("idle", "claimed", "running", "held")


@dataclass(frozen=True, kw_only=True)
class Caused:
    """Jobs with the same cause of failure, as a person reads it."""

    title: str
    remedy: str
    said: str
    """by one of them, in the words of whatever stopped it"""
    figure: str
    jobs: int
    first: int
    held: bool
    fields: Mapping[str, str]
    """of a form that means these jobs"""
    words: str
    """of a command that means these jobs"""
    memory_mib: int | None
    """to ask for instead"""

    @property
    def query(self) -> str:
        """The address of the list of just these."""
        return urlencode(self.fields)


def caused(visit: Visit, cluster: int, cause: Cause) -> Caused:
    """Say a cause in the visitor's language."""
    row, _ = cause.row, visit.gettext
    fields: dict[str, str] = {"state": "held" if cause.held else "failed"}
    figure = ""
    if cause.held:
        title, remedy = CAUSES.get(row.hold_code or "", ANY_HOLD)
        title, remedy = _(title), _(remedy)
        fields |= {"hold_code": row.hold_code} if row.hold_code else {}
    elif row.signal is not None:
        title, remedy = _(SIGNAL[0], signal=row.signal), _(SIGNAL[1])
        fields["signal"] = str(row.signal)
    elif row.exit_code is not None:
        title, remedy = _(EXIT[0], code=row.exit_code), _(EXIT[1])
        fields["exit_code"] = str(row.exit_code)
    else:
        title, remedy = _(FAILED[0]), _(FAILED[1])
    if cause.needed_mib is not None and cause.wanted_mib is not None:
        figures = {"asked": row.memory_mib, "needed": cause.needed_mib, "wanted": cause.wanted_mib}
        figure = _(MEMORY, **{name: size(visit.locale, mib * 2**20) for name, mib in figures.items()})
    return Caused(
        title=title,
        remedy=remedy,
        said=cause.reason or "",
        figure=figure,
        jobs=row.jobs,
        first=row.first,
        held=cause.held,
        fields=fields,
        words=words_of(cluster, fields),
        memory_mib=cause.wanted_mib,
    )


def submits_shown(portal: Portal, visit: Visit) -> dict[str, Any]:
    """Return a page of submits, by the filters in the address."""
    query = visit.request.query_params
    values = {name: query.get(name, "").strip()[:255] for name in ("state", "of", "owner", "image", "name")}
    state = values["state"]
    if state and state != "unfinished" and state not in STATES:
        raise Invalid(f"There is no state {state}.", code="invalid_field", facts={"field": "state"})
    wanted = {"unfinished": UNFINISHED, "failed": ("completed",)}.get(state, (state,) if state else ())
    before = query.get("before", "")
    chosen = SubmitFilter(
        project=values["of"],
        owner=values["owner"],
        image=values["image"],
        name=values["name"],
        states=wanted,
    )
    known = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
    found = portal.board.submits(visit.who, chosen, limit=SUBMITS_SHOWN + 1, before=known)
    shown = found[:SUBMITS_SHOWN]
    given = {name: value for name, value in values.items() if value}
    following = {**given, "before": str(shown[-1].cluster)} if len(found) > SUBMITS_SHOWN else None
    return {
        "clusters": [
            (cluster, portal.board.over_at(cluster), counts_of(portal, visit, cluster)) for cluster in shown
        ],
        "values": values,
        "query": urlencode({**given, "before": before} if before else given),
        "newest": f"/jobs?{urlencode(given)}" if before else None,
        "following": f"/jobs?{urlencode(following)}" if following else None,
        "states": ("unfinished", *(state for state in STATES if state != "failed")),
    }


def filter_of(visit: Visit, cluster: int) -> Asked:
    """Return the filter of jobs in the address."""
    return asked(ClusterId(cluster), visit.request.query_params.get)


def counts_of(portal: Portal, visit: Visit, summary: ClusterView) -> dict[str, int]:
    """Return how many jobs of a submit are in each state, those that failed apart from those that did well."""
    found = dict(summary.states)
    if found.get("completed"):
        causes = portal.board.causes(visit.who, ClusterId(summary.cluster))
        failed = sum(cause.row.jobs for cause in causes if not cause.held)
        found |= {"failed": failed, "completed": max(0, found["completed"] - failed)}
    return {state: found[state] for state in STATES if found.get(state)}


def submit_shown(portal: Portal, visit: Visit, cluster: int) -> dict[str, Any]:
    """Return a submit, how its jobs stand and why some failed."""
    number = ClusterId(cluster)
    summary = portal.batch.cluster(visit.who, number)
    causes = [caused(visit, cluster, cause) for cause in portal.board.causes(visit.who, number)]
    return {
        "cluster": summary,
        "asked": filter_of(visit, cluster),
        "causes": causes,
        "counts": counts_of(portal, visit, summary),
        "over_at": portal.board.over_at(summary),
        "moving": _moves(summary),
    }


def _moves(summary: ClusterView) -> bool:
    return any(summary.states.get(state) for state in ("idle", "claimed", "running"))


def list_shown(portal: Portal, visit: Visit, cluster: int) -> dict[str, Any]:
    """Return a page of a submit's jobs for the list alone, which is asked for again and again."""
    summary = portal.batch.cluster(visit.who, ClusterId(cluster))
    return {"cluster": summary, "moving": _moves(summary), **jobs_shown(portal, visit, cluster)}


def jobs_shown(portal: Portal, visit: Visit, cluster: int) -> dict[str, Any]:
    """Return a page of a submit's jobs, by the filters in the address."""
    mine = filter_of(visit, cluster)
    after = visit.request.query_params.get("after", "")
    found = portal.board.jobs(
        visit.who, mine.chosen, limit=JOBS_SHOWN + 1, after=JobId.parse(after) if after else None
    )
    given = {name: value for name, value in mine.values.items() if value}
    following = None
    if len(found) > JOBS_SHOWN:
        following = f"/jobs/{cluster}?{urlencode({**given, 'after': found[JOBS_SHOWN - 1].job})}"
    return {
        "jobs": found[:JOBS_SHOWN],
        "following": following,
        "first_page": f"/jobs/{cluster}?{mine.query}" if after else None,
        "page_query": urlencode({**given, "after": after} if after else given),
        "words": words_of(cluster, mine.values),
    }
