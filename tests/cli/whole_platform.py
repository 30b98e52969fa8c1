"""Accounts, batch and fleet as one application over SQLite and clouds in memory, on a real port."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from armillary.accounts import api as accounts_api
from armillary.accounts.api.access import Desk
from armillary.accounts.api.trail_routes import trail_router
from armillary.accounts.model import Allocation, Role, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.accounts.trail import Trail
from armillary.app.audited import Audited
from armillary.app.database import make_engine
from armillary.app.wiring_crates import build_crates
from armillary.base.bell import Bell
from armillary.base.clock import SystemClock
from armillary.base.ids import PersonId, TokenId, WorkerId
from armillary.base.units import GiB, MiB
from armillary.batch.agent_archive import agent_source
from armillary.batch.agents import AgentService
from armillary.batch.api import agent_call_router, agent_router, call_router, router
from armillary.batch.api.clouds import drain_router
from armillary.batch.api.outlook import outlook_router
from armillary.batch.api.reports import reports_router
from armillary.batch.calls import Calls
from armillary.batch.core.budget import Prices
from armillary.batch.credentials import JobCredentials
from armillary.batch.draining import Draining
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.holdings import Holdings
from armillary.batch.ledger import Ledger
from armillary.batch.logs import LogFolder
from armillary.batch.model import Group
from armillary.batch.outlook import Outlooks
from armillary.batch.reports import Reports
from armillary.batch.service import BatchService
from armillary.batch.spool import FolderSpool
from armillary.batch.store.ended_records import EndedRecords
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.hardware_records import HardwareRecords
from armillary.batch.store.holding_records import HoldingRecords
from armillary.batch.store.records import Records
from armillary.batch.store.tables import create_all
from armillary.batch.store.usage_records import UsageRecords
from armillary.fleet.api import choose_project
from armillary.fleet.api import router as clouds_router
from armillary.fleet.contents import ImageContents
from armillary.fleet.contents_api import Inside, contents_router
from armillary.fleet.expiry import Expiry
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.fleet.launching import Launching
from armillary.fleet.lineage import Lineages
from armillary.fleet.machines_api import machines_router
from armillary.notices import tables as notice_tables
from armillary.notices.announcements import Announcements
from armillary.notices.api import notices_router
from armillary.notices.outbox import Outbox
from armillary.notices.service import Notices
from armillary.portal.letters import line
from armillary.provenance.api import provenance_router
from armillary.provenance.clerk import Clerk, Place
from armillary.provenance.keys import PlatformKeys
from armillary.provenance.service import Provenance
from armillary.provenance.store import RecordStore
from armillary.provenance.store import create_all as create_provenance
from armillary.vospace.api.links import links_router
from armillary.vospace.bytes.memory import MemoryBytes
from armillary.vospace.service import Links, VOSpaceService
from armillary.vospace.store import SqlLinkRecords, SqlRecords
from armillary.vospace.store import create_all as create_vospace

PASSWORD = "correct horse battery"
FLAVOR = "c2-2gb-10"


class WholePlatform:
    """What a command line talks to. `vera` is a member of project `rotation`; `root` administers."""

    def __init__(self, *, folder: Path) -> None:
        self.folder = folder
        self._workers = 0
        clock = SystemClock()
        database = make_engine(f"sqlite:///{folder}/platform.db", durable=False)
        store = AccountsStore(engine=database)
        store.create_all()
        passwords = Passwords(time_cost=1, memory_cost=8, parallelism=1)
        self.accounts = AccountsService(store=store, clock=clock, passwords=passwords)
        self.administrator_password = self.accounts.bootstrap_admin()
        allocation = Allocation(cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=8)
        self.vera = self.accounts.create_person(
            user_name="vera",
            full_name="Vera Rubin",
            email="vera@example.org",
            institute="DTM",
            password=PASSWORD,
        )
        self.project = self.accounts.create_project("rotation", "Rotation curves", allocation)
        self.accounts.set_role(self.project.id, self.vera.id, Role.MEMBER)
        self.east = FakeCloud(name="east", clock=clock, number=16)
        self.image = self.east.add_image("my-snapshot", b"bytes of the machine", project=self.project)
        fleet = fake_fleet(clock=clock, clouds=[self.east])
        self._wire_batch(database, clock, fleet)
        authenticator = accounts_api.Authenticator(service=self.accounts)
        app = FastAPI()
        app.state.authenticator = authenticator
        accounts_api.install_error_handlers(app)
        who = authenticator.principal_of
        app.include_router(accounts_api.router(service=self.accounts, authenticate=who))
        app.include_router(router(service=self.batch, authenticator=authenticator))
        app.include_router(reports_router(reports=self.reports, authenticator=authenticator))
        app.include_router(agent_router(service=self.agents))
        app.include_router(call_router(service=self.batch, calls=self.calls, authenticator=authenticator))
        app.include_router(agent_call_router(agents=self.agents, calls=self.calls))
        app.include_router(clouds_router(fleet=fleet, memberships=self.accounts, authenticate=who))
        self._wire_machines(app, database, clock, fleet)
        self._wire_files(database, clock)
        app.include_router(links_router(links=self.links, authenticate=who))
        self._wire_provenance(app, database, clock, fleet)
        self._wire_records(app, database, clock)
        self._wire_office(app, database, clock, fleet)
        app.add_api_route("/healthz", lambda: {"ok": True})
        self._serve(Audited(app, trail=self.trail, space=["/vault"]))

    def _wire_records(self, app: FastAPI, database: Any, clock: SystemClock) -> None:
        create_provenance(database)
        store = RecordStore(database=database, big=self.batch.spool)
        keys = PlatformKeys(folder=self.folder / "keys", published=store, clock=clock)
        place = Place(platform="http://localhost", authority="armillary.example~vault")
        clerk = Clerk(
            endings=EndedRecords(database=database),
            store=store,
            witness=self.space.witness,
            mark=self.space.mark,
            lineage=lambda _project, _sha512: (),
            signer=keys,
            clock=clock,
            place=place,
        )
        provenance = Provenance(
            store=store,
            jobs=self.batch,
            space=self.space,
            keys=keys,
            authority=place.authority,
            write_down=clerk.tick,
        )
        who = app.state.authenticator.principal_of
        app.include_router(provenance_router(provenance=provenance, authenticate=who))

    def _wire_office(self, app: FastAPI, database: Any, clock: SystemClock, fleet: Any) -> None:
        authenticator = app.state.authenticator
        self.trail = Trail(database=database, clock=clock, kept=timedelta(days=1), most=10_000)
        self.trail.create_all()
        self.notices = Notices(
            database=database, people=self.accounts, clock=clock, channels=frozenset(), secret=b"secret"
        )
        who, desk = authenticator.principal_of, Desk(service=self.accounts)
        app.include_router(trail_router(trail=self.trail, desk=desk, authenticate=who))
        app.include_router(
            notices_router(
                notices=self.notices,
                announcements=Announcements(database=database, clock=clock),
                people=self.accounts.people,
                words=lambda locale, kind, facts: line(locale, kind, facts).text,
                authenticate=who,
            )
        )
        ledger = Ledger(
            records=FleetRecords(database=database),
            people=self.accounts,
            prices=Prices(of={}),
            budgets={"rotation": 100.0},
            clock=clock,
        )
        app.include_router(
            outlook_router(
                outlooks=Outlooks(ledger=ledger, reports=self.reports, clock=clock),
                project_of=lambda who, name: choose_project(self.accounts, who, name),
                authenticator=authenticator,
            )
        )
        draining = Draining(database=database, clouds=fleet, clock=clock)
        app.include_router(drain_router(draining=draining, authenticator=authenticator))

    def _wire_machines(self, app: FastAPI, database: Any, clock: SystemClock, fleet: Any) -> None:
        expiry = Expiry(
            engine=database,
            fleet=fleet,
            clock=clock,
            project=self.accounts.project,
            tell=lambda _term, _stage: None,
        )
        expiry.create_all()
        app.include_router(
            machines_router(
                fleet=fleet,
                launching=Launching(fleet=fleet, expiry=expiry, clock=clock),
                expiry=expiry,
                memberships=self.accounts,
                project_named=self.accounts.project_named,
                authenticate=app.state.authenticator.principal_of,
            )
        )
        inside = Inside(
            contents=ImageContents(fleet=fleet, folder=self.folder / "manifests"),
            lineages=Lineages(fleet=fleet, recipe=lambda _: None),
            find=fleet.find_image,
        )
        who = app.state.authenticator.principal_of
        app.include_router(contents_router(inside=inside, memberships=self.accounts, authenticate=who))

    def _wire_files(self, database: Any, clock: SystemClock) -> None:
        create_vospace(database)
        self.space = VOSpaceService(
            records=SqlRecords(database),
            bytes_=MemoryBytes(),
            clock=clock,
            authorities=["armillary.example/vault"],
            groups=self.accounts.groups_of,
            quota=lambda _: GiB(1),
        )
        self.links = Links(
            space=self.space,
            records=SqlLinkRecords(database),
            holder=lambda person: self.accounts.holder(person, ""),
        )

    def _wire_provenance(self, app: FastAPI, database: Any, clock: SystemClock, fleet: Any) -> None:
        create_provenance(database)
        store = RecordStore(database=database, big=self.batch.spool)
        keys = PlatformKeys(folder=self.folder / "keys", published=store, clock=clock)
        place = Place(platform="https://armillary.example", authority="armillary.example~vault")
        clerk = Clerk(
            endings=EndedRecords(database=database),
            store=store,
            witness=self.space.witness,
            mark=self.space.mark,
            lineage=lambda _project, _sha512: [],
            signer=keys,
            clock=clock,
            place=place,
        )
        self.provenance = Provenance(
            store=store,
            jobs=self.batch,
            space=self.space,
            keys=keys,
            authority=place.authority,
            write_down=clerk.tick,
        )
        who = app.state.authenticator
        app.include_router(provenance_router(provenance=self.provenance, authenticate=who.principal_of))
        crates = build_crates(
            provenance=self.provenance,
            batch=self.batch,
            vospace=self.space,
            fleet=fleet,
            accounts=self.accounts,
            platform=place.platform,
            database=database,
            clock=clock,
        )
        app.include_router(crates.routes(who))

    def _wire_batch(self, database: Any, clock: SystemClock, fleet: Any) -> None:
        create_all(database)
        notice_tables.create_all(database)
        terms = Terms(lease=timedelta(seconds=20), poll=timedelta(seconds=1))
        queue = EmbeddedQueue(database=database, clock=clock, terms=terms)
        self.register = Register(database=database, clock=clock, terms=terms)
        self.bell = Bell()
        self.calls = Calls(bell=self.bell, clock=clock)
        spool = FolderSpool(directory=self.folder / "spool")
        logs = LogFolder(directory=self.folder / "logs")

        def issue(owner: PersonId, lifetime: timedelta, label: str) -> tuple[str, str]:
            made = self.accounts.issue_token(owner, kind=TokenKind.JOB, lifetime=lifetime, label=label)
            return made.secret, made.token.id

        credentials = JobCredentials(
            people=self.accounts,
            issue_token=issue,
            revoke_token=lambda owner, reference: self.accounts.revoke_token(owner, TokenId(reference)),
            issue_certificate=lambda name, *_: f"PEM of {name}".encode(),
            vospace="armillary.internal:8443",
            clock=clock,
        )
        records = Records(database=database)
        self.reports = Reports(
            usage=UsageRecords(database=database),
            outbox=Outbox(database=database),
            secret=b"secret",
            records=records,
            people=self.accounts,
        )
        self.batch = BatchService(
            engine=queue,
            records=records,
            fleet_records=FleetRecords(database=database),
            spool=spool,
            files=Holdings(spool=spool, records=HoldingRecords(database=database)),
            logs=logs,
            clouds=fleet,
            people=self.accounts,
            clock=clock,
            bell=self.bell,
        )
        self.agents = AgentService(
            queue=queue,
            register=self.register,
            leases=Leases(database=database, clock=clock, terms=terms),
            checkpoints=Checkpoints(database=database, clock=clock),
            spool=spool,
            logs=logs,
            bell=self.bell,
            credentials=credentials,
            hardware=HardwareRecords(database=database, clock=clock),
            terms=terms,
        )

    def _serve(self, app: ASGIApp) -> None:
        started = threading.Event()

        class Server(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets)
                started.set()

        config = uvicorn.Config(cast("Any", app), host="127.0.0.1", port=0, log_level="error", lifespan="off")
        self._server = Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        assert started.wait(60)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def close(self) -> None:
        self.bell.close()
        self._server.should_exit = True
        self._thread.join(10)

    def start_worker(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start an agent here as if a machine with the image had booted on `east`."""
        self._workers += 1
        folder.mkdir()
        assert self.image.sha512
        group = Group(self.project.id, self.image.sha512, FLAVOR)
        config = {
            "url": self.url,
            "bootstrap_token": self.register.invite(WorkerId(f"worker-{self._workers}"), group),
            "image_sha512": self.image.sha512,
            "cloud": "east",
            "state_dir": str(folder / "state"),
            "scratch_dir": str(folder / "scratch"),
            "cpus": 2,
            "memory_mib": 2048,
            "users": False,
        }
        (folder / "agent.json").write_text(json.dumps(config))
        agent = folder / "agent.pyz"
        agent.write_bytes(agent_source())
        command = [sys.executable, "-I", "-S", str(agent), "--config", str(folder / "agent.json")]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)
