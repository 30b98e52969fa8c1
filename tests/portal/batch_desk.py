"""The batch service over a file, and an agent's side that does a job at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from armillary.accounts.service import AccountsService
from armillary.app.database import make_engine
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.ids import CloudName, ServerId, WorkerId, new_uuid
from armillary.batch.agents import AgentService
from armillary.batch.board import MOST_CELLS, Board
from armillary.batch.core.budget import Prices
from armillary.batch.core.states import Fault, Result
from armillary.batch.draining import Draining
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.parcels import LeaseKey, OutputRef
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register, Session
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.forecast import Forecaster
from armillary.batch.holdings import Holdings
from armillary.batch.ledger import Ledger
from armillary.batch.load import Load
from armillary.batch.logs import LogFolder
from armillary.batch.matching import Matcher
from armillary.batch.model import Machine, MachineState, Resources
from armillary.batch.policy.evaluator import Evaluator
from armillary.batch.reports import Reports
from armillary.batch.service import BatchService
from armillary.batch.spool import FolderSpool
from armillary.batch.store.board_records import BoardRecords
from armillary.batch.store.ended_records import EndedRecords
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.holding_records import HoldingRecords
from armillary.batch.store.load_records import LoadRecords
from armillary.batch.store.records import Records
from armillary.batch.store.tables import create_all
from armillary.batch.store.usage_records import UsageRecords
from armillary.fleet.service import FleetService
from armillary.notices.outbox import Outbox
from armillary.notices.tables import create_all as create_notices


class BatchDesk:
    """Everything of batch that the portal's tests need."""

    def __init__(
        self, *, accounts: AccountsService, fleet: FleetService, clock: Clock, directory: Path
    ) -> None:
        database = make_engine(f"sqlite:///{directory}/batch.db", durable=False)
        create_all(database)
        self.ended = EndedRecords(database=database)
        terms, bell = Terms(), Bell()
        self.queue = EmbeddedQueue(database=database, clock=clock, terms=terms)
        self.spool = FolderSpool(directory=directory / "spool")
        self.logs = LogFolder(directory=directory / "logs")
        records = Records(database=database)
        forecaster = Forecaster(
            clouds=fleet,
            records=FleetRecords(database=database),
            matcher=Matcher(evaluator=Evaluator()),
            clock=clock,
        )
        load = Load(records=LoadRecords(database=database), people=accounts, clock=clock)
        parts = {"records": records, "board": BoardRecords(database=database), "people": accounts}

        def board(most_cells: int = MOST_CELLS) -> Board:
            return Board(**parts, clock=clock, forecaster=forecaster, load=load, most_cells=most_cells)

        self.board = board()
        self.small_board = board(most_cells=3)
        """whose pictures have three cells"""
        self.service = BatchService(
            engine=self.queue,
            records=records,
            fleet_records=FleetRecords(database=database),
            spool=self.spool,
            files=Holdings(spool=self.spool, records=HoldingRecords(database=database)),
            logs=self.logs,
            clouds=fleet,
            people=accounts,
            clock=clock,
            bell=bell,
        )
        create_notices(database)
        self.draining = Draining(database=database, clouds=fleet, clock=clock)
        self.usage = UsageRecords(database=database)
        self.ledger = Ledger(
            records=FleetRecords(database=database),
            people=accounts,
            prices=Prices(of={}),
            budgets={"galaxies": 100.0},
            clock=clock,
        )
        self.reports = Reports(
            usage=self.usage,
            outbox=Outbox(database=database),
            secret=b"secret",
            records=records,
            people=accounts,
        )
        self._fleet_records = FleetRecords(database=database)
        self._register = Register(database=database, clock=clock, terms=terms)
        self._clock = clock
        self._agents = AgentService(
            queue=self.queue,
            register=self._register,
            leases=Leases(database=database, clock=clock, terms=terms),
            checkpoints=Checkpoints(database=database, clock=clock),
            spool=self.spool,
            logs=self.logs,
            bell=bell,
            credentials=None,
            terms=terms,
        )

    def do_job(
        self,
        *,
        output: bytes = b"",
        files: Mapping[str, bytes] | None = None,
        exit_code: int = 0,
        fault: tuple[str, str] | None = None,
        usage: Mapping[str, float] | None = None,
    ) -> None:
        """Have a worker on `east` take the oldest waiting job and end it, or give it up for a fault."""
        [demand] = self.queue.demand()
        worker = WorkerId(f"w-{new_uuid()[:8]}")
        self._fleet_records.plan(
            Machine(
                id=worker,
                group=demand.group,
                cloud=CloudName("east"),
                project_name="galaxies",
                vcpus=2,
                size=Resources(cpus=2, memory_mib=2048, disk_kib=2**20),
                state=MachineState.BOOTING,
                created_at=self._clock.now(),
            )
        )
        token = self._register.invite(worker, demand.group)
        server = ServerId(new_uuid())
        self._register.expect(worker, server)
        size = Resources(cpus=1, memory_mib=1024, disk_kib=2**20)
        _, key = self._register.register(
            token, server_id=server, image=demand.group.image, whole=size, version="test"
        )
        session = self._agents.session(key)
        [job] = self._agents.claim(session, size).jobs
        lease = job.leased.key
        self._agents.renew(session, [lease])
        self._agents.log(session, lease, "stdout", offset=0, data=output)
        brought = [self._bring(session, lease, name, content) for name, content in (files or {}).items()]
        result = (
            Result(error=Fault(code=fault[0], message=fault[1])) if fault else Result(exit_code=exit_code)
        )
        self._agents.finish(session, lease, result, usage=dict(usage or {}), outputs=brought)

    def _bring(self, session: Session, lease: LeaseKey, name: str, content: bytes) -> OutputRef:
        with self._agents.output(session, lease, name) as writer:
            writer.write(content)
            blob = writer.commit()
        output = OutputRef(name=name, sha256=blob.sha256, size=blob.size)
        self._agents.add_output(session, lease, output)
        return output
