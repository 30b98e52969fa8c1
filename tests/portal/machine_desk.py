"""What looks after machines, for portals in tests."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.accounts.service import AccountsService
from armillary.app.database import make_engine
from armillary.app.wiring_machines import teller
from armillary.base.clock import Clock
from armillary.base.ids import CloudName
from armillary.fleet.expiry import Expiry
from armillary.fleet.figures import FigureBook, Sampler
from armillary.fleet.launching import Launching
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
) -> Machinery:
    """Put it together over the database at `records`; close its roster."""
    expiry = an_expiry(records=records, accounts=accounts, fleet=fleet, notices=notices, clock=clock)
    expiry.create_all()
    return Machinery(
        launching=Launching(fleet=fleet, expiry=expiry, clock=clock),
        expiry=expiry,
        sampler=Sampler(fleet=fleet, clouds=fleet.clouds(), book=FigureBook(), clock=clock),
        roster=Roster(clouds=fleet.clouds(), servers=fleet.servers),
        doors={CloudName("east"): Door(auth_url="http://127.0.0.1:5000/identity/v3", region="east")},
        packages=lambda digest: packages.get(digest, {}),
    )
