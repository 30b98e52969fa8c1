"""How fast the embedded queue is, with its peers in the same run: jobs of `/bin/true` on two slots, over TLS.

    .venv/bin/python bench/batch.py [--jobs 1000] [--agents 1000] [--peers PYTHON]

Every step of ours is on disk before it is answered. An agent of this bench does what a worker's does for a job that
brings nothing, by the same calls over the same connections: take it, run it, tell its end and take the next one.
PYTHON is an interpreter that has the packages
`hyperqueue` and `distributed`; what is not there is left out. Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import secrets
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from armillary.guest.agent.server import Server

HERE = Path(__file__).parent
FREE = {"cpus": 1, "memory_mib": 1024, "disk_kib": 2**20}
SUBMIT = {"project": "galaxies", "image": "my-snapshot", "flavor": "c2-2gb-10"}
COMMON = {"executable": "/bin/true", "transfer_executable": False, "request_memory_mib": 64}
HTCONDOR, SLURM = 1.8, 4.05
"""jobs per second on two slots of a 2-core machine, measured once: they need a root of their own each"""


class Service:
    """The batch service, and one connection to it."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        assert process.stdin
        assert process.stdout
        self._orders, self._answers = process.stdin, process.stdout
        self.port = int(self._answers.readline())
        self.ca = folder / "ca.pem"
        self._line = connect(self.port, self.ca)

    def order(self, name: str, value: Any = None) -> Any:
        self._orders.write(json.dumps({name: value}) + "\n")
        self._orders.flush()
        return json.loads(self._answers.readline())

    def submit(self, jobs: int) -> float:
        """Submit jobs over HTTPS; returns how long it took, the body made before."""
        specs = [{"proc": n, "arguments": [str(n)]} for n in range(jobs)]
        body = json.dumps({**SUBMIT, "common": COMMON, "jobs": specs})
        before = time.perf_counter()
        answer = call(self._line, "/api/v1/batch/clusters", body, "ada")
        assert answer["jobs"] == jobs, answer
        return time.perf_counter() - before


def connect(port: int, ca: Path) -> HTTPSConnection:
    return HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=str(ca)))


