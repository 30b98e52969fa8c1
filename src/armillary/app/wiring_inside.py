"""Makes what brings people inside of their machines."""

from __future__ import annotations

from sqlalchemy import Engine

from armillary.accounts.certificates import Authority
from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.fleet.service import FleetService
from armillary.portal.inside.authority import ShellAuthority
from armillary.portal.inside.doorman import Doorman
from armillary.portal.inside.host_keys import HostKeys
from armillary.portal.inside.reaching import Reaching
from armillary.portal.inside.relay import Bounds, Sessions
from armillary.portal.inside.service import Inside
from armillary.portal.inside.tickets import Tickets


def build_inside(
    *,
    database: Engine,
    accounts: AccountsService,
    fleet: FleetService,
    authority: Authority,
    clock: Clock,
    bounds: Bounds | None = None,
) -> Inside:
    """Make it, over the records of the portal."""
    host_keys = HostKeys(engine=database, clock=clock)
    host_keys.create_all()
    return Inside(
        fleet=fleet,
        doorman=Doorman(accounts=accounts, fleet=fleet),
        tickets=Tickets(clock=clock),
        reaching=Reaching(
            fleet=fleet,
            authority=ShellAuthority(key=authority.ssh_key(), clock=clock),
            host_keys=host_keys,
        ),
        sessions=Sessions(bounds=bounds or Bounds()),
    )
