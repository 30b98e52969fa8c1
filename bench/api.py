"""How long the OpenStack calls that everybody makes take, with a real OpenStack as the peer, in the same run.

    .venv/bin/python bench/api.py [--calls 50] [--peer-openrc FILE [--peer-root DIR]]

Starts a platform of its own on the fake engine, puts 50 servers on it (and on the peer, as the administrator of FILE), and
calls both in turns, one connection to a call, as command-line clients do. Prints p50 and p99 in milliseconds, and
the peer's p50 over ours. DIR is the root directory that the peer's processes have, if it lives in a chroot: their
memory is then counted too (proportional set sizes). What was made on the peer is deleted at the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from armillary.app.interop.target import Target, own_platform

SERVERS = 50
BOOTS = 10
AIMS = {"token issue": 4}
AIM = 10
console = Console(width=120)


class Cloud:
    """A cloud, and the little of its API that is measured."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self._target = target
        self._token = ""
        self._services: dict[str, str] = {}
        self.times: dict[str, list[float]] = {}
        self.sign_in()

    def call(self, method: str, url: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        sent = {
            "Connection": "close",
            "Content-Type": "application/json",
            "X-Auth-Token": self._token,
            **(headers or {}),
        }
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise SystemExit(f"{self.name}: {method} {url}: {answer.status} {data[:400]!r}")
        return answer, json.loads(data) if data and "json" in answer.headers.get("Content-Type", "") else None

    def sign_in(self) -> None:
        asked = self._target
        domain = {"name": asked.domain}
        user = {"name": asked.user, "password": asked.password, "domain": domain}
        scope = {"project": {"name": asked.project, "domain": domain}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        answer, body = self.call("POST", f"{asked.auth_url}/auth/tokens", {"auth": auth})
        self._token = answer.headers["X-Subject-Token"]
        self.project = body["token"]["project"]["id"]
        for service in body["token"]["catalog"]:
            for endpoint in service["endpoints"]:
                if endpoint["interface"] == "public":
                    self._services[service["type"]] = endpoint["url"].rstrip("/")

    def url(self, service: str, path: str) -> str:
        return self._services[service].removesuffix("/v2.0").removesuffix("/v2") + path

    def validate(self) -> None:
        self.call("GET", f"{self._target.auth_url}/auth/tokens", headers={"X-Subject-Token": self._token})

    def get(self, service: str, path: str) -> Any:
        return self.call("GET", self.url(service, path))[1]

    def prepare(self) -> None:
        no_bounds = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
        self.call("PUT", self.url("compute", f"/os-quota-sets/{self.project}"), no_bounds)
        images = self.get("image", "/v2/images")["images"]
        if not images:
            headers = {"Content-Type": "application/json"}
            made = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
            image = self.call("POST", self.url("image", "/v2/images"), made, headers=headers)[1]
            upload = self.url("image", f"/v2/images/{image['id']}/file")
            self._put_bytes(upload, bytes(512))
            images = [image]
        self.image = next(i["id"] for i in images if i.get("status", "active") in {"active", "queued"})
        flavors = self.get("compute", "/flavors/detail")["flavors"]
        self.flavor = min(flavors, key=lambda f: (f["ram"], f["disk"]))["id"]
        self.made = [self.create() for _ in range(SERVERS)]
        for server in self.made:
            self.wait(server)

    def _put_bytes(self, url: str, data: bytes) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        connection.request(
            "PUT", parts.path, data, {"Content-Type": "application/octet-stream", "X-Auth-Token": self._token}
        )
        answer = connection.getresponse()
        if answer.status >= 400:
            raise SystemExit(f"{self.name}: the image could not be uploaded: {answer.read()[:300]!r}")
        connection.close()

    def create(self) -> str:
        server = {"name": "bench", "flavorRef": self.flavor, "imageRef": self.image, "networks": "none"}
        headers = {"OpenStack-API-Version": "compute 2.37"}
        return self.call("POST", self.url("compute", "/servers"), {"server": server}, headers=headers)[1][
            "server"
        ]["id"]

    def wait(self, server: str) -> None:
        while True:
            status = self.get("compute", f"/servers/{server}")["server"]["status"]
            if status == "ACTIVE":
                return
            if status == "ERROR":
                raise SystemExit(f"{self.name}: server {server} is in ERROR")
            time.sleep(0.02)

    def delete(self, server: str) -> None:
        self.call("DELETE", self.url("compute", f"/servers/{server}"))

    def measure(self, what: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = call()
        self.times.setdefault(what, []).append((time.perf_counter() - began) * 1000)
        return result

    def round(self) -> None:
        """Each call once."""
        self.measure("token issue", self.sign_in)
        self.measure("token validation", self.validate)
        self.measure("server list (50)", lambda: self.get("compute", "/servers/detail?limit=50"))
        self.measure("server show", lambda: self.get("compute", f"/servers/{self.made[0]}"))
        self.measure("image list", lambda: self.get("image", "/v2/images"))
        self.measure("network list", lambda: self.get("network", "/v2.0/networks"))
        self.measure("port list", lambda: self.get("network", "/v2.0/ports"))

    def boots(self) -> None:
        """One server, to 202 and to ACTIVE."""
        began = time.perf_counter()
        server = self.measure("server create, accepted", self.create)
        self.wait(server)
        self.times.setdefault("server create, ACTIVE", []).append((time.perf_counter() - began) * 1000)
        self.delete(server)


def openrc(file: Path) -> Target:
    """Read the `export NAME=value …` lines of an openrc file."""
    words = dict(
        word.split("=", 1) for line in file.read_text().splitlines() for word in line.split() if "=" in word
    )
    return Target(
        auth_url=words["OS_AUTH_URL"], region=words.get("OS_REGION_NAME", ""), user=words["OS_USERNAME"],
        password=words["OS_PASSWORD"], project=words["OS_PROJECT_NAME"],
    )  # fmt: skip


def resident(processes: list[Path]) -> float:
    """Proportional set size of processes, in MiB."""
    total = 0
    for process in processes:
        try:
            lines = (process / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def ours_processes(home_hint: str) -> list[Path]:
    return [p for p in Path("/proc").glob("[0-9]*") if home_hint in _environment(p)]


def _environment(process: Path) -> str:
    try:
        return (process / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def rooted(root: Path) -> list[Path]:
    found: list[Path] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "root").readlink() == root:
                found.append(process)
        except OSError:
            continue
    return found


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=50, help="of each kind (50)")
    parser.add_argument("--peer-openrc", type=Path, help="how an administrator signs in at a real OpenStack")
    parser.add_argument("--peer-root", type=Path, help="root directory of the peer's processes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs, own_platform("fake", keep_log=Path(logs) / "log") as target:
        ours = Cloud("armillary", target)
        peer = Cloud("peer", openrc(options.peer_openrc)) if options.peer_openrc else None
        clouds = [ours, *([peer] if peer else [])]
        for cloud in clouds:
            cloud.prepare()
        for _ in range(options.calls):
            for cloud in clouds:
                cloud.round()
        for _ in range(BOOTS):
            for cloud in clouds:
                cloud.boots()
        ours_mib = resident(ours_processes("armillary-judged-"))
        peer_mib = resident(rooted(options.peer_root)) if peer and options.peer_root else 0.0
        if peer:
            for server in peer.made:
                peer.delete(server)
    table = Table("call", "p50 ms", "p99 ms", "peer p50", "peer p99", "times faster", "aim")
    for what, mine in ours.times.items():
        theirs = peer.times[what] if peer else []
        median, other = statistics.median(mine), statistics.median(theirs) if theirs else 0.0
        table.add_row(
            what, f"{median:.1f}", f"{p99(mine):.1f}", f"{other:.1f}" if theirs else "-",
            f"{p99(theirs):.1f}" if theirs else "-", f"{other / median:.1f}" if theirs else "-",
            f"{AIMS.get(what, AIM)}",
        )  # fmt: skip
    table.add_row(
        "resident memory, MiB", f"{ours_mib:.0f}", "", f"{peer_mib:.0f}" if peer_mib else "-", "",
        f"{peer_mib / ours_mib:.1f}" if peer_mib else "-", "20",
    )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