def call(line: HTTPSConnection, path: str, body: str, key: str) -> Any:
    line.request("POST", path, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    return json.loads(line.getresponse().read())


@contextmanager
def a_service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, str(HERE / "batch_service.py"), name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            service = Service(process, Path(name))
            yield service
            assert process.stdin
            process.stdin.close()
            process.wait()


def slot(port: int, ca: Path, key: str, start: Barrier) -> None:
    """Be a worker of one slot, in a process of its own, until there is no more work."""
    platform = Server(url=f"https://localhost:{port}", ca_pem=ca.read_text())
    platform.session_key = key
    platform.call("renew", {"items": []})  # connected
    start.wait()
    jobs = platform.call("claim", {"free": FREE, "call": secrets.token_hex(32)})["jobs"]
    while jobs:
        job = jobs.pop()
        pid = os.posix_spawn(job["spec"]["executable"], [job["spec"]["executable"]], {})
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        lease = {name: job[name] for name in ("job", "attempt", "lease_secret")}
        end = {**lease, "exit_code": code, "usage": {"wall_seconds": 0.0}}
        jobs += platform.call("finish", {**end, "free": FREE, "call": secrets.token_hex(32)})["jobs"]


def throughput(service: Service, jobs: int) -> float:
    """Return jobs per second on two slots."""
    service.submit(jobs)
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    keys = service.order("enrol", 2)
    slots = [spawn.Process(target=slot, args=(service.port, service.ca, key, start)) for key in keys]
    for process in slots:
        process.start()
    start.wait()
    before = time.perf_counter()
    for process in slots:
        process.join()
    return jobs / (time.perf_counter() - before)


def first_job(service: Service) -> float:
    """Return how long after its submit a job is in the hands of a worker that waits for work."""
    (key,) = service.order("enrol", 1)
    line = connect(service.port, service.ca)
    line.connect()
    head = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    line.request("POST", "/agent/v1/claim", json.dumps({"free": FREE}), head)
    time.sleep(0.3)  # the worker waits
    before = time.perf_counter()
    service.submit(1)
    (job,) = json.loads(line.getresponse().read())["jobs"]
    taken = time.perf_counter() - before
    lease = {name: job[name] for name in ("job", "attempt", "lease_secret")}
    call(line, "/agent/v1/finish", json.dumps({**lease, "exit_code": 0}), key)
    return taken


async def many_agents(service: Service, agents: int, seconds: float) -> list[float]:
    """Have many agents, one TLS connection each, take and end jobs now and then; returns the claims' seconds."""
    keys = service.order("enrol", agents)
    context = ssl.create_default_context(cafile=str(service.ca))
    times: list[float] = []
    begun = asyncio.Semaphore(20)
    until = time.perf_counter() + 3600

    async def ask(reader: Any, writer: Any, path: str, key: str, body: dict[str, Any]) -> Any:
        sent = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        writer.write(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        answer = await reader.readuntil(b"\r\n\r\n")
        (length,) = [int(x[15:]) for x in answer.lower().split(b"\r\n") if x.startswith(b"content-length:")]
        return json.loads(await reader.readexactly(length))

    async def agent(number: int, key: str) -> None:
        async with begun:
            reader, writer = await asyncio.open_connection("localhost", service.port, ssl=context)
        await connected.wait()
        # each at a moment of its own: a job of some minutes on a thousand workers ends every tenth of a second
        await asyncio.sleep(seconds * number / agents)
        if time.perf_counter() < until:
            before = time.perf_counter()
            answer = await ask(reader, writer, "/agent/v1/claim", key, {"free": FREE})
            times.append(time.perf_counter() - before)
            for job in answer["jobs"]:
                lease = {name: job[name] for name in ("job", "attempt", "lease_secret")}
                await ask(reader, writer, "/agent/v1/renew", key, {"items": [lease]})
                await ask(reader, writer, "/agent/v1/finish", key, {**lease, "exit_code": 0})
        writer.close()

    connected = asyncio.Barrier(agents)
    await asyncio.gather(*(agent(number, key) for number, key in enumerate(keys)))
    return times


def peer(python: str, name: str, jobs: int) -> dict[str, float] | None:
    """Run a peer; None if it is not there."""
    done = subprocess.run(
        [python, str(HERE / "batch_peers.py"), name, str(jobs)], capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--jobs", type=int, default=1000)
    words.add_argument("--agents", type=int, default=1000)
    words.add_argument("--queued", type=int, default=100_000)
    words.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    options = words.parse_args()
    found: dict[str, float] = {}
    with a_service() as service:
        idle = service.order("memory")
        throughput(service, 50)  # to warm up
        found["jobs_per_second"] = throughput(service, options.jobs)
        found["first_job_seconds"] = statistics.median(first_job(service) for _ in range(5))
        before = time.perf_counter()
        for _ in range(100):
            service.submit(1)
        found["submits_per_second"] = 100 / (time.perf_counter() - before)
        found["submit_10k_seconds"] = service.submit(10_000)
        found["rss_idle_mib"] = idle
        if options.queued > 10_000:
            found["submit_100k_seconds"] = service.submit(options.queued)
        found["rss_queued_mib"] = service.order("memory")
        found["jobs_per_second_behind_queue"] = throughput_behind(service)
        claims = sorted(asyncio.run(many_agents(service, options.agents, 10)))
        found["claim_p50_ms"] = claims[len(claims) // 2] * 1000
        found["claim_p99_ms"] = claims[int(len(claims) * 0.99)] * 1000
    peers = {name: peer(options.peers, name, options.jobs) for name in ("hyperqueue", "dask", "xargs")}
    show(found, peers, options)


def throughput_behind(service: Service) -> float:
    """Return jobs per second of one slot for two seconds, while a hundred thousand wait."""
    (key,) = service.order("enrol", 1)
    line = connect(service.port, service.ca)
    jobs = call(line, "/agent/v1/claim", json.dumps({"free": FREE}), key)["jobs"]
    done, before = 0, time.perf_counter()
    while time.perf_counter() - before < 2:
        lease = {name: jobs[0][name] for name in ("job", "attempt", "lease_secret")}
        body = {**lease, "exit_code": 0, "free": FREE}
        jobs = call(line, "/agent/v1/finish", json.dumps(body), key)["jobs"]
        done += 1
    return done / (time.perf_counter() - before)


def show(found: dict[str, float], peers: dict[str, dict[str, float] | None], options: Any) -> None:
    ours = found["jobs_per_second"]
    table = Table("system", "jobs/s on 2 slots", "ours / theirs", "submit of all (s)", "memory (MiB)")
    table.add_row("armillary (TLS, on disk)", f"{ours:.0f}", "1", "", f"{found['rss_idle_mib']:.0f}")
    for name, figures in peers.items():
        if figures is None:
            continue
        rate = options.jobs / figures["seconds"]
        sent, memory = figures.get("submit_seconds"), figures.get("rss_mib")
        table.add_row(
            name,
            f"{rate:.0f}",
            f"{ours / rate:.2f}",
            f"{sent:.3f}" if sent else "",
            f"{memory:.0f}" if memory else "",
        )
    for name, rate in (("HTCondor 23.9 (measured once)", HTCONDOR), ("Slurm 22.05 (measured once)", SLURM)):
        table.add_row(name, f"{rate:.1f}", f"{ours / rate:.0f}", "", "")
    console = Console(width=110)
    console.print(table)
    aims = Table("figure", "measured", "aim")
    for figure, aim in (
        ("first_job_seconds", "< 1"),
        ("submits_per_second", ""),
        ("submit_10k_seconds", "< 0.5"),
        ("submit_100k_seconds", ""),
        ("rss_queued_mib", ""),
        ("jobs_per_second_behind_queue", ""),
        ("claim_p50_ms", ""),
        ("claim_p99_ms", "< 50"),
    ):
        if figure in found:
            aims.add_row(figure, f"{found[figure]:.3f}", aim)
    console.print(aims)
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
