"""How fast bytes come and go, with nginx as the peer, in the same run.

    .venv/bin/python bench/vospace.py [--quick] [--rounds 5] [--size MiB] [--only WORD …] [--json FILE]

Starts a platform of its own, and an nginx with its DAV module beside it (Debian: nginx-light, wrk, curl), both with
the same certificate, and asks both in turns, with TLS and without: GET and PUT of 1 GiB by curl (ours with a checksum
that is verified, and on the disk before it answers; nginx does neither), requests of 10 kB by wrk, 1,000 readers at
once. Then, of ours alone: the stock `vsync` with 300 small files, a listing of 100,000 children, and the memory that
all of it took. Prints medians, and ours over nginx's. --quick: smaller and shorter, to see that it runs.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from servers_measured import Server, family, nginx
from sqlalchemy import insert

from armillary.accounts.model import Allocation, Role, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore
from armillary.app import daemon, instance
from armillary.app.database import make_engine
from armillary.app.settings import load_settings
from armillary.base.clock import SystemClock
from armillary.base.units import GiB, MiB
from armillary.vospace.store.tables import nodes

console = Console(width=130)
CHILDREN = 100_000
AIMS = {"GET": 0.9, "PUT": 0.8}


@contextlib.contextmanager
def platform(home: Path) -> Generator[tuple[Server, Path, str]]:
    """Run a platform with a person who has room; yields it, its certificate authority's folder, and a token."""
    (home / "armillary.toml").write_text(
        "https_port = 0\nhttp_port = 0\n[[clouds]]\nname = 'bench'\nport = 0\nengine = 'fake'\n"
        "floating_cidr = '127.31.0.0/24'\n"
    )
    os.environ["ARMILLARY_HOME"] = str(home)
    settings = load_settings()
    running, _ = daemon.start(settings)
    engine = make_engine(settings.records_url)
    try:
        accounts = AccountsService(store=AccountsStore(engine=engine), clock=SystemClock())
        figures = Allocation(cores=1, ram=MiB(1), disk=GiB(1), storage=GiB(500), batch_cores=0)
        project = accounts.create_project("bench", "", figures)
        person = accounts.create_person(user_name="bench")
        accounts.set_role(project.id, person.id, Role.MEMBER)
        token = accounts.issue_token(person.id, kind=TokenKind.API, lifetime=timedelta(hours=8)).secret
        server = Server(
            name="armillary",
            pids=lambda: family(running.pid),
            urls={
                "https": f"{running.url}/arc/files/home/bench",
                "http": f"{running.portal_url.rstrip('/')}/arc/files/home/bench",
            },
            headers=(f"Authorization: Bearer {token}",),
        )
        call(f"{running.url}/arc/nodes/home/bench?limit=0", token)  # makes the home
        yield server, home / "authority", token
    finally:
        engine.dispose()
        instance.stop(home)


def call(url: str, token: str, method: str = "GET", data: bytes | None = None) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"}, method=method)
    with urllib.request.urlopen(request, context=context) as answer:
        return answer.read()


def curl(server: Server, url: str, *words: str) -> float:
    """Return bytes a second."""
    headers = [word for header in server.headers for word in ("-H", header)]
    written = "%{speed_download} %{speed_upload} %{http_code}"
    done = subprocess.run(
        ["curl", "-sk", "--http1.1", "-o", "/dev/null", "-w", written, *headers, *words, url],
        check=True,
        capture_output=True,
        text=True,
    )
    down, up, code = done.stdout.split()
    if not code.startswith("2"):
        raise SystemExit(f"{server.name}: {url}: {code}")
    return max(float(down), float(up))


def wrk(server: Server, url: str, seconds: int, connections: int, script: str = "") -> tuple[float, int]:
    """Return requests a second, and how many went wrong."""
    headers = [word for header in server.headers for word in ("-H", header)]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        more = ["-s", lua.name] if script else []
        words = ["wrk", "-t", "2", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s"]
        said = subprocess.run([*words, *more, *headers, url], check=True, capture_output=True, text=True)
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", said.stdout)[0])
    wrong = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said.stdout)))
    errors = re.findall(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said.stdout)
    return rate, wrong + sum(int(count) for found in errors for count in found)


