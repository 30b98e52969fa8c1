"""What looks after machines, for portals in tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from armillary.accounts.service import AccountsService
from armillary.app.database import make_engine
from armillary.app.wiring_machines import teller
from armillary.base.clock import Clock
from armillary.base.ids import CloudName
from armillary.fleet.contents import ImageContents
from armillary.fleet.contents_api import Inside
from armillary.fleet.expiry import Expiry
from armillary.fleet.figures import FigureBook, Sampler
from armillary.fleet.launching import Launching
from armillary.fleet.lineage import Lineages
from armillary.fleet.service import FleetService
from armillary.notices.service import Notices
from armillary.portal.machinery import Door, Machinery
from armillary.portal.roster import Roster


def an_expiry(
    *, records: str, accounts: AccountsService, fleet: FleetService, notices: Notices, clock: Clock
) -> Expiry:
    """The terms in the database at `records`, as they are at another time."""
    return Expiry(
        engine=make_engine(records, durable=False),
        fleet=fleet,
        clock=clock,
        project=accounts.project,
        tell=teller(accounts, notices),
    )


def a_machinery(
    *,
    records: str,
    accounts: AccountsService,
    fleet: FleetService,
    notices: Notices,
    clock: Clock,
    packages: Mapping[str, Mapping[str, str]],
    folder: Path,
) -> Machinery:
    """Put it together over the database at `records`, with what is known of images in `folder`; close its roster."""
    expiry = an_expiry(records=records, accounts=accounts, fleet=fleet, notices=notices, clock=clock)
    expiry.create_all()
    return Machinery(
        launching=Launching(fleet=fleet, expiry=expiry, clock=clock),
        expiry=expiry,
        sampler=Sampler(fleet=fleet, clouds=fleet.clouds(), book=FigureBook(), clock=clock),
        roster=Roster(clouds=fleet.clouds(), servers=fleet.servers, limits=fleet.limits),
        doors={CloudName("east"): Door(auth_url="http://127.0.0.1:5000/identity/v3", region="east")},
        packages=lambda digest: packages.get(digest, {}),
        inside=Inside(
            contents=ImageContents(fleet=fleet, folder=folder, run=lambda work: work()),
            lineages=Lineages(fleet=fleet, recipe=lambda _: None),
            find=fleet.find_image,
        ),
    )
