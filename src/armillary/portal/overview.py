"""What the overview page shows: the project's use of each cloud, its machines, and where a newcomer goes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armillary.accounts.model import Application, ApplicationState
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName
from armillary.fleet.model import Limits
from armillary.portal.context import Portal
from armillary.portal.visit import Visit


@dataclass(frozen=True, kw_only=True)
class CloudUse:
    """One cloud's quota and use, or why it is not known."""

    name: CloudName
    limits: Limits | None = None
    error: ArmillaryError | None = None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The figures of the page."""

    clouds: Sequence[CloudUse]
    applications: Sequence[Application]
    """Those that still wait."""
    waiting: int
    """Requests that an administrator has to decide on; 0 for others."""


def overview(portal: Portal, visit: Visit) -> Overview:
    """Gather the figures; a cloud that does not answer hides nothing else."""
    mine = portal.accounts.applications_of(visit.person.id)
    waiting = portal.accounts.applications(ApplicationState.WAITING) if visit.person.is_admin else []
    return Overview(
        clouds=cloud_uses(portal, visit),
        applications=[application for application in mine if application.state is ApplicationState.WAITING],
        waiting=len(waiting),
    )


def cloud_uses(portal: Portal, visit: Visit) -> list[CloudUse]:
    """Return each cloud with the project's quota there; nothing for people without a project."""
    uses: list[CloudUse] = []
    for name in portal.fleet.clouds() if visit.membership else []:
        try:
            uses.append(CloudUse(name=name, limits=portal.fleet.limits(name, visit.project)))
        except ArmillaryError as error:
            uses.append(CloudUse(name=name, error=error))
    return uses
