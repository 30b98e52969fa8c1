"""What each page of the portal costs the server, with many machines and jobs in the records.

    .venv/bin/python bench/portal.py [--servers 1000] [--jobs 100000] [--rounds 7] [--one-submit]
        [--cloud-port 5000 --horizon http://127.0.0.1:8765 --horizon-pid PID]

Runs the whole platform in an empty directory, its clouds on the fake engine, launches the machines through the OpenStack
API and submits the jobs (on hold) through the portal's own form. Prints for each page the median and the worst time from
request to last byte over loopback, in milliseconds, the processor time that the server's process spent on it (the cloud
and all loops included: they share the process), and how it stands to the cloud's own plain `GET /servers` of as many
machines in the same run. Exits with 1 if a page takes over 200 ms. With `--one-submit` all jobs are of one submit.

With `--horizon` the same is asked of an OpenStack Horizon that somebody runs beside, with our cloud's Keystone
(`http://127.0.0.1:PORT/identity/v3`) as its own. Its processor time is that of the processes below `--horizon-pid`, without
the cloud's.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table

MOST_MS = 200
AT_ONCE = 50
"""machines of one request, and thousands of jobs of one submit"""
SETTINGS = """\
https_port = 0
http_port = 0

[[clouds]]
name = "east"
port = 0
vcpus = 20000
ram_mib = 20000000
disk_gib = 200000
floating_cidr = "127.16.0.0/16"
engine = "fake"
"""
HORIZON = ("/project/", "/project/instances/", "/project/images/", "/project/networks/", "/project/volumes/")
"""Its overview and lists, of 20 machines a page."""
SERVE = """\
import json
from armillary.app.serve import run
from armillary.app.settings import load_settings

def ready(started):
    told = {"portal": started.instance.portal_url, "clouds": dict(started.instance.clouds)}
    print(json.dumps({**told, "password": started.admin_password}), flush=True)

