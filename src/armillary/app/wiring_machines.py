"""Makes what looks after people's machines: their terms, their figures, and the list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.accounts.service import AccountsService
from armillary.app.addresses import Addresses
from armillary.app.settings_tables import MachinesTable
from armillary.base.clock import Clock, to_iso
from armillary.base.errors import ArmillaryError
from armillary.fleet.api import router as clouds_router
from armillary.fleet.contents import ImageContents
from armillary.fleet.contents_api import Inside, contents_router
from armillary.fleet.expiry import Expiry, Tell, Term, TermRules
from armillary.fleet.figures import FigureBook, Sampler
from armillary.fleet.launching import Launching
from armillary.fleet.lineage import Lineages
from armillary.fleet.machines_api import machines_router
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
    terms: MachinesTable,
    contents: ImageContents,
    welcome: str,
) -> Tended:
    """Make it over `database`; base images that were built here are in `cache`; `welcome` lets the portal into machines."""
    built = Manifests(cache=cache)
    expiry = Expiry(
        engine=database,
        fleet=fleet,
        clock=clock,
        project=accounts.project,
        tell=teller(accounts, notices),
        rules=TermRules(
            default=terms.default_days or None, longest=terms.longest_days, endless=terms.endless
        ),
    )
    expiry.create_all()
    sampler = Sampler(fleet=fleet, clouds=fleet.clouds(), book=FigureBook(), clock=clock)
    machinery = Machinery(
        launching=Launching(fleet=fleet, expiry=expiry, clock=clock, welcome=welcome),
        expiry=expiry,
        sampler=sampler,
        roster=Roster(clouds=fleet.clouds(), servers=fleet.servers, limits=fleet.limits),
        doors={
            name: Door(auth_url=addresses.auth_url(name), region=str(name)) for name in addresses.cloud_ports
        },
        packages=built.packages,
        inside=Inside(
            contents=contents, lineages=Lineages(fleet=fleet, recipe=built.of), find=fleet.find_image
        ),
    )

    def expire() -> None:
        expiry.tick()
        expiry.stop_again(sampler.running())

    return Tended(machinery=machinery, sample=sampler.tick, expire=expire)


def fleet_routes(
    *,
    fleet: FleetService,
    machinery: Machinery,
    accounts: AccountsService,
    authenticate: Callable[..., Principal],
) -> list[APIRouter]:
    """Return the API of clouds, machines and images."""
    return [
        clouds_router(fleet=fleet, memberships=accounts, authenticate=authenticate),
        machines_router(
            fleet=fleet,
            launching=machinery.launching,
            expiry=machinery.expiry,
            memberships=accounts,
            project_named=accounts.project_named,
            authenticate=authenticate,
        ),
        contents_router(inside=machinery.inside, memberships=accounts, authenticate=authenticate),
    ]


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