class Bench:
    """What was measured so far: by name and by server, one figure a round."""

    def __init__(self, servers: list[Server], arguments: argparse.Namespace) -> None:
        self.servers = servers
        self.rounds: int = arguments.rounds
        self.only: list[str] = arguments.only
        self.figures: dict[str, dict[str, list[float]]] = {}
        self.units: dict[str, str] = {}
        self.notes: dict[str, str] = {}

    def wanted(self, name: str) -> bool:
        return not self.only or any(word.lower() in name.lower() for word in self.only)

    def compare(self, name: str, unit: str, measure: Callable[[Server, str], float]) -> None:
        """Measure both servers in turns, with TLS and without."""
        for scheme in ("http", "https"):
            title = f"{name}, {'TLS' if scheme == 'https' else 'plain'}"
            if not self.wanted(title):
                continue
            self.units[title] = unit
            found = self.figures.setdefault(title, {})
            for server in self.servers:
                server.forget_peak()
            for _ in range(self.rounds):
                for server in self.servers:
                    found.setdefault(server.name, []).append(measure(server, server.urls[scheme]))
            self.notes[title] = f"{self.servers[0].peak()} MiB at most"
            console.print(f"[dim]{title}: {found}")

    def note(self, name: str, unit: str, figure: float, note: str) -> None:
        self.figures[name] = {self.servers[0].name: [figure]}
        self.units[name] = unit
        self.notes[name] = note

    def table(self) -> Table:
        ours, peer = (server.name for server in self.servers)
        table = Table("", "", ours, peer, "ratio", "", title="Medians")
        for name, found in self.figures.items():
            mine, theirs = (statistics.median(found.get(which, [0])) for which in (ours, peer))
            aim = AIMS.get(name.split()[0]) if "GiB" in self.units[name] + name else None
            ratio = f"{mine / theirs:.2f}" + (f" (aim {aim})" if aim else "") if theirs else ""
            shown = [f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in (mine, theirs)]
            table.add_row(
                name, self.units[name], shown[0], shown[1] if theirs else "", ratio, self.notes[name]
            )
        return table


def large_files(bench: Bench, folder: Path, size: int) -> None:
    source = folder / "large"
    block = os.urandom(1 << 20)
    with source.open("wb") as out:
        for _ in range(size):
            out.write(block)
    with source.open("rb") as data:
        md5 = base64.b64encode(hashlib.file_digest(data, "md5").digest()).decode()
    headers = ("-H", f"Digest: md5={md5}", "-H", "Expect:")
    for server in bench.servers:
        curl(server, server.urls["http"] + "/large", "-T", str(source), *headers)
    gib = 1 << 30

    def get(server: Server, url: str) -> float:
        return curl(server, f"{url}/large") / gib

    def put(server: Server, url: str) -> float:
        return curl(server, f"{url}/put", "-T", str(source), *headers) / gib

    what = "1 GiB" if size == 1024 else f"{size} MiB"
    bench.compare(f"GET {what}", "GiB/s", get)
    bench.compare(f"PUT {what}", "GiB/s", put)
    source.unlink()


def small_files(bench: Bench, folder: Path, seconds: int) -> None:
    source = folder / "small"
    source.write_bytes(os.urandom(10_000))
    for server in bench.servers:
        curl(server, server.urls["http"] + "/small", "-T", str(source))
    script = (
        'local n = 0\nlocal t = 0\nfunction setup(thread) thread:set("id", t) t = t + 1 end\n'
        "function request() n = n + 1 "
        'return wrk.format("PUT", wrk.path .. id .. "-" .. (n % 500), wrk.headers, string.rep("x", 10000)) end'
    )
    bench.compare("10 kB GET", "1/s", lambda server, url: wrk(server, f"{url}/small", seconds, 16)[0])
    bench.compare("10 kB PUT", "1/s", lambda server, url: wrk(server, f"{url}/n", seconds, 16, script)[0])


def many_readers(bench: Bench, folder: Path, seconds: int) -> None:
    source = folder / "readers"
    source.write_bytes(os.urandom(300_000))
    for server in bench.servers:
        curl(server, server.urls["http"] + "/readers", "-T", str(source))
    failed: dict[str, int] = {}

    def read(server: Server, url: str) -> float:
        rate, wrong = wrk(server, f"{url}/readers", seconds, 1000)
        failed[server.name] = failed.get(server.name, 0) + wrong
        return rate

    bench.compare("1,000 readers of 300 kB", "1/s", read)
    for name, note in bench.notes.items():
        if name.startswith("1,000"):
            bench.notes[name] = f"{note}; failed: {failed[bench.servers[0].name]}"


