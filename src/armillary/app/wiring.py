"""Makes every object of the platform, and puts them together. Nothing is made anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from armillary.accounts.api import Authenticator, install_error_handlers, people_services
from armillary.accounts.api import router as accounts_router
from armillary.accounts.api.access import Desk
from armillary.accounts.api.trail_routes import trail_router
from armillary.accounts.certificates import Authority
from armillary.accounts.service import AccountsService
from armillary.accounts.trail import Trail
from armillary.app.addresses import GUEST_HOST, Addresses
from armillary.app.audited import Audited
from armillary.app.behind import behind
from armillary.app.database import open_records
from armillary.app.fleet_access import fleet_clouds, write_clouds_yaml
from armillary.app.front import Front
from armillary.app.metrics.counted import Counted, metrics_app, metrics_router
from armillary.app.metrics.meters import Meters
from armillary.app.metrics.standing import Standing
from armillary.app.records_hold import hold_records
from armillary.app.remembered import RememberingAuthenticator
from armillary.app.schema import bring_up_to_date
from armillary.app.settings import Settings
from armillary.app.wiring_accounts import build_accounts
from armillary.app.wiring_batch import Batch, build_batch
from armillary.app.wiring_clouds import audit_roles, build_clouds
from armillary.app.wiring_crates import build_crates, registrar_of
from armillary.app.wiring_inside import build_inside, welcome_of
from armillary.app.wiring_machines import EXPIRY_SECONDS, SAMPLE_SECONDS, build_machinery, fleet_routes
from armillary.app.wiring_notices import Telling, build_notices
from armillary.app.wiring_provenance import Recording, build_provenance
from armillary.app.wiring_provider import build_provider
from armillary.app.wiring_vospace import build_shelf, build_vospace
from armillary.base.clock import Clock
from armillary.base.ids import CloudName
from armillary.batch.api import (
    agent_call_router,
    agent_router,
    call_router,
    proc_router,
    shortcuts,
)
from armillary.batch.api import router as batch_router
from armillary.batch.api.clouds import drain_router
from armillary.batch.api.outlook import outlook_router
from armillary.batch.api.reports import reports_router
from armillary.batch.outlook import Outlooks
from armillary.cloud.build import Cloud
from armillary.fleet.api import choose_project
from armillary.fleet.contents import ImageContents
from armillary.fleet.sdk import open_clouds
from armillary.fleet.service import FleetService
from armillary.notices.api import notices_router
from armillary.portal.app import create_portal
from armillary.portal.chores import Chores
from armillary.portal.inside.proxy import InsideProxy
from armillary.portal.inside.service import Inside
from armillary.portal.keys import KeyRing
from armillary.portal.letters import line
from armillary.portal.machinery import Machinery
from armillary.portal.office import Office
from armillary.portal.posting import take_posted
from armillary.portal.telling import Watch
from armillary.portal.use_records import UseRecords
from armillary.provenance.api import provenance_router
from armillary.vospace.api import Settings as SpaceSettings
from armillary.vospace.api import router as vospace_router
from armillary.vospace.api.links import links_router
from armillary.vospace.service import JobService, VOSpaceService
from armillary.vospace.service.views import Views


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Something that is done again and again while the platform runs."""

    name: str
    seconds: float
    work: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The platform, made and not yet listening."""

    app: ASGIApp
    inside: Inside
    inside_pages: ASGIApp
    """of people's machines, for origins of their own"""
    metrics: ASGIApp
    """for the operator alone: it asks nobody who they are"""
    clouds: Mapping[CloudName, Cloud]
    loops: Sequence[Loop]
    addresses: Addresses
    ca_file: Path
    server_certificate: tuple[Path, Path]
    accounts: AccountsService
    fleet: FleetService
    batch: Batch
    telling: Telling
    recording: Recording
    vospace: VOSpaceService
    transfers: JobService
    views: Views
    machinery: Machinery
    database: Engine
    let_go: Callable[[], None]

    def recover(self) -> None:
        """Finish or sweep what an earlier process of ours was killed at. Call it once, when requests are answered."""
        self.vospace.recover()

    def close(self) -> None:
        """Let go of threads and files. Machines run on."""
        self.transfers.close()
        self.views.close()
        self.machinery.roster.close()
        self.batch.errands.shutdown(wait=True, cancel_futures=True)
        self.telling.errands.shutdown(wait=True, cancel_futures=True)
        self.batch.polls.shutdown(wait=True, cancel_futures=True)
        if self.batch.condor:
            self.batch.condor.pool.close()
        for evaluator in self.batch.evaluators:
            evaluator.close()
        for cloud in self.clouds.values():
            cloud.close()
        self.let_go()
        self.database.dispose()


