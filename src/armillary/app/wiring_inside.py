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
from armillary.portal.inside.tunnels import Tunnels
from armillary.portal.inside.workspaces import Workspaces


def build_inside(
    *,
    database: Engine,
    accounts: AccountsService,
    fleet: FleetService,
    authority: Authority,
    clock: Clock,
    pattern: str,
    bounds: Bounds | None = None,
) -> Inside:
    """Make it, over the records of the portal.

    Args:
        database: the records of the portal.
        accounts: the people.
        fleet: their machines.
        authority: keeps the key that lets us in.
        clock: by which tickets and certificates end.
        pattern: the address of machines' own pages, with a star in place of the machine's label.
        bounds: how long a session lasts.
    """
    host_keys = HostKeys(engine=database, clock=clock)
    host_keys.create_all()
    bounds = bounds or Bounds()
    doorman = Doorman(accounts=accounts, fleet=fleet)
    reaching = Reaching(
        fleet=fleet,
        authority=ShellAuthority(key=authority.ssh_key(), clock=clock),
        host_keys=host_keys,
    )
    return Inside(
        fleet=fleet,
        doorman=doorman,
        tickets=Tickets(clock=clock),
        reaching=reaching,
        sessions=Sessions(bounds=bounds),
        workspaces=Workspaces(reaching=reaching),
        tunnels=Tunnels(reaching=reaching, doorman=doorman, idle=bounds.idle, look=bounds.look),
        pattern=pattern,
    )


def welcome_of(authority: Authority, clock: Clock) -> str:
    """Return the script that lets the portal into a new machine."""
    return ShellAuthority(key=authority.ssh_key(), clock=clock).welcome()
