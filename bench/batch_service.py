"""The batch service of bench/batch.py, in a process of its own: the real routes, records and TLS; clouds in memory.

Reads orders (one JSON object a line) and answers each with one.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

from armillary.accounts.api.errors import install_error_handlers
from armillary.accounts.certificates import Authority
from armillary.accounts.model import Allocation, Membership, Person, Principal, Project, Role
from armillary.app.collecting import collect_seldom
from armillary.app.database import make_engine
from armillary.app.front import Front
from armillary.app.tls import server_config
from armillary.base.bell import Bell
from armillary.base.clock import SystemClock
from armillary.base.ids import PersonId, ProjectId, WorkerId, new_hex
from armillary.base.units import GiB, MiB
from armillary.batch.agents import AgentService
from armillary.batch.api import agent_router, router, shortcuts
from armillary.batch.credentials import JobCredentials
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.engines.embedded.together import Together
from armillary.batch.holdings import Holdings
from armillary.batch.logs import LogFolder
from armillary.batch.model import Group, Resources
from armillary.batch.service import BatchService
from armillary.batch.spool import FolderSpool
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.holding_records import HoldingRecords
from armillary.batch.store.records import Records
from armillary.batch.store.tables import create_all
from armillary.fleet.fake import FakeCloud, fake_fleet

FLAVOR = "c2-2gb-10"
WHOLE = Resources(cpus=1, memory_mib=1024, disk_kib=2**20)


class OnePerson:
    """Ada and her project."""

    def __init__(self) -> None:
        now = SystemClock().now()
        allocation = Allocation(cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=4000)
        self.ada = Person(
            id=PersonId("a" * 32),
            user_name="ada",
            full_name="Ada",
            email="ada@example.org",
            institute="",
            is_admin=False,
            enabled=True,
            created_at=now,
        )
        self.galaxies = Project(
            id=ProjectId("b" * 32),
            name="galaxies",
            description="",
            allocation=allocation,
            enabled=True,
            created_at=now,
        )

    def person(self, _person_id: PersonId) -> Person:
        return self.ada

    def project(self, _project_id: ProjectId) -> Project:
        return self.galaxies

    def projects(self) -> Sequence[Project]:
        return [self.galaxies]

    def projects_of(self, _person_id: PersonId) -> Sequence[Membership]:
        return [Membership(person=self.ada, project=self.galaxies, role=Role.MEMBER)]

    def principal_of(self, _request: Request) -> Principal:
        return Principal(person=self.ada)


def serve(folder: Path) -> None:
    """Serve on a free port until standard input ends."""
    logging.disable()
    clock, people, bell = SystemClock(), OnePerson(), Bell()
    database = make_engine(f"sqlite:///{folder}/batch.db")
    create_all(database)
    terms = Terms(poll=timedelta(seconds=5))
    together = Together(database=database)
    queue = EmbeddedQueue(database=database, clock=clock, terms=terms)
    register = Register(database=database, clock=clock, terms=terms, together=together)
    spool, logs = FolderSpool(directory=folder / "spool"), LogFolder(directory=folder / "logs")
    authority = Authority(folder / "authority", clock)
    cloud = FakeCloud(name="east", clock=clock, cores=4000, number=16)
    image = cloud.add_image("my-snapshot", b"bytes of the machine", project=people.galaxies)
    assert image.sha512 is not None
    group = Group(people.galaxies.id, image.sha512, FLAVOR)
    service = BatchService(
        engine=queue,
        records=Records(database=database),
        fleet_records=FleetRecords(database=database),
        spool=spool,
        files=Holdings(spool=spool, records=HoldingRecords(database=database)),
        logs=logs,
        clouds=fake_fleet(clock=clock, clouds=[cloud]),
        people=people,
        clock=clock,
        bell=bell,
    )
    agents = AgentService(
        queue=queue,
        register=register,
        leases=Leases(database=database, clock=clock, terms=terms, together=together),
        checkpoints=Checkpoints(database=database, clock=clock),
        spool=spool,
        logs=logs,
        bell=bell,
        credentials=JobCredentials(
            people=people,
            issue_token=lambda _owner, _lifetime, _label: (new_hex(), new_hex()),
            revoke_token=lambda _owner, _reference: None,
            issue_certificate=lambda name, lifetime, of: authority.issue_client(
                name, lifetime, job=True, of=of
            ),
            vospace="localhost",
            clock=clock,
        ),
        terms=terms,
    )
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(router(service=service, authenticator=people))
    for_agents = agent_router(service=agents)
    app.include_router(for_agents)
    front = Front(app, [], shortcuts(for_agents, agents))
    certificate, key = authority.server_certificate(["localhost", "127.0.0.1"])
    collect_seldom()
    server = uvicorn.Server(server_config(front, "127.0.0.1", 0, certificate, key))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)

    def enrol(count: int) -> list[str]:
        keys: list[str] = []
        for _ in range(count):
            token = register.invite(WorkerId(new_hex()), group)
            answer = register.register(token, server_id=None, image=group.image, whole=WHOLE, version="")
            keys.append(answer[1])
        return keys

    def memory() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

    (folder / "ca.pem").write_bytes(authority.ca_pem)
    orders: dict[str, Any] = {"enrol": enrol, "memory": lambda _: memory()}
    print(json.dumps(server.servers[0].sockets[0].getsockname()[1]), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        ((name, value),) = order.items()
        print(json.dumps(orders[name](value)), flush=True)
    server.should_exit = True


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
