"""Makes what looks after people's machines: their terms, their figures, and the list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from armillary.accounts.service import AccountsService
from armillary.app.addresses import Addresses
from armillary.base.clock import Clock, to_iso
from armillary.base.errors import ArmillaryError
from armillary.fleet.expiry import Expiry, Tell, Term
from armillary.fleet.figures import FigureBook, Sampler
from armillary.fleet.launching import Launching
from armillary.fleet.service import FleetService
from armillary.notices.model import NoticeKind
from armillary.notices.service import Notices
from armillary.portal.machinery import Door, Machinery
from armillary.portal.roster import Roster
from armillary.recipes.manifests import Manifests

SAMPLE_SECONDS, EXPIRY_SECONDS = 5, 30


@dataclass(frozen=True, kw_only=True)
class Tended:
    """What looks after machines, made; with what is to be called again and again."""

    machinery: Machinery
    sample: Callable[[], None]
    expire: Callable[[], None]


def build_machinery(
    *,
    database: Engine,
    addresses: Addresses,
    accounts: AccountsService,
    fleet: FleetService,
    notices: Notices,
    clock: Clock,
    cache: Path,
    welcome: str,
) -> Tended:
    """Make it over `database`; base images that were built here are in `cache`; `welcome` lets the portal into machines."""
    expiry = Expiry(
        engine=database, fleet=fleet, clock=clock, project=accounts.project, tell=teller(accounts, notices)
    )
    expiry.create_all()
    sampler = Sampler(fleet=fleet, clouds=fleet.clouds(), book=FigureBook(), clock=clock)
    machinery = Machinery(
        launching=Launching(fleet=fleet, expiry=expiry, clock=clock, welcome=welcome),
        expiry=expiry,
        sampler=sampler,
        roster=Roster(clouds=fleet.clouds(), servers=fleet.servers),
        doors={
            name: Door(auth_url=addresses.auth_url(name), region=str(name)) for name in addresses.cloud_ports
        },
        packages=Manifests(cache=cache).packages,
    )

    def expire() -> None:
        expiry.tick()
        expiry.stop_again(sampler.running())

    return Tended(machinery=machinery, sample=sampler.tick, expire=expire)


def teller(accounts: AccountsService, notices: Notices) -> Tell:
    """Return what tells people that a machine's time is short, or over."""

    def tell(term: Term, stage: str) -> None:
        try:
            project = accounts.project(term.project_id).name
            accounts.person(term.person_id)
        except ArmillaryError:
            return  # nobody is left to be told
        over = stage == "ended"
        facts = {
            "name": term.name,
            "cloud": str(term.cloud),
            "server": str(term.server_id),
            "project": project,
            "at": to_iso(term.ends_at),
            "left": "" if over else stage,
        }
        kind = NoticeKind.EXPIRED if over else NoticeKind.EXPIRING
        event = f"{kind.value}/{term.cloud}/{term.server_id}/{to_iso(term.ends_at)}/{stage}"
        notices.notify(term.person_id, kind, facts, event=event)

    return tell
