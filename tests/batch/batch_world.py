"""A whole batch service over a SQLite file, a virtual clock and clouds in memory. Restartable at any point."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from batch_people import TestPeople
from fastapi import FastAPI
from fastapi.testclient import TestClient

from armillary.accounts.api import install_error_handlers
from armillary.accounts.model import Principal
from armillary.app.database import make_engine
from armillary.base.bell import Bell
from armillary.base.clock import VirtualClock
from armillary.base.ids import CloudName, Sha512, WorkerId
from armillary.batch.agents import AgentService
from armillary.batch.api import agent_call_router, agent_router, call_router, router
from armillary.batch.api.reports import reports_router
from armillary.batch.calls import Calls
from armillary.batch.core.states import Result
from armillary.batch.credentials import JobCredentials
from armillary.batch.draining import Draining
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.parcels import LeaseKey
from armillary.batch.engines.embedded.policing import Policing
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register, Session
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.genuine import WRONG_IMAGE, ImageCheck
from armillary.batch.holdings import Holdings
from armillary.batch.logs import LogFolder
from armillary.batch.matching import Matcher, WorkerMatch, kind_of
from armillary.batch.model import Group, InputFile, JobId, JobSpec, Machine, Resources, Submission, Wishes
from armillary.batch.notices.book import NoticeBook
from armillary.batch.notices.service import Notices
from armillary.batch.policy.evaluator import Evaluator
from armillary.batch.policy.service import ExitPolicies, PolicyWatch
from armillary.batch.reports import Reports
from armillary.batch.scaler import Scaler, ScalerSettings
from armillary.batch.service import BatchService
from armillary.batch.spool import FolderSpool
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.hardware_records import HardwareRecords
from armillary.batch.store.holding_records import HoldingRecords
from armillary.batch.store.policy_records import PolicyRecords
from armillary.batch.store.records import Records
from armillary.batch.store.tables import create_all
from armillary.batch.store.usage_records import UsageRecords
from armillary.batch.user_data import CloudInitEnrolment
from armillary.disks.model import Manifest
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.notices import tables as notice_tables
from armillary.notices.model import Channel
from armillary.notices.outbox import Outbox
from armillary.notices.sending import Send, Sending
from armillary.notices.service import Notices as Telling

FLAVOR = "c2-2gb-10"
WHOLE = Resources(cpus=2, memory_mib=2048, disk_kib=9 * 2**20)
SMALL = Resources(cpus=1, memory_mib=512, disk_kib=1024)
TERMS = Terms(poll=timedelta(0))


@dataclass
class World:
    """Everything. `restart()` makes all services anew over the same records, as after kill -9."""

    folder: Path
    records_url: str = ""
    settings: ScalerSettings = field(default_factory=ScalerSettings)
    terms: Terms = TERMS
    defer: bool = False
    east_cores: int = 8
    policy_page: int = 500
    senders: dict[Channel, Send] = field(default_factory=dict[Channel, Send])
    evaluator: Evaluator = field(default_factory=Evaluator)
    manifests: dict[str, Manifest] = field(default_factory=dict[str, Manifest])
    """of the images that somebody has looked into"""

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.people = TestPeople(self.clock)
        self.project = self.people.add_project("galaxies")
        self.ada = self.people.add("ada", self.project)
        self.east = FakeCloud(name="east", clock=self.clock, cores=self.east_cores, number=16)
        self.west = FakeCloud(name="west", clock=self.clock, cores=8, number=17)
        self.image = self.east.add_image("my-snapshot", b"bytes of the machine", project=self.project)
        self.waiting: list[Callable[[], None]] = []
        self.restart()

    @property
    def group(self) -> Group:
        assert self.image.sha512
        return Group(self.project.id, self.image.sha512, FLAVOR)

    def restart(self) -> None:
        database = make_engine(self.records_url or f"sqlite:///{self.folder}/batch.db", durable=False)
        create_all(database)
        notice_tables.create_all(database)
        self.database = database
        self.waiting.clear()
        self.fleet = fake_fleet(clock=self.clock, clouds=[self.east, self.west])
        self.bell = Bell()
        self.queue = EmbeddedQueue(database=database, clock=self.clock, terms=self.terms)
        self.register = Register(database=database, clock=self.clock, terms=self.terms)
        self.policy_records = PolicyRecords(database=database)
        self.exit_policies = ExitPolicies(
            records=self.policy_records, evaluator=self.evaluator, clock=self.clock
        )
        self.fleet_records = FleetRecords(database=database)
        self.matcher = Matcher(evaluator=self.evaluator)
        self.leases = Leases(
            database=database,
            clock=self.clock,
            terms=self.terms,
            policies=self.exit_policies,
            accepts=WorkerMatch(
                matcher=self.matcher, kind_of=lambda worker: kind_of(self.fleet_records, worker)
            ),
        )
        self.policy_watch = PolicyWatch(
            records=self.policy_records,
            evaluator=self.evaluator,
            engine=Policing(database=database, clock=self.clock),
            clock=self.clock,
            bell=self.bell,
            page=self.policy_page,
        )
        self.records = Records(database=database)
        self.spool = FolderSpool(directory=self.folder / "spool")
        self.logs = LogFolder(directory=self.folder / "logs")
        self.credentials = JobCredentials(
            people=self.people,
            issue_token=self.people.issue_token,
            revoke_token=self.people.revoke_token,
            issue_certificate=lambda name, *_: f"PEM of {name}".encode(),
            vospace="armillary.internal:8443",
            clock=self.clock,
        )
        self.outbox = Outbox(database=database)
        self.telling = Telling(
            database=database,
            people=self.people,
            clock=self.clock,
            channels=(),
            secret=b"secret of the platform",
        )
        self.notices = Notices(
            book=NoticeBook(database=database),
            people=self.people,
            clock=self.clock,
            sending=Sending(
                outbox=self.outbox, clock=self.clock, senders=self.senders, run=lambda work: work()
            ),
            notify=lambda person, kind, facts, event: self.telling.notify(person, kind, facts, event=event),
        )
        self.reports = Reports(
            usage=UsageRecords(database=database),
            outbox=self.outbox,
            secret=b"secret of the platform",
            records=self.records,
            people=self.people,
        )
        self.draining = Draining(database=database, clouds=self.fleet, clock=self.clock)
        self.calls = Calls(bell=self.bell, clock=self.clock)
        self.service = BatchService(
            stir=self.calls.stir,
            warn=self.notices.warnings,
            engine=self.queue,
            records=self.records,
            fleet_records=self.fleet_records,
            spool=self.spool,
            files=Holdings(spool=self.spool, records=HoldingRecords(database=database)),
            logs=self.logs,
            clouds=self.fleet,
            people=self.people,
            clock=self.clock,
            bell=self.bell,
            matcher=self.matcher,
            waits=self.queue.waits,
        )
        self.genuine = ImageCheck(
            manifest=self.manifests.get,
            has=lambda image: image in self.manifests,
            turn_away=lambda worker, why: self.fleet_records.set(worker, reason_code=WRONG_IMAGE, reason=why),
        )
        self.agents = AgentService(
            queue=self.queue,
            register=self.register,
            leases=self.leases,
            checkpoints=Checkpoints(database=database, clock=self.clock),
            spool=self.spool,
            logs=self.logs,
            bell=self.bell,
            credentials=self.credentials,
            hardware=HardwareRecords(database=database, clock=self.clock),
            genuine=self.genuine,
            terms=self.terms,
        )
        self.scaler = Scaler(
            drained=self.draining.drained,
            workforce=self.queue,
            enrolment=CloudInitEnrolment(
                register=self.register,
                guest_url=lambda _: "https://armillary.internal:8443",
                ca_pem=b"CA",
                vospace="armillary.internal:8443",
                agent=lambda: b"print('agent')",
            ),
            clouds=self.fleet,
            people=self.people,
            records=self.fleet_records,
            matcher=self.matcher,
            clock=self.clock,
            bell=self.bell,
            run=self.waiting.append if self.defer else lambda work: work(),
            ask=lambda work: work(),
            settings=self.settings,
        )

    def run_deferred(self) -> None:
        """Let what the scaler does beside its loop happen now."""
        while self.waiting:
            self.waiting.pop(0)()

    def client(self) -> TestClient:
        app = FastAPI()
        install_error_handlers(app)
        app.include_router(router(service=self.service, authenticator=self.people))
        app.include_router(reports_router(reports=self.reports, authenticator=self.people))
        app.include_router(agent_router(service=self.agents))
        app.include_router(call_router(service=self.service, calls=self.calls, authenticator=self.people))
        app.include_router(agent_call_router(agents=self.agents, calls=self.calls))
        return TestClient(app, headers={"Authorization": "Bearer ada"})

    def later(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    # jobs

    def submit(
        self,
        count: int = 1,
        *,
        who: Principal | None = None,
        group: Group | None = None,
        resources: Resources = SMALL,
        inputs: tuple[InputFile, ...] = (),
        key: str | None = None,
        request_hash: str = "hash",
        data: dict[str, Any] | None = None,
        wishes: Wishes | None = None,
        **job: Any,
    ) -> int:
        """Queue jobs past the service's checks; returns the cluster."""
        owner = (who or self.ada).person
        group = group or self.group
        return self.queue.submit(
            Submission(
                group=group,
                owner=owner.id,
                owner_name=owner.user_name,
                project_name=self.people.project(group.project).name,
                image_name="my-snapshot",
                batch_name=None,
                submit_text="queue",
                jobs=tuple(
                    JobSpec(
                        proc=proc,
                        resources=resources,
                        inputs=inputs,
                        data={"executable": "run.sh", "arguments": [str(proc)], **(data or {})},
                        **job,
                    )
                    for proc in range(count)
                ),
                idempotency_key=key,
                request_hash=request_hash,
                wishes=wishes or Wishes(),
            )
        )

    def state(self, job: str) -> str:
        return self.records.job(None, JobId.parse(job)).view.state

    def states(self) -> dict[str, str]:
        return {view.job: view.state for view in self.records.jobs(None, limit=1000)}

    # workers

    def worker(self, name: str = "w1", *, group: Group | None = None, whole: Resources = WHOLE) -> Session:
        """Register a worker past the scaler."""
        group = group or self.group
        token = self.register.invite(WorkerId(name), group)
        _, key = self.register.register(
            token, server_id=f"server-{name}", image=group.image, whole=whole, version="1"
        )
        return self.register.session(key)

    def claim_one(self, session: Session) -> LeaseKey:
        claimed = self.leases.claim(session, SMALL)
        (leased,) = claimed.jobs
        return leased.key

    def run_all(self, *codes: int, name: str = "w1") -> None:
        """Let a new worker run as many jobs, one after the other, each with its exit code."""
        session = self.worker(name)
        for code in codes:
            self.leases.finish(session, self.claim_one(session), Result(exit_code=code), usage={}, brought=[])

    def report(self, server: Any, *, server_id: str | None = None) -> Session:
        """Have the agent in a cloud's server come up: it reads its user data and registers."""
        token = self.token_of(server)
        _, key = self.register.register(
            token,
            server_id=server_id or server.id,
            image=self.group.image,
            whole=WHOLE,
            version="1",
        )
        return self.register.session(key)

    def report_as(self, server: Any, machine: Machine) -> Session:
        """Have the agent in a server come up as just that machine: of whichever group and size."""
        token = self.register.invite(machine.id, machine.group)
        self.register.expect(machine.id, server.id)
        _, key = self.register.register(
            token, server_id=server.id, image=machine.group.image, whole=machine.size, version="1"
        )
        return self.register.session(key)

    def token_of(self, server: Any) -> str:
        """A new token in place of the one inside of the user data, which the fake cloud does not keep."""
        worker = WorkerId(server.metadata["armillary_worker"])
        token = self.register.invite(worker, self.group)
        self.register.expect(worker, server.id)
        return token

    def servers(self, cloud: FakeCloud | None = None) -> list[Any]:
        clouds = [cloud] if cloud else [self.east, self.west]
        return [server for one in clouds for server in one.servers(self.project)]


def sha512_of(text: str) -> Sha512:
    return Sha512(hashlib.sha512(text.encode()).hexdigest())


def on(cloud: str) -> CloudName:
    return CloudName(cloud)
