"""How many jobs a second the queue hands out and takes back, over HTTP on the loopback, every step on disk.

    python bench/batch_queue.py [JOBS] [AGENTS]

Each agent claims one job at a time and finishes it at once: what a queue of instant jobs costs. The anchors on a
2-core machine: HTCondor with file transfer 1.6 jobs/s, on a shared file system 7/s.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from datetime import timedelta
from http.client import HTTPConnection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from armillary.app.database import make_engine
from armillary.base.bell import Bell
from armillary.base.clock import SystemClock
from armillary.base.ids import PersonId, ProjectId, Sha512, WorkerId
from armillary.batch.agents import AgentService
from armillary.batch.api import agent_router
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.logs import LogFolder
from armillary.batch.model import Group, JobSpec, Resources, Submission
from armillary.batch.spool import FolderSpool
from armillary.batch.store.tables import create_all

GROUP = Group(ProjectId("p" * 32), Sha512("a" * 128), "c1")
ONE = {"cpus": 1, "memory_mib": 64, "disk_kib": 64}


def main(jobs: int, agents: int) -> None:
    logging.disable()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = make_engine(f"sqlite:///{folder}/batch.db")
        create_all(database)
        clock = SystemClock()
        queue = EmbeddedQueue(database=database, clock=clock)
        register = Register(database=database, clock=clock)
        service = AgentService(
            queue=queue,
            register=register,
            leases=Leases(database=database, clock=clock),
            checkpoints=Checkpoints(database=database, clock=clock),
            spool=FolderSpool(directory=folder / "spool"),
            logs=LogFolder(directory=folder / "logs"),
            bell=Bell(),
            terms=Terms(poll=timedelta(0)),
        )
        app = FastAPI()
        app.include_router(agent_router(service=service))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
        threading.Thread(target=server.run).start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        before = time.perf_counter()
        queue.submit(submission(jobs))
        submitted = time.perf_counter() - before
        keys = []
        for number in range(agents):
            token = register.invite(WorkerId(f"w{number}"), GROUP)
            whole = Resources(cpus=1, memory_mib=64, disk_kib=64)
            keys.append(
                register.register(token, server_id=None, image=GROUP.image, whole=whole, version="")[1]
            )
        spawn = multiprocessing.get_context("spawn")
        start = spawn.Barrier(agents + 1)
        processes = [spawn.Process(target=work, args=(port, key, start)) for key in keys]
        for process in processes:
            process.start()
        start.wait()
        before = time.perf_counter()
        for process in processes:
            process.join()
        seconds = time.perf_counter() - before
        server.should_exit = True
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        figures = {"jobs": jobs, "agents": agents, "submit_seconds": round(submitted, 3)}
        figures |= {
            "seconds": round(seconds, 3),
            "jobs_per_second": round(jobs / seconds, 1),
            "rss_mib": memory,
        }
        print(json.dumps(figures))


def submission(jobs: int) -> Submission:
    share = Resources(cpus=1, memory_mib=64, disk_kib=64)
    return Submission(
        group=GROUP,
        owner=PersonId("o" * 32),
        owner_name="ada",
        project_name="galaxies",
        image_name="image",
        batch_name=None,
        submit_text="",
        jobs=tuple(JobSpec(proc=n, resources=share, data={"executable": "/bin/true"}) for n in range(jobs)),
    )


def work(port: int, key: str, start: Barrier) -> None:
    """Be an agent, in a process of its own, until there is no more work."""
    connection = HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(name: str, body: dict[str, object]) -> dict[str, list[dict[str, object]]]:
        connection.request("POST", f"/agent/v1/{name}", json.dumps(body), headers)
        return json.loads(connection.getresponse().read())

    start.wait()
    while jobs := call("claim", {"free": ONE})["jobs"]:
        for job in jobs:
            lease = {field: job[field] for field in ("job", "attempt", "lease_secret")}
            call("finish", {**lease, "exit_code": 0})


if __name__ == "__main__":
    wanted = [int(word) for word in sys.argv[1:]]
    main(*(wanted + [1000, 2][len(wanted) :]))
