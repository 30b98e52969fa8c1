"""What people are told of by itself: decisions on requests, quotas that are nearly full. Each look tells what is new."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from armillary.accounts.model import Application, ApplicationState, Principal, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import PersonId
from armillary.batch.ledger import Ledger
from armillary.fleet.service import FleetService
from armillary.notices.model import NoticeKind
from armillary.notices.service import Notices
from armillary.portal.use_records import UseRecords
from armillary.vospace.service import VOSpaceService

LEVELS = (90, 80)
"""per cent, the higher first: who has passed both is told of one"""
DECIDED_WITHIN = timedelta(days=7)
"""What was decided while nobody told it is told after the start."""
OVERLAP = timedelta(minutes=2)
"""Decisions that were written down only after they could be read are looked for again."""
PROJECTS = 25
"""that one look asks the clouds about"""
QUOTAS_EVERY = timedelta(minutes=2)


def tell_decided(notices: Notices, application: Application) -> None:
    """Tell the applicant; told before, it is not told again."""
    approved = application.state is ApplicationState.APPROVED
    notices.notify(
        application.person_id,
        NoticeKind.APPROVED if approved else NoticeKind.DECLINED,
        {"project": application.project_name, "reason": application.decision_reason},
        event=f"decided/{application.id}",
    )


class Watch:
    """Call `tick` every few seconds. What was told is in the records, so a restart neither loses nor repeats it."""

    def __init__(
        self,
        *,
        accounts: AccountsService,
        fleet: FleetService,
        ledger: Ledger,
        files: VOSpaceService,
        notices: Notices,
        use: UseRecords,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._fleet = fleet
        self._ledger = ledger
        self._files = files
        self._notices = notices
        self._use = use
        self._clock = clock
        self._next = 0
        self._looked_at: datetime | None = None
        self._told_until: datetime | None = None

    def tick(self) -> None:
        """Tell of decisions; now and then look at the quotas of the next projects, in turn."""
        now = self._clock.now()
        since = now - DECIDED_WITHIN if self._told_until is None else self._told_until - OVERLAP
        for application in self._accounts.decided_since(since):
            tell_decided(self._notices, application)
        self._told_until = now
        if self._looked_at is None or now - self._looked_at >= QUOTAS_EVERY:
            self._looked_at = now
            self.look()
        self._notices.sweep()

    def look(self) -> None:
        """Look at the next projects, and at the homes of their people."""
        projects = [project for project in self._accounts.projects() if project.enabled]
        if self._next >= len(projects):
            self._next = 0
        for project in projects[self._next : self._next + PROJECTS]:
            self._look_at(project)
        self._next += PROJECTS

    def _look_at(self, project: Project) -> None:
        members = self._accounts.members(project.id)
        told = [member.person.id for member in members if member.role is not Role.READER]
        for name in self._fleet.clouds():
            try:
                limits = self._fleet.limits(name, project)
            except ArmillaryError:
                continue  # asked again at the next turn
            for what, used, limit in (
                ("cores", limits.cores_used, limits.cores),
                ("ram", limits.ram_used, limits.ram),
                ("instances", limits.instances_used, limits.instances),
            ):
                self._judge(told, project, what, used, limit, cloud=name)
        use = self._ledger.of(project)
        self._judge(told, project, "core_hours", use.hours, use.budget)
        homes: dict[PersonId, int] = {}
        for member in members:
            try:
                home = self._files.node(Principal(person=member.person), f"/home/{member.person.user_name}")
            except NotFound:
                continue  # made with the first file
            homes[member.person.id] = home.used
            self._judge([member.person.id], project, "storage", home.used, home.quota)
        self._use.note(self._clock.now().date(), homes)

    def _judge(
        self,
        told: Sequence[PersonId],
        project: Project,
        what: str,
        used: float,
        limit: float | None,
        *,
        cloud: str = "",
    ) -> None:
        """Tell that a quota is nearly full: at most once a week for each level, as long as it is."""
        if not limit:
            return
        percent = int(100 * used / limit)
        level = next((one for one in LEVELS if percent >= one), None)
        if level is None:
            return
        year, week, _ = self._clock.now().isocalendar()
        facts = {"project": project.name, "what": what, "cloud": cloud, "percent": percent, "level": level}
        whose = "" if what == "storage" else project.id  # a home is one, whatever projects fill it
        for person in told:
            event = f"quota/{whose}/{what}/{cloud}/{level}/{year}-{week}"
            self._notices.notify(person, NoticeKind.QUOTA, facts, event=event)