run(load_settings(), ready)
"""
SUBMIT = "executable = count.sh\narguments = $(Process)\nhold = true\nqueue {jobs}\n"


class Visitor:
    """The administrator, in the portal and in the cloud."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.http = httpx2.Client(
            base_url=told["portal"], follow_redirects=True, timeout=300, trust_env=False
        )
        self._told = told
        self.post("/sign-in", user_name="admin", password=told["password"])
        self._open_cloud(told["clouds"]["east"])

    def post(self, path: str, **fields: Any) -> str:
        """Send a form of ours."""
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/sign-in"))
        assert token
        files = fields.pop("files", None)
        reply = self.http.post(path, data={"csrf": token.group(1), **fields}, files=files)
        assert reply.status_code == 200, f"{path}: {reply.status_code} {_problem(reply.text)}"
        return reply.text

    def get(self, path: str) -> str:
        """Read a page."""
        reply = self.http.get(path)
        assert reply.status_code == 200, f"{path}: {reply.status_code} {_problem(reply.text)}"
        return reply.text

    def _open_cloud(self, auth_url: str) -> None:
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        user = {"name": "admin", "domain": {"id": "default"}, "password": self._told["password"]}
        identity = {"methods": ["password"], "password": {"user": user}}
        reply = self.http.post(
            f"{auth_url}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
        )
        reply.raise_for_status()
        self._token = {"x-auth-token": reply.headers["x-subject-token"]}
        self._project = reply.json()["token"]["project"]["id"]
        self._root = auth_url.removesuffix("/identity/v3")

    def cloud(self, method: str, path: str, body: Any = None) -> Any:
        """Call the cloud."""
        reply = self.http.request(method, f"{self._root}{path}", json=body, headers=self._token)
        assert reply.is_success, f"{path}: {reply.status_code} {reply.text[:300]}"
        return reply.json() if reply.content else None

    def upload(self) -> str:
        """Put an image into the cloud; return its id."""
        described = {
            "name": "debian-12",
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "public",
            "os_admin_user": "debian",
        }
        image = self.cloud("POST", "/image/v2/images", described)["id"]
        headers = self._token | {"content-type": "application/octet-stream"}
        self.http.put(
            f"{self._root}/image/v2/images/{image}/file", content=b"disk", headers=headers
        ).raise_for_status()
        return str(image)

    def launch(self, image: str, servers: int) -> None:
        """Launch machines, and wait until all run."""
        wide = {"cores": -1, "ram": -1, "instances": -1, "server_group_members": -1}
        self.cloud("PUT", f"/compute/v2.1/os-quota-sets/{self._project}", {"quota_set": wide})
        flavors = self.cloud("GET", "/compute/v2.1/flavors")["flavors"]
        flavor = next(one["id"] for one in flavors if one["name"] == "c1-1gb-5")
        network = self.cloud("POST", "/network/v2.0/networks", {"network": {"name": "wide"}})["network"]["id"]
        subnet = {"network_id": network, "ip_version": 4, "cidr": "10.64.0.0/16"}
        self.cloud("POST", "/network/v2.0/subnets", {"subnet": subnet})
        self.cloud("PUT", f"/network/v2.0/quotas/{self._project}", {"quota": {"port": -1}})
        self.http.headers["openstack-api-version"] = "compute 2.37"
        for start in range(0, servers, AT_ONCE):
            wanted = {
                "name": f"machine-{start}",
                "imageRef": image,
                "flavorRef": flavor,
                "min_count": min(AT_ONCE, servers - start),
                "networks": [{"uuid": network}],
            }
            self.cloud("POST", "/compute/v2.1/servers", {"server": wanted})
        while len(self.cloud("GET", "/compute/v2.1/servers?status=ACTIVE&limit=1000")["servers"]) < min(
            servers, 1000
        ):
            time.sleep(1)

    def submit(self, jobs: int, *, at_once: int) -> None:
        """Queue jobs on hold."""
        image = re.search(r'value="([0-9a-f]{128})"', self.get("/jobs/submit"))
        assert image
        form = {"image": image.group(1), "flavor": "c2-2gb-10"}
        for start in range(0, jobs, at_once):
            text = SUBMIT.format(jobs=min(at_once, jobs - start))
            self.post(
                "/jobs/submit", **form, submit_text=text, files=[("files", ("count.sh", b"#!/bin/sh\n"))]
            )

    def link(self, page: str, pattern: str) -> str:
        """Find an address on a page."""
        for _ in range(60):  # lists of clouds are read beside the pages
            if found := re.search(f'href="({pattern})"', self.get(page)):
                break
            time.sleep(1)
        assert found, f"{page} has no {pattern}"
        return html.unescape(found.group(1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--one-submit", action="store_true")
    parser.add_argument("--cloud-port", type=int, default=0)
    parser.add_argument("--horizon", default="")
    parser.add_argument("--horizon-pid", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "armillary.toml").write_text(
            SETTINGS.replace('"east"\nport = 0', f'"east"\nport = {asked.cloud_port}')
        )
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            env={**os.environ, "ARMILLARY_HOME": directory},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout
            told = json.loads(process.stdout.readline())
            visitor = Visitor(told)
            visitor.launch(visitor.upload(), asked.servers)
            visitor.submit(asked.jobs, at_once=asked.jobs if asked.one_submit else AT_ONCE * 200)
            sizes = {"rounds": asked.rounds, "servers": asked.servers}
            slowest = measure(visitor, jobs=asked.jobs, process=process.pid, **sizes)
            if asked.horizon:
                measure_horizon(asked.horizon, told["password"], process=asked.horizon_pid, **sizes)
        finally:
            process.terminate()
            process.wait(timeout=60)
    sys.exit(slowest > MOST_MS)


def measure(visitor: Visitor, *, rounds: int, servers: int, jobs: int, process: int) -> float:
    """Print what each page takes; return the median of the slowest."""
    pages = [
        "/", "/machines", "/machines/table", visitor.link("/machines", r"/machines/east/[0-9a-f-]{36}"), "/machines/launch",
        "/images", "/volumes", "/networks", "/jobs", "/jobs/table", "/jobs/1", "/jobs/1/table", "/jobs/1/picture", "/jobs/1/5",
        "/jobs/1?text=count", "/jobs/1/picture?text=none", "/shares", "/shared",
        "/jobs/submit", "/workers", "/files/home/admin", "/groups", "/notices", "/keys", "/tokens", "/security", "/applications",
        "/admin", "/admin/people", "/admin/projects", "/admin/clouds", "/admin/usage", "/admin/trail",
    ]  # fmt: skip
    visitor.get("/files")  # makes the home
    plain = timed(lambda: visitor.cloud("GET", "/compute/v2.1/servers?limit=1000"), rounds)
    table = Table(title=f"{servers:,} machines, {jobs:,} jobs; milliseconds")
    for heading in ("page", "median", "worst", "processor", "× GET /servers"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    table.add_row("GET /servers of the cloud", f"{plain[0]:.0f}", f"{plain[1]:.0f}", "", "1")
    slowest = 0.0
    for page in pages:
        before = processor(process)
        median, worst = timed(lambda page=page: visitor.get(page), rounds)
        spent = (processor(process) - before) / (rounds + 1)
        shown = re.sub(r"[0-9a-f-]{36}", "…", page)
        mark = "[bold red]" if median > MOST_MS else ""
        table.add_row(
            shown, f"{mark}{median:.0f}", f"{worst:.0f}", f"{spent:.0f}", f"{median / plain[0]:.2f}"
        )
        slowest = max(slowest, median)
    Console(width=100).print(table)
    return slowest


def measure_horizon(url: str, password: str, *, process: int, servers: int, rounds: int) -> None:
    """Print what Horizon's pages take."""
    http = httpx2.Client(base_url=url, follow_redirects=True, timeout=300, trust_env=False)
    table = Table(title=f"Horizon, {servers:,} machines; milliseconds")
    for heading in ("page", "median", "worst", "processor"):
        table.add_column(heading, justify="left" if heading == "page" else "right")

    def sign_in() -> None:
        form = http.get("/auth/login/").text
        fields = dict(re.findall(r'name="(csrfmiddlewaretoken|region)" value="([^"]*)"', form))
        fields |= {"username": "admin", "password": password, "fake_email": "", "fake_password": ""}
        reply = http.post("/auth/login/", data=fields, headers={"referer": f"{url}/auth/login/"})
        assert reply.status_code == 200, reply.status_code
        assert reply.url.path == "/project/", reply.url

    def get(page: str) -> None:
        assert http.get(page).status_code == 200, page

    for page in ("sign in, to the overview", *HORIZON):
        before = processor(process)
        median, worst = timed(lambda page=page: get(page) if page in HORIZON else sign_in(), rounds)
        spent = (processor(process) - before) / (rounds + 1)
        table.add_row(page, f"{median:.0f}", f"{worst:.0f}", f"{spent:.0f}" if process else "")
    Console(width=100).print(table)


def processor(process: int) -> float:
    """Return the processor time that a process and those below it have spent, in milliseconds."""
    spent, parents = dict[int, float](), dict[int, int]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        number = int(path.parent.name)
        parents[number] = int(fields[1])
        spent[number] = (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    ours = {process}
    while more := {number for number, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(spent.get(number, 0) for number in ours)


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median and the worst of several rounds after a first one, in milliseconds."""
    work()
    taken: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), max(taken)


def _problem(page: str) -> str:
    found = re.search(r'class="problem".*?</div>', page, re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", " ", found.group(0)) if found else page[:300]


if __name__ == "__main__":
    main()
