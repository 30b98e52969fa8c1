"""One platform for the tests of the whole path: the demo is run once, and the platform that it leaves is used on."""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from armillary.cli.rows import job_row
from armillary.client.batch import Batch
from armillary.client.http import Armillary
from ports import free_port

TWO_CLOUDS = {"east": "127.26.0.0/24", "west": "127.27.0.0/24"}
"""Clouds with the ranges of their floating IPs."""


class Golden:
    """A platform in a home of its own, with the demo's people and machines."""

    def __init__(self, home: Path, clouds: Mapping[str, str] = TWO_CLOUDS) -> None:
        self.home = home
        https, http, *ports = (free_port() for _ in range(2 + len(clouds)))
        home.mkdir(parents=True)
        self.settings: dict[str, Any] = {
            "https_port": https,
            "http_port": http,
            "batch": {"idle_seconds": 600},
            "clouds": [
                {"name": name, "port": port, "floating_cidr": cidr}
                for (name, cidr), port in zip(clouds.items(), ports, strict=True)
            ],
        }
        self.configure()
        self.report_file = home / "demo.json"
        self.vospace = f"localhost:{https}"
        self.password = ""
        self.work = home / "test-work"
        self.work.mkdir()

    def configure(self, **changed: Any) -> None:
        """Change settings; the platform reads them at its next start."""
        self.settings |= changed
        (self.home / "armillary.toml").write_text(tomli_w.dumps(self.settings))

    @property
    def clouds_file(self) -> Path:
        """How the stock clients reach the embedded clouds with all rights."""
        return self.home / "fleet" / "clouds.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """The operator's: whoever runs the platform."""
        return {
            **os.environ,
            "ARMILLARY_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
        }

    @property
    def astronomers(self) -> dict[str, str]:
        """The demo astronomer's: their own home, and the platform's address."""
        return self._of(self.home / "demo" / "home")

    @property
    def administrators(self) -> dict[str, str]:
        """The demo administrator's."""
        return self._of(self.home / "demo" / "admin")

    def _of(self, user: Path) -> dict[str, str]:
        running = self.running()
        return {
            **self.environment,
            "HOME": str(user),
            "XDG_CONFIG_HOME": str(user / ".config"),
            "ARMILLARY_URL": running["url"],
            "ARMILLARY_CA": running["ca_file"],
            "VOSPACE_WEBSERVICE": self.vospace,
            "OS_CLOUD": "east",
        }

    def demo(self) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "armillary.app.main", "demo", "--json", str(self.report_file)],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:] + self.log()
        self.said = done.stdout
        return json.loads(self.report_file.read_text())

    def running(self) -> dict[str, Any]:
        return json.loads((self.home / "run.json").read_text())

    def log(self) -> str:
        file = self.home / "armillary.log"
        return "\n--- armillary.log ---\n" + (file.read_text()[-6000:] if file.exists() else "(none)")

    def operate(self, *arguments: str) -> str:
        return self._run([sys.executable, "-m", "armillary.app.main", *arguments], self.environment)

    def run(self, *command: str) -> str:
        return self._run(list(command), self.astronomers)

    def administer(self, *command: str) -> str:
        return self._run(list(command), self.administrators)

    def json(self, *command: str) -> Any:
        return json.loads(self.run(*command, "--json"))

    def as_operator(self, cloud: str, *command: str) -> Any:
        """Run a stock `openstack` command that prints something, with all rights on an embedded cloud."""
        return json.loads(self._as_operator(cloud, *command, "-f", "json"))

    def _as_operator(self, cloud: str, *command: str) -> str:
        mine = {"OS_CLIENT_CONFIG_FILE": str(self.clouds_file), "OS_CLOUD": cloud}
        return self._run(["openstack", *command], {**self.environment, **mine})

    def openstack(self, *command: str) -> Any:
        """Run a stock `openstack` command that prints something, as the astronomer on the first cloud."""
        return json.loads(self.run("openstack", *command, "-f", "json"))

    def inside(
        self, script: str, *, within: float = 180, at: Sequence[str] = (), given: str | Path = os.devnull
    ) -> str:
        """Run a script in the demo's machine, or in the one that ssh finds `at`, as soon as it lets us in; it reads what is `given`."""
        ssh = next(line for line in self.said.splitlines() if line.startswith("Machine")).split()[1:]
        ssh = [*ssh[:3], *at] if at else ssh  # the same key opens all of them
        options = [f"-o{each}" for each in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
                   "LogLevel=ERROR", "ConnectTimeout=10", "ServerAliveInterval=5")]  # fmt: skip
        end = time.monotonic() + within
        while True:
            with Path(given).open("rb") as stdin:
                done = subprocess.run(
                    [ssh[0], *options, *ssh[1:], script], stdin=stdin,
                    env=self.astronomers, capture_output=True, text=True, timeout=300, check=False,
                )  # fmt: skip
            if done.returncode != 255 or time.monotonic() > end:  # 255: ssh itself failed
                assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}{self.log()}"
                return done.stdout.strip()
            time.sleep(1)

    def _run(self, command: list[str], environment: dict[str, str]) -> str:
        done = subprocess.run(
            command, env=environment, cwd=self.work, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def typed(self, environment: dict[str, str], secret: str, *command: str) -> str:
        """Run a command that reads a password."""
        done = subprocess.run(
            command, input=secret + "\n", env=environment, cwd=self.work, text=True, capture_output=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return done.stdout

    def settle(self, *, project: str, batch_cores: int) -> None:
        """Start without the demo, and have the astronomer register and be approved."""
        started = json.loads(self.operate("up", "--json"))
        for home in ("home", "admin"):
            (self.home / "demo" / home).mkdir(parents=True)
        login, password = ("armillary", "login", "--password-stdin"), "another secret than the demo's"
        self.typed(
            self.astronomers, password, "armillary", "register", "astro", "--name", "An Astronomer", "--email",
            "astro@example.org", "--institute", "Elsewhere", "--project", project, "--cores", "2", "--ram", "8GiB",
            "--disk", "50GiB", "--storage", "5GiB", "--batch-cores", str(batch_cores), "--reason", "To see it for myself",
            "--password-stdin",
        )  # fmt: skip
        self.typed(self.administrators, started["admin_password"], *login, "admin")
        (application,) = json.loads(self.administer("armillary", "admin", "applications", "--json"))
        self.administer("armillary", "admin", "approve", application["id"])
        self.typed(self.astronomers, password, *login, "astro")

    def publish(self, name: str, disk: Path, *, cloud: str) -> None:
        """Give everybody an image on an embedded cloud."""
        self.as_operator(
            cloud, "image", "create", name, "--public", "--disk-format", "qcow2", "--container-format", "bare",
            "--file", str(disk),
        )  # fmt: skip

    def submit(self, script: str, *, count: int) -> int:
        """Submit `count` jobs of a shell script that is given its number."""
        (self.work / "job.sh").write_text(f"#!/bin/sh\n{script}\n")
        (self.work / "job.sub").write_text(
            "executable = job.sh\narguments = $(Process)\noutput = $(Cluster).$(Process).out\n"
            "error = $(Cluster).$(Process).err\nrequest_cpus = 1\nrequest_memory = 256M\n"
            f"request_disk = 50M\nqueue {count}\n"
        )
        told = self.json("armillary", "submit", "job.sub", "--image", "my-snapshot", "--flavor", "c2-2gb-10")
        return int(told["cluster"])

    def jobs(self, cluster: int) -> list[dict[str, Any]]:
        return self.json("armillary", "jobs", str(cluster))

    def wait(self, cluster: int, wanted: Any, *, seconds: float = 900) -> list[dict[str, Any]]:
        """Wait until `wanted(jobs)` holds, and return these jobs as `jobs` does.

        They are asked for at each event, by no new process: those would take the processor from machines that boot.
        """
        end, after = time.monotonic() + seconds, 0
        with self._as_astronomer() as batch:
            while not wanted(jobs := [job_row(job) for job in batch.jobs(cluster=cluster)]):
                assert time.monotonic() < end, f"{jobs}{self.log()}"
                after = batch.events(cluster, after=after, wait=10)["next"]
                time.sleep(0.5)  # what comes together is looked at together
        return jobs

    def end_workers(self, cloud: str) -> None:
        """Take the workers of an embedded cloud away, as its operator may."""
        for worker in self.json("armillary", "workers"):
            if worker["cloud"] == cloud:
                self._as_operator(cloud, "server", "delete", worker["server_id"])
        self.until_no_workers(seconds=300, cloud=cloud)

    def until_no_workers(self, *, seconds: float, cloud: str | None = None) -> None:
        """Wait until all workers are gone, or those on one cloud."""
        end = time.monotonic() + seconds
        with self._as_astronomer() as batch:
            while left := [one for one in batch.workers() if cloud in {None, one["cloud"]}]:
                assert time.monotonic() < end, f"{left}{self.log()}"
                time.sleep(1)

    @contextmanager
    def _as_astronomer(self) -> Iterator[Batch]:
        mine = tomllib.loads((self.home / "demo/home/.config/armillary/config.toml").read_text())
        running = self.running()
        with Armillary(url=running["url"], token=mine["token"], ca_file=running["ca_file"]) as http:
            yield Batch(http=http)

    def close(self) -> None:
        self.operate("down", "--machines")
        shutil.rmtree(self.home, ignore_errors=True)


def all_completed(jobs: list[dict[str, Any]]) -> bool:
    return all(job["state"] == "completed" for job in jobs)


def process_of_machine(server: str) -> int:
    """The QEMU process that runs a server, by the name in its command line."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"qemu-system" in words and f"guest={server}".encode() in words:
                return int(folder.name)
    raise AssertionError(f"no process runs {server}")


def is_alive(process: int) -> bool:
    """Whether a process still does something: one that ended and that nobody has asked for yet has no words."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except FileNotFoundError:
        return False
