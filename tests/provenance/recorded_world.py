"""Accounts, batch, VOSpace and the clerk over one SQLite file, with a virtual clock; jobs act by real certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from armillary.accounts.api import Authenticator
from armillary.accounts.certificates import Authority
from armillary.accounts.model import Allocation, Principal, TokenKind
from armillary.accounts.passwords import Passwords
from armillary.accounts.service import AccountsService, AccountsStore
from armillary.app.database import make_engine
from armillary.base.bell import Bell
from armillary.base.clock import VirtualClock
from armillary.base.ids import CloudName, PersonId, TokenId, WorkerId
from armillary.base.units import GiB, MiB
from armillary.batch.agents import AgentService
from armillary.batch.core.states import Fault, Result
from armillary.batch.credentials import JobCredentials
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.parcels import OutputRef
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register, Session
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.holdings import Holdings
from armillary.batch.logs import LogFolder
from armillary.batch.model import (
    Group,
    InputFile,
    JobId,
    JobSpec,
    Machine,
    MachineState,
    Resources,
    Selection,
    Submission,
)
from armillary.batch.ports import Credential
from armillary.batch.service import BatchService
from armillary.batch.spool import FolderSpool
from armillary.batch.store.ended_records import EndedRecords
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.hardware_records import HardwareRecords
from armillary.batch.store.holding_records import HoldingRecords
from armillary.batch.store.records import Records
from armillary.batch.store.tables import create_all as create_batch
from armillary.crates.record import LineageStep, Person
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.provenance.beside import Beside
from armillary.provenance.clerk import Clerk, Place
from armillary.provenance.keys import PlatformKeys
from armillary.provenance.model import Gap
from armillary.provenance.service import Provenance
from armillary.provenance.store import LARGE, Made, RecordStore
from armillary.provenance.store import create_all as create_provenance
from armillary.vospace.bytes.memory import MemoryBytes
from armillary.vospace.service import VOSpaceService
from armillary.vospace.store import SqlRecords
from armillary.vospace.store import create_all as create_vospace

FLAVOR = "c2-2gb-10"
WHOLE = Resources(cpus=2, memory_mib=2048, disk_kib=2**20)
SMALL = Resources(cpus=1, memory_mib=512, disk_kib=1024)
HARDWARE = {"cpu_model": "Antikythera 3", "kernel": "6.1.0 #1 SMP", "architecture": "x86_64"}
PLACE = Place(platform="https://armillary.example", authority="armillary.example~vault")
Act = Callable[[Principal], None]


class Killed(Exception):
    """Where the process ended."""


class MortalStore(RecordStore):
    """Ends before it keeps anything, once `dies` is set."""

    dies = False
    last: Sequence[Made] = ()

    def add(self, made: Sequence[Made], *, seq: int, without: Sequence[Gap] = ()) -> None:
        self.last = made
        if self.dies:
            raise Killed
        super().add(made, seq=seq, without=without)


@dataclass
class World:
    """Everything. `restart` makes the services anew over what is on disk, as after kill -9."""

    folder: Path
    place: Place = PLACE
    large: int = LARGE
    url: str = ""
    """of another database than SQLite in the folder"""
    homes: bool = True
    """whether everybody has used VOSpace already"""
    bytes: MemoryBytes = field(default_factory=MemoryBytes)

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.database = make_engine(self.url or f"sqlite:///{self.folder}/records.db", durable=False)
        store = AccountsStore(engine=self.database)
        store.create_all()
        create_batch(self.database)
        create_vospace(self.database)
        create_provenance(self.database)
        quick = Passwords(time_cost=1, memory_cost=8, parallelism=1)
        self.accounts = AccountsService(store=store, clock=self.clock, passwords=quick)
        self.authority = Authority(self.folder / "authority", self.clock)
        self.authenticator = Authenticator(service=self.accounts, certificates=self.authority)
        self.accounts.bootstrap_admin()
        self.admin = Principal(person=self.accounts.person_named("admin"))
        self.ada, self.project = self._member("ada", "galaxies")
        self.eve, _ = self._member("eve", "comets")
        self.cloud = cloud = FakeCloud(name="east", clock=self.clock, number=16)
        image = cloud.add_image("my-snapshot", b"bytes of the machine", project=self.project)
        assert image.sha512
        self.group = Group(self.project.id, image.sha512, FLAVOR)
        self.fleet = fake_fleet(clock=self.clock, clouds=[cloud])
        self._workers = 0
        self.restart()

    def _member(self, name: str, project: str) -> tuple[Principal, object]:
        application = self.accounts.register(
            user_name=name,
            full_name=name.title(),
            email=f"{name}@example.org",
            institute="Observatory",
            password="correct horse battery staple",
            project_name=project,
            requested=Allocation(cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=8),
            reason="To look.",
        )
        made = self.accounts.approve(application.id, by=self.admin.person.id)
        return Principal(person=self.accounts.person_named(name)), made

    def restart(self) -> None:
        """Make all services anew."""
        terms, bell = Terms(), Bell()
        self.spool = FolderSpool(directory=self.folder / "spool")
        self.space = VOSpaceService(
            records=SqlRecords(self.database),
            bytes_=self.bytes,
            clock=self.clock,
            authorities=["armillary.example/vault"],
            groups=self.accounts.groups_of,
            quota=lambda _: GiB(1),
        )
        self.ended = EndedRecords(database=self.database)
        self.space.witness.ask(self.ended.at_work)
        for who in (self.ada, self.eve) if self.homes else ():
            self.space.ensure_home(who.person)
        self.queue = EmbeddedQueue(database=self.database, clock=self.clock, terms=terms)
        self._register = Register(database=self.database, clock=self.clock, terms=terms)
        self._machines = FleetRecords(database=self.database)
        logs = LogFolder(directory=self.folder / "logs")

        def issue_token(owner: PersonId, lifetime: timedelta, label: str) -> tuple[str, str]:
            scopes = frozenset({"vospace:read", "vospace:write"})
            made = self.accounts.issue_token(
                owner, kind=TokenKind.JOB, lifetime=lifetime, label=label, scopes=scopes
            )
            return made.secret, made.token.id

        self.agents = AgentService(
            queue=self.queue,
            register=self._register,
            leases=Leases(database=self.database, clock=self.clock, terms=terms),
            checkpoints=Checkpoints(database=self.database, clock=self.clock),
            spool=self.spool,
            logs=logs,
            bell=bell,
            credentials=JobCredentials(
                people=self.accounts,
                issue_token=issue_token,
                revoke_token=lambda owner, reference: self.accounts.revoke_token(owner, TokenId(reference)),
                issue_certificate=lambda name, lifetime, job: self.authority.issue_client(
                    name, lifetime, job=True, of=job
                ),
                vospace="localhost",
                clock=self.clock,
            ),
            hardware=HardwareRecords(database=self.database, clock=self.clock),
            terms=terms,
        )
        self.batch = BatchService(
            engine=self.queue,
            records=Records(database=self.database),
            fleet_records=self._machines,
            spool=self.spool,
            files=Holdings(spool=self.spool, records=HoldingRecords(database=self.database)),
            logs=logs,
            clouds=self.fleet,
            people=self.accounts,
            clock=self.clock,
            bell=bell,
        )
        self.store = MortalStore(database=self.database, big=self.spool, large=self.large)
        self.keys = PlatformKeys(folder=self.folder / "keys", published=self.store, clock=self.clock)
        self.clerk = Clerk(
            endings=self.ended,
            store=self.store,
            witness=self.space.witness,
            mark=self.space.mark,
            lineage=lambda _project, sha512: [
                LineageStep(kind="recipe", name="debian-12", sha256="5" * 64),
                LineageStep(kind="snapshot", name="my-snapshot", sha512=sha512, by=Person(name="ada")),
            ],
            signer=self.keys,
            clock=self.clock,
            place=self.place,
        )
        self.beside = Beside(
            store=self.store, space=self.space, active=self.ended.active, keys=self.keys.public
        )
        self.provenance = Provenance(
            store=self.store,
            jobs=self.batch,
            space=self.space,
            keys=self.keys,
            authority=self.place.authority,
            write_down=self.clerk.tick,
        )

    # jobs

    def keep(self, content: bytes) -> tuple[str, int]:
        """Put a file of Ada's into the spool."""
        with self.batch.files.writer(self.ada) as writer:
            writer.write(content)
            blob = writer.commit()
        return blob.sha256, blob.size

    def submit(
        self,
        count: int = 1,
        *,
        data: Mapping[str, object] | None = None,
        submit_text: str = "executable = run.sh\nqueue\n",
    ) -> int:
        """Queue jobs that run `run.sh` on `in.txt`."""
        program, pixels = self.keep(b"#!/bin/sh\n"), self.keep(b"pixels")
        inputs = (
            InputFile(path="run.sh", sha256=program[0], size=program[1], mode=0o755),
            InputFile(path="in.txt", sha256=pixels[0], size=pixels[1]),
        )
        spec = {"executable": "run.sh", "environment": {"BAND": "r"}, "transfer_input_files": ["in.txt"]}
        return self.queue.submit(
            Submission(
                group=self.group,
                owner=self.ada.person.id,
                owner_name="ada",
                project_name="galaxies",
                image_name="my-snapshot",
                batch_name="count",
                submit_text=submit_text,
                jobs=tuple(
                    JobSpec(
                        proc=proc,
                        resources=SMALL,
                        inputs=inputs,
                        data={**spec, "arguments": [str(proc)], **(data or {})},
                    )
                    for proc in range(count)
                ),
            )
        )

    def worker(self) -> Session:
        """Have a machine on `east` come up."""
        self._workers += 1
        name = WorkerId(f"w{self._workers}")
        self._machines.plan(
            Machine(
                id=name,
                group=self.group,
                cloud=CloudName("east"),
                project_name="galaxies",
                vcpus=2,
                size=WHOLE,
                state=MachineState.BOOTING,
                created_at=self.clock.now(),
            )
        )
        token = self._register.invite(name, self.group)
        _, key = self._register.register(
            token, server_id=f"server-{name}", image=self.group.image, whole=WHOLE, version="2"
        )
        return self._register.session(key)

    def run(
        self,
        session: Session,
        act: Act = lambda _who: None,
        *,
        exit_code: int = 0,
        fault: str = "",
        files: Mapping[str, bytes] | None = None,
        hardware: Mapping[str, str] = HARDWARE,
    ) -> JobId:
        """Run the oldest waiting job on a worker: it does `act` by its certificate, and ends."""
        [job] = self.agents.claim(session, SMALL).jobs
        key = job.leased.key
        self.clock.advance(timedelta(seconds=1))
        assert job.credential
        act(self.by_certificate(job.credential))
        brought: list[OutputRef] = []
        for name, content in (files or {}).items():
            with self.agents.output(session, key, name) as writer:
                writer.write(content)
                blob = writer.commit()
            brought.append(OutputRef(name=name, sha256=blob.sha256, size=blob.size))
            self.agents.add_output(session, key, brought[-1])
        result = (
            Result(error=Fault(code="worker_fault", message=fault)) if fault else Result(exit_code=exit_code)
        )
        self.clock.advance(timedelta(seconds=1))
        self.agents.finish(
            session, key, result, usage={"wall_seconds": 1.5}, outputs=brought, machine=hardware
        )
        return key.job

    def by_certificate(self, credential: Credential) -> Principal:
        """Return who shows a job's certificate."""
        certificate = x509.load_pem_x509_certificate(credential.certificate_pem.encode())
        return self.authenticator.shown(certificate.public_bytes(Encoding.DER))

    def write(self, who: Principal, path: str, content: bytes) -> None:
        self.space.put_bytes(who, path, [content])

    def read(self, who: Principal, path: str) -> bytes:
        return b"".join(self.space.open_bytes(who, path).chunks)

    def remove(self, job: JobId) -> None:
        self.queue.remove(Selection(cluster=job.cluster, proc=job.proc), reason="no more")

    def close(self) -> None:
        self.database.dispose()
