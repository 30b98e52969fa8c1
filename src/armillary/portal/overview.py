"""What the overview page shows: how full everything is, what runs, what needs somebody, and how long it will last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice

from armillary.accounts.model import Application, ApplicationState, Project
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import CloudName, ClusterId, ServerId
from armillary.batch.core.outlook import Forecast, changes, forecast
from armillary.batch.ledger import BatchUse
from armillary.batch.looking import SubmitFilter
from armillary.batch.model import JobState, Refusal
from armillary.batch.outlook import month_ahead
from armillary.batch.store.usage_records import UsageFilter
from armillary.batch.views import ClusterView
from armillary.fleet.expiry import Term
from armillary.fleet.model import WORKER_MARK, FleetServer, Limits
from armillary.portal.context import Portal
from armillary.portal.jobs_shown import Caused, caused, counts_of
from armillary.portal.visit import Visit

SUBMITS = 12
"""the newest, that are looked at for work under way and for failures"""
SHOWN = 8
PLOT_DAYS = 60
_ACTIVE = tuple(state.value for state in JobState if state.active)
_WANTED = {"submitted_on_hold", "held_by_user"}
"""holds that a person asked for: nothing to mend"""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """How full one thing is. `what` is a key of `letters.QUOTAS`; `figure` the field to ask for more in, if there is one."""

    what: str
    used: float
    limit: float | None
    unit: str = ""
    cloud: str = ""
    figure: str = ""

    @property
    def share(self) -> float:
        """Which part of the limit is used."""
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The figures of the page."""

    applications: Sequence[Application]
    """Those that still wait."""
    waiting: int
    """Requests that an administrator has to decide on; 0 for others."""
    bars: Sequence[Bar] = ()
    errors: Sequence[ArmillaryError] = ()
    servers: Sequence[FleetServer] = ()
    more_servers: int = 0
    terms: Mapping[tuple[CloudName, ServerId], Term] = field(
        default_factory=dict[tuple[CloudName, ServerId], Term]
    )
    submits: Sequence[tuple[ClusterView, Mapping[str, int]]] = ()
    """each with how many of its jobs are in which state"""
    broken: Sequence[FleetServer] = ()
    expired: Sequence[Term] = ()
    failures: Sequence[tuple[ClusterView, Sequence[Caused]]] = ()
    refused: Sequence[tuple[ClusterView, Sequence[Refusal]]] = ()
    days: Sequence[tuple[date, float, float | None]] = ()
    """each with the core-hours of jobs that ended and the GiB in the home, if that was looked at"""
    hours_ahead: Forecast | None = None
    storage_ahead: Forecast | None = None

    @property
    def to_do(self) -> bool:
        """Whether anything needs somebody."""
        return bool(self.broken or self.expired or self.failures or self.refused)


def overview(portal: Portal, visit: Visit) -> Overview:
    """Gather the figures; a cloud that does not answer hides nothing else."""
    mine = portal.accounts.applications_of(visit.person.id)
    waiting = portal.accounts.applications(ApplicationState.WAITING) if visit.person.is_admin else []
    asked = [application for application in mine if application.state is ApplicationState.WAITING]
    if not visit.membership:
        return Overview(applications=asked, waiting=len(waiting))
    project = visit.project
    portal.machinery.roster.ask(project)
    machines = portal.machinery.roster.look(project)
    people = [one for one in machines.servers if WORKER_MARK not in one.metadata]
    terms = portal.machinery.expiry.of_project(project)
    submits = portal.board.submits(visit.who, SubmitFilter(project=project.name), limit=SUBMITS)
    use = portal.office.ledger.of(project)
    bars, errors = cloud_bars(portal, project)
    storage = _storage(portal, visit)
    bars += [*_batch_bars(use), storage]
    under_way = [one for one in submits if any(one.states.get(state) for state in _ACTIVE)]
    running = [one for one in people if one.status != "ERROR"]
    days = _days(portal, visit, project)
    today = portal.clock.now().date()
    return Overview(
        applications=asked,
        waiting=len(waiting),
        bars=bars,
        errors=errors,
        servers=running[:SHOWN],
        more_servers=max(0, len(running) - SHOWN),
        terms=terms,
        submits=[(one, counts_of(portal, visit, one)) for one in under_way[:SHOWN]],
        broken=[one for one in people if one.status == "ERROR"][:SHOWN],
        expired=[term for term in terms.values() if term.is_over][:SHOWN],
        failures=list(islice(_failures(portal, visit, submits), SHOWN)),
        refused=list(islice(_refused(portal, submits), SHOWN)),
        days=days,
        hours_ahead=month_ahead(use, [hours for _, hours, _ in days], today),
        storage_ahead=_storage_ahead(storage, days, today),
    )