def build_platform(*, settings: Settings, clock: Clock, addresses: Addresses) -> Platform:
    """Make the platform of `settings.home`, whose sockets are bound at `addresses`."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_records(settings.records_url)
    let_go = hold_records(database)
    bring_up_to_date(database, "platform")
    authority = Authority(settings.home / "authority", clock)
    accounts = build_accounts(
        limits=settings.limits, database=database.execution_options(room="accounts"), clock=clock
    )
    clouds = build_clouds(
        settings=settings, addresses=addresses, accounts=accounts, authority=authority, clock=clock
    )
    clouds_yaml = write_clouds_yaml(settings, addresses, accounts)
    fleet = FleetService(
        clouds=open_clouds(clouds=fleet_clouds(settings, addresses), clouds_yaml=clouds_yaml), clock=clock
    )
    contents = ImageContents(fleet=fleet, folder=settings.home / "manifests")
    space_settings = SpaceSettings(authority=settings.vospace.authority)
    vospace, jobs = build_vospace(
        settings, space_settings, database.execution_options(room="vospace"), accounts, clock
    )
    shelf = build_shelf(settings, vospace, database.execution_options(room="vospace"), accounts)
    of_batch = database.execution_options(room="batch")
    meters = Meters(records=Standing(database=of_batch, clock=clock))
    trail = Trail(
        database=database.execution_options(room="trail"),
        clock=clock,
        kept=timedelta(days=settings.audit.days),
        most=settings.audit.entries,
    )
    trail.create_all()
    audit_roles(clouds, trail)
    telling = build_notices(
        settings=settings,
        database=database.execution_options(room="notices"),
        people=accounts,
        clock=clock,
    )
    batch = build_batch(
        telling=telling,
        settings=settings,
        addresses=addresses,
        database=of_batch,
        meter=meters,
        accounts=accounts,
        authority=authority,
        fleet=fleet,
        contents=contents,
        clock=clock,
    )
    authenticator = Authenticator(service=accounts, certificates=authority)
    of_portal = database.execution_options(room="portal")
    pattern = settings.inside_url or addresses.inside_pattern
    inside = build_inside(
        database=of_portal,
        accounts=accounts,
        fleet=fleet,
        authority=authority,
        clock=clock,
        pattern=pattern,
    )
    keys = KeyRing(engine=of_portal, clock=clock)
    keys.create_all()
    use = UseRecords(engine=database.execution_options(room="portal"))
    use.create_all()
    tended = build_machinery(
        database=of_portal,
        addresses=addresses,
        accounts=accounts,
        fleet=fleet,
        notices=telling.notices,
        clock=clock,
        cache=settings.cache,
        terms=settings.machines,
        contents=contents,
        welcome=welcome_of(authority, clock),
    )

    recording = build_provenance(
        settings=settings,
        database=database.execution_options(room="provenance"),
        accounts=accounts,
        fleet=fleet,
        lineages=tended.machinery.inside.lineages,
        batch=batch,
        vospace=vospace,
        platform=addresses.url,
        clock=clock,
    )
    app = FastAPI(title="Armillary", docs_url=None, redoc_url=None)
    install_error_handlers(app)
    app.add_route("/healthz", lambda _request: JSONResponse({"status": "ok"}))
    app.include_router(metrics_router(meters=meters, authenticator=authenticator))
    app.include_router(accounts_router(service=accounts, authenticate=authenticator.principal_of))
    for routes in fleet_routes(
        fleet=fleet, machinery=tended.machinery, accounts=accounts, authenticate=authenticator.principal_of
    ):
        app.include_router(routes)
    app.include_router(
        trail_router(trail=trail, desk=Desk(service=accounts), authenticate=authenticator.principal_of)
    )
    app.include_router(
        notices_router(
            notices=telling.notices,
            announcements=telling.announcements,
            people=accounts.people,
            words=lambda locale, kind, facts: line(locale, kind, facts).text,
            authenticate=authenticator.principal_of,
        )
    )
    app.include_router(batch_router(service=batch.service, authenticator=authenticator))
    app.include_router(reports_router(reports=batch.reports, authenticator=authenticator))
    app.include_router(
        outlook_router(
            outlooks=Outlooks(ledger=batch.ledger, reports=batch.reports, clock=clock),
            project_of=lambda who, name: choose_project(accounts, who, name),
            authenticator=authenticator,
        )
    )
    app.include_router(drain_router(draining=batch.draining, authenticator=authenticator))
    app.include_router(
        proc_router(
            service=batch.service,
            authenticator=authenticator,
            take=lambda who, posted: take_posted(
                batch.service, who, posted, choose_project(accounts, who, posted.project)
            ),
        )
    )
    agents_api = agent_router(service=batch.agents)
    app.include_router(agents_api)
    app.include_router(call_router(service=batch.service, calls=batch.calls, authenticator=authenticator))
    app.include_router(agent_call_router(agents=batch.agents, calls=batch.calls))
    if batch.condor:
        app.include_router(batch.condor.routes(batch.calls))
    app.include_router(
        people_services(
            service=accounts,
            authenticator=authenticator,
            issuer=authority,
            authority=space_settings.authority,
            certificate_days=settings.limits.certificate_days,
        )
    )
    space = vospace_router(
        service=vospace,
        jobs=jobs,
        authenticator=RememberingAuthenticator(
            authenticator=authenticator, changes=lambda: accounts.changes, clock=clock
        ),
        settings=space_settings,
        views=shelf.views,
    )
    app.include_router(space)
    app.include_router(
        provenance_router(provenance=recording.provenance, authenticate=authenticator.principal_of)
    )
    crates = build_crates(
        provenance=recording.provenance,
        batch=batch.service,
        vospace=vospace,
        fleet=fleet,
        accounts=accounts,
        platform=addresses.url,
        database=database.execution_options(room="provenance"),
        clock=clock,
        registrar=registrar_of(settings.doi),
    )
    app.include_router(crates.routes(authenticator))
    app.include_router(links_router(links=shelf.links, authenticate=authenticator.principal_of))
    app.mount(
        "/",
        create_portal(
            accounts=accounts,
            fleet=fleet,
            machinery=tended.machinery,
            batch=batch.service,
            board=batch.board,
            vospace=vospace,
            shelf=shelf,
            keys=keys,
            inside=inside,
            provenance=recording.provenance,
            archive=crates.archive(Chores(clock=clock)),
            provider=build_provider(settings.oidc, clock),
            office=Office(
                notices=telling.notices,
                announcements=telling.announcements,
                trail=trail,
                draining=batch.draining,
                reports=batch.reports,
                ledger=batch.ledger,
                use=use,
            ),
            clock=clock,
        ),
    )
    loops = [Loop(name=f"cloud {name}", seconds=2, work=cloud.reconcile) for name, cloud in clouds.items()]
    loops.append(
        Loop(name="scaler", seconds=settings.batch.tick_seconds, work=lambda: meters.scaled(batch.scaler))
    )
    loops.append(Loop(name="leases", seconds=settings.batch.tick_seconds, work=batch.agents.upkeep))
    if batch.condor:  # policies are the pool's own; of leases there is what ended attempts acted with
        loops.append(
            Loop(name="htcondor", seconds=settings.batch.tick_seconds, work=batch.condor.engine.tick)
        )
    else:
        loops.append(Loop(name="job policies", seconds=60, work=batch.policy_watch.tick))
    loops += [Loop(name=name, seconds=60, work=work) for name, work in batch.minutely.items()]
    loops.append(Loop(name="notices", seconds=5, work=batch.notices.tick))
    watch = Watch(
        accounts=accounts,
        fleet=fleet,
        ledger=batch.ledger,
        files=vospace,
        notices=telling.notices,
        use=use,
        clock=clock,
    )
    loops.append(Loop(name="decisions and quotas", seconds=5, work=watch.tick))
    loops.append(Loop(name="figures", seconds=SAMPLE_SECONDS, work=tended.sample))
    loops.append(Loop(name="expiry", seconds=EXPIRY_SECONDS, work=tended.expire))
    loops.append(Loop(name="transfers", seconds=1, work=jobs.tick))
    loops.append(Loop(name="uploads", seconds=60, work=vospace.resumable.sweep))
    if settings.provenance.records:
        loops.append(Loop(name="records of jobs", seconds=2, work=recording.clerk.tick))
        loops.append(Loop(name="records beside results", seconds=10, work=recording.beside.tick))
    loops.append(Loop(name="bins", seconds=3600, work=shelf.sweep))
    front = Front(app, space.routes, shortcuts(agents_api, batch.agents))
    return Platform(
        app=behind(
            settings.proxies,
            Counted(Audited(front, trail=trail, space=front.tops), meters=meters, space=front.tops),
        ),
        inside=inside,
        inside_pages=InsideProxy(inside=inside, pattern=pattern),
        metrics=metrics_app(meters),
        clouds=clouds,
        loops=[replace(loop, work=meters.watched(loop.name, loop.work)) for loop in loops],
        addresses=addresses,
        ca_file=authority.ca_path,
        server_certificate=authority.server_certificate(_host_names(settings)),
        accounts=accounts,
        fleet=fleet,
        batch=batch,
        telling=telling,
        recording=recording,
        vospace=vospace,
        transfers=jobs,
        views=shelf.views,
        machinery=tended.machinery,
        database=database,
        let_go=let_go,
    )


def _host_names(settings: Settings) -> list[str]:
    return ["localhost", GUEST_HOST, "127.0.0.1", "::1", "10.0.0.1", *settings.host_names]
