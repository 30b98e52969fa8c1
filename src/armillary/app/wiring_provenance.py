"""Makes what writes down how results came about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from armillary.accounts.service import AccountsService
from armillary.app.settings import Settings
from armillary.app.wiring_batch import Batch
from armillary.base.clock import Clock
from armillary.base.errors import NotFound
from armillary.base.ids import ProjectId
from armillary.crates.record import LineageStep
from armillary.fleet.lineage import Lineages
from armillary.fleet.service import FleetService
from armillary.provenance.beside import Beside
from armillary.provenance.clerk import PATIENCE, Clerk, Place
from armillary.provenance.keys import PlatformKeys
from armillary.provenance.lineage import lineage_of
from armillary.provenance.service import Provenance
from armillary.provenance.store import RecordStore, create_all
from armillary.vospace.service import VOSpaceService


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The provenance subject, made."""

    provenance: Provenance
    clerk: Clerk
    beside: Beside
    store: RecordStore
    keys: PlatformKeys


def build_provenance(
    *,
    settings: Settings,
    database: Engine,
    accounts: AccountsService,
    fleet: FleetService,
    lineages: Lineages,
    batch: Batch,
    vospace: VOSpaceService,
    platform: str,
    clock: Clock,
) -> Recording:
    """Make it over `database`, with its keys in `home/provenance`. `platform` is our address."""
    create_all(database)
    if not settings.provenance.records:
        vospace.witness.look_away()
    vospace.witness.ask(batch.ended.at_work)
    store = RecordStore(database=database, big=batch.service.spool)
    keys = PlatformKeys(folder=settings.home / "provenance" / "keys", published=store, clock=clock)
    keys.current()  # one that is lost is told at the start, not at the end of the first job
    authority = f"{settings.vospace.authority}~vault"
    clerk = Clerk(
        endings=batch.ended,
        store=store,
        witness=vospace.witness,
        mark=vospace.mark,
        lineage=lineage_by(accounts, fleet, lineages),
        signer=keys,
        clock=clock,
        place=Place(
            platform=platform,
            authority=authority,
            most_accesses=settings.provenance.accesses,
            most_hashed=settings.provenance.hash_gib << 30,
        ),
    )
    provenance = Provenance(
        store=store,
        jobs=batch.service,
        space=vospace,
        keys=keys,
        authority=authority,
        write_down=(lambda: clerk.tick(patience=PATIENCE)) if settings.provenance.records else lambda: 0,
    )
    beside = Beside(store=store, space=vospace, active=batch.ended.active, keys=keys.public)
    return Recording(provenance=provenance, clerk=clerk, beside=beside, store=store, keys=keys)


def lineage_by(
    accounts: AccountsService, fleet: FleetService, lineages: Lineages
) -> Callable[[ProjectId, str], Sequence[LineageStep]]:
    """Return what looks up where an image of a project comes from; empty for one that no cloud has any more."""

    def look(project_id: ProjectId, sha512: str) -> Sequence[LineageStep]:
        project = accounts.project(project_id)
        try:
            image = fleet.find_image(project, sha512)
        except NotFound:
            return ()
        return lineage_of(lineages.of(project, image))

    return look
