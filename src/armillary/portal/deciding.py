"""What an administrator sees beside a request: what the project uses now, and what to grant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from armillary.accounts.core.suggesting import Suggestion, Why, suggest
from armillary.accounts.model import Application, Person, Project
from armillary.base.errors import ArmillaryError, NotFound
from armillary.portal.context import Portal
from armillary.portal.i18n import N_
from armillary.portal.overview import Bar, cloud_bars

WHY: Mapping[Why, str] = {
    Why.AS_ASKED: N_("as asked for"),
    Why.LESS: N_("less than it has"),
    Why.USUAL: N_("what a new project begins with"),
    Why.LITTLE_USED: N_("not half of what it has is used"),
    Why.DOUBLED: N_("twice what it has"),
    Why.CAPACITY: N_("half of what the clouds have free"),
}
"""Where a suggested figure comes from, in words."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request to decide on."""

    application: Application
    person: Person
    project: Project | None
    """that is to have more; None: it is to be made"""
    bars: Sequence[Bar]
    suggestion: Suggestion


def case(portal: Portal, application: Application) -> Case:
    """Gather what speaks for and against a request."""
    project: Project | None = None
    bars: list[Bar] = []
    if application.project_id is not None:
        try:
            project = portal.accounts.project(application.project_id)
            bars, _ = cloud_bars(portal, project)
            use = portal.office.ledger.of(project)
            bars.append(Bar(what="batch_cores", used=use.cores, limit=use.granted))
        except NotFound:
            project = None
    used: dict[str, int] = {}
    for bar in bars:
        if bar.what in ("cores", "ram", "batch_cores"):
            figure = int(bar.used * 1024) if bar.what == "ram" else int(bar.used)
            used[bar.what] = max(used.get(bar.what, 0), figure)
    return Case(
        application=application,
        person=portal.accounts.person(application.person_id),
        project=project,
        bars=bars,
        suggestion=suggest(
            application.requested,
            present=project.allocation if project else None,
            used=used if bars else None,
            free=free(portal),
        ),
    )


def free(portal: Portal) -> Mapping[str, int] | None:
    """Return the cores and the RAM that the largest cloud has left; None when no cloud says so."""
    found: dict[str, int] = {}
    for name in portal.fleet.clouds():
        try:
            there = portal.fleet.capacity(name)
        except ArmillaryError:
            continue  # a cloud that is away has nothing to give now
        if there is not None:
            found["cores"] = max(found.get("cores", 0), there.vcpus - there.vcpus_used)
            found["ram"] = max(found.get("ram", 0), int(there.ram - there.ram_used))
    return found or None