def make_container(server: Server, token: str, name: str) -> None:
    url = server.urls["https"].replace("/files/", "/nodes/")
    document = (
        '<n:node xmlns:n="http://www.ivoa.net/xml/VOSpace/v2.0" xmlns:x="http://www.w3.org/2001/XMLSchema-instance"'
        f' x:type="n:ContainerNode" uri="vos://cadc.nrc.ca!vault/home/bench/{name}"/>'
    )
    call(f"{url}/{name}", token, "PUT", document.encode())


def vsync(bench: Bench, folder: Path, token: str) -> None:
    if not bench.wanted("vsync"):
        return
    ours = bench.servers[0]
    (folder / "sync").mkdir()
    for number in range(300):
        (folder / "sync" / f"f{number}").write_bytes(os.urandom(10_000))
    host = ours.urls["https"].split("/")[2]
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LOCAL_VOSPACE_WEBSERVICE": host}
    program = str(Path(sys.executable).with_name("vsync"))
    make_container(ours, token, "sync")
    busy, began = ours.seconds_busy(), time.perf_counter()
    words = [program, "-k", "--token", token, "--nstreams", "5", "sync", "arc:home/bench/sync"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    busy = ours.seconds_busy() - busy
    if done.returncode:
        raise SystemExit(f"vsync: {done.stdout[-500:]}{done.stderr[-500:]}")
    bench.note(
        "vsync of 300 files of 10 kB",
        "files/s",
        300 / took,
        f"server busy {busy / took:.0%} of one processor",
    )


def listing(bench: Bench, home: Path, token: str, children: int) -> None:
    if not bench.wanted("listing"):
        return
    ours = bench.servers[0]
    base = ours.urls["https"].replace("/files/", "/nodes/")
    make_container(ours, token, "many")
    engine = make_engine(f"sqlite:///{home}/armillary.db")
    with engine.begin() as connection:
        parent = connection.execute(nodes.select().where(nodes.c.name == "many")).mappings().one()
        row = {**parent, "parent_id": parent["id"], "kind": "data", "length": 10}
        del row["id"]
        for start in range(0, children, 10_000):
            rows = [{**row, "name": f"child-{n:06}.fits"} for n in range(start, start + 10_000)]
            connection.execute(insert(nodes), rows)
    engine.dispose()
    ours.forget_peak()
    before, began = ours.peak(), time.perf_counter()
    found = call(f"{base}/many", token).count(b"child-")
    took = time.perf_counter() - began
    if found != children:
        raise SystemExit(f"{found} children were listed")
    bench.note(
        f"listing of {children:,} children", "nodes/s", children / took,
        f"{took:.1f} s; memory {before} -> {ours.peak()} MiB",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--size", type=int, default=0, help="MiB of the large file")
    parser.add_argument("--only", nargs="*", default=[], help="words of the measurements to do")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--folder", type=Path, help="where the files lie (a directory on the disk to measure)"
    )
    arguments = parser.parse_args()
    path = f"{os.environ['PATH']}:/usr/sbin"
    if missing := [program for program in ("nginx", "wrk", "curl") if not shutil.which(program, path=path)]:
        parser.error(f"{', '.join(missing)} missing: apt-get install nginx-light wrk curl")
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    size = arguments.size or (64 if arguments.quick else 1024)
    seconds = 1 if arguments.quick else 3
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder)))
        for name in ("home", "nginx"):
            (folder / name).mkdir()
        ours, authority, token = stack.enter_context(platform(folder / "home"))
        peer = stack.enter_context(nginx(folder / "nginx", authority))
        bench = Bench([ours, peer], arguments)
        large_files(bench, folder, size)
        small_files(bench, folder, seconds)
        many_readers(bench, folder, seconds * 2)
        vsync(bench, folder, token)
        listing(bench, folder / "home", token, 10_000 if arguments.quick else CHILDREN)
    console.print(bench.table())
    if arguments.json:
        said: dict[str, Any] = {
            name: {"unit": bench.units[name], "note": bench.notes[name], **found}
            for name, found in bench.figures.items()
        }
        arguments.json.write_text(json.dumps(said, indent=2) + "\n")


if __name__ == "__main__":
    main()