def cloud_bars(portal: Portal, project: Project) -> tuple[list[Bar], Sequence[ArmillaryError]]:
    """Return what a project uses of its quota on each cloud, and why some are not known."""
    told = portal.machinery.roster.limits(project)
    return [bar for name, limits in told.answers.items() for bar in _of_cloud(name, limits)], told.errors


def _of_cloud(name: CloudName, limits: Limits) -> list[Bar]:
    ram = None if limits.ram is None else limits.ram / 1024
    return [
        Bar(what="cores", cloud=name, used=limits.cores_used, limit=limits.cores, figure="cores"),
        Bar(what="ram", cloud=name, used=limits.ram_used / 1024, limit=ram, unit="GiB", figure="ram"),
        Bar(what="instances", cloud=name, used=limits.instances_used, limit=limits.instances, figure="cores"),
    ]


def _batch_bars(use: BatchUse) -> list[Bar]:
    return [
        Bar(what="batch_cores", used=use.cores, limit=use.granted, figure="batch_cores"),
        Bar(what="core_hours", used=round(use.hours, 1), limit=use.budget),
    ]


def _storage(portal: Portal, visit: Visit) -> Bar:
    granted = sum(m.project.allocation.storage for m in visit.memberships)
    used, limit = 0, granted * 2**30
    try:
        home = portal.files.node(visit.who, f"/home/{visit.person.user_name}")
        used, limit = home.used, home.quota if home.quota is not None else limit
    except NotFound:  # made with the first file
        pass
    return Bar(what="storage", used=used / 2**30, limit=limit / 2**30, unit="GiB", figure="storage")


def _failures(
    portal: Portal, visit: Visit, submits: Sequence[ClusterView]
) -> Iterator[tuple[ClusterView, Sequence[Caused]]]:
    for one in submits:
        if one.states.get("completed") or one.states.get("held"):
            causes = [
                cause
                for cause in portal.board.causes(visit.who, ClusterId(one.cluster))
                if not (cause.held and cause.row.hold_code in _WANTED)
            ]
            if causes:
                yield one, [caused(visit, one.cluster, cause) for cause in causes[:3]]


def _refused(
    portal: Portal, submits: Sequence[ClusterView]
) -> Iterator[tuple[ClusterView, Sequence[Refusal]]]:
    for one in submits:
        if one.states.get("idle"):
            refusals = portal.office.ledger.refusals(one)
            if refusals:
                yield one, refusals[:3]


def _days(portal: Portal, visit: Visit, project: Project) -> list[tuple[date, float, float | None]]:
    today = portal.clock.now().date()
    since = today - timedelta(days=PLOT_DAYS - 1)
    chosen = UsageFilter(since=since, project=project.name)
    lines, _ = portal.office.reports.usage(visit.who, chosen, by=["day"], limit=PLOT_DAYS + 1)
    hours = {line.day: line.core_hours for line in lines}
    stored = portal.office.use.of(visit.person.id, since=since)
    return [
        (day, hours.get(day.isoformat(), 0.0), stored[day] / 2**30 if day in stored else None)
        for day in (since + timedelta(days=n) for n in range(PLOT_DAYS))
    ]


def _storage_ahead(
    bar: Bar, days: Sequence[tuple[date, float, float | None]], today: date
) -> Forecast | None:
    levels = [stored for _, _, stored in days if stored is not None]
    if bar.limit is None or len(levels) < 2:
        return None
    return forecast(changes(levels)[1:], left=bar.limit - bar.used, today=today)


def until(terms: Mapping[tuple[CloudName, ServerId], Term], server: FleetServer) -> datetime | None:
    """Return until when a machine runs; None: as long as somebody wants."""
    term = terms.get((server.cloud, server.id))
    return term.ends_at if term else None
