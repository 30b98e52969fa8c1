"""Makes the tree of files, and the views of what is in it."""

from __future__ import annotations

from sqlalchemy import Engine

from armillary.accounts.service import AccountsService
from armillary.app.remembered import Remembered
from armillary.app.settings import Settings
from armillary.app.storage import open_bytes
from armillary.base.clock import Clock
from armillary.base.ids import PersonId
from armillary.base.units import GiB
from armillary.portal.shelf import Shelf
from armillary.vospace.api import Settings as SpaceSettings
from armillary.vospace.build import build_jobs
from armillary.vospace.courier import HttpCourier
from armillary.vospace.service import Bins, JobService, Links, VOSpaceService
from armillary.vospace.service.views import Views
from armillary.vospace.store import SqlJobRecords, SqlLinkRecords, SqlRecords
from armillary.vospace.store import create_all as create_vospace
from armillary.vospace.views.runners import Limits, ProcessRunner


def build_vospace(
    settings: Settings, space: SpaceSettings, database: Engine, accounts: AccountsService, clock: Clock
) -> tuple[VOSpaceService, JobService]:
    """Make the tree over `database`, and what works on it."""
    create_vospace(database)

    def granted(person: PersonId) -> GiB | None:
        """A home may hold what its owner's projects were granted together."""
        return GiB(sum(m.project.allocation.storage for m in accounts.projects_of(person)))

    service = VOSpaceService(
        records=SqlRecords(database),
        bytes_=open_bytes(settings),
        clock=clock,
        authorities=space.authorities,
        groups=Remembered(accounts.groups_of, changes=lambda: accounts.changes, clock=clock),
        known_groups=accounts.known_groups,
        quota=Remembered(granted, changes=lambda: accounts.changes, clock=clock),
    )
    courier = HttpCourier(allowed=settings.vospace.third_party_hosts)
    return service, build_jobs(
        records=SqlJobRecords(database), space=service, courier=courier, holder=accounts.holder
    )


def build_shelf(
    settings: Settings, vospace: VOSpaceService, database: Engine, accounts: AccountsService
) -> Shelf:
    """Make what the file pages use beside the tree: views, bins, links."""
    return Shelf(
        views=build_views(settings, vospace),
        bins=Bins(space=vospace),
        links=Links(
            space=vospace,
            records=SqlLinkRecords(database),
            holder=lambda person: accounts.holder(person, ""),
        ),
    )


def build_views(settings: Settings, vospace: VOSpaceService) -> Views:
    """Make the views of files."""
    limits = Limits(
        max_bytes=settings.vospace.view_max_mib << 20,
        memory=settings.vospace.view_memory_mib << 20,
        cpu_seconds=settings.vospace.view_seconds,
        silence_seconds=settings.vospace.view_seconds + 15,
    )
    folder = settings.home / "views"
    folder.mkdir(exist_ok=True, mode=0o700)
    return Views(
        files=vospace, runner=ProcessRunner(limits), at_once=settings.vospace.views_at_once, folder=folder
    )
