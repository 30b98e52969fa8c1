"""A whole platform whose jobs a pool runs: settings, `up`, `submit`, a worker that joins by its user data, results."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from platform_at_home import IMAGE, PlatformAtHome, Talk, boot_a_server

from htcondor_machine import Machine, machine
from htcondor_pool import TRUST_DOMAIN, Pool
from htcondor_root import USER
from ports import free_port

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

PATIENCE = 240
JOB = """\
#!/bin/sh
cat notes.txt
test "$HOME" != /root && id -un
echo found by a job > result.txt
vcp result.txt vos:home/admin/result.txt || exit 9
echo begun
until [ -e stop ]; do sleep 0.2; done
echo ended
exit 4
"""
SUBMIT = """\
executable = job.sh
transfer_input_files = vos:home/admin/notes.txt
environment = "PATH=/opt/bin:/usr/bin:/bin BAND=r"
request_memory = 64M
queue
"""
QUICK = """\
#!/bin/sh
wc -c < notes.txt > counted.txt
vcp counted.txt vos:home/admin/counted.txt
echo counted
"""
COUNTED = sha256(b"12\n").hexdigest()
VCP = """\
#!/usr/bin/python3
# Stands for the client, which this image does not have: a certificate where all of them look, and the same addresses.
import os, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
context.load_cert_chain(os.environ["HOME"] + "/.ssl/cadcproxy.pem")
def address(uri):
    return "https://" + os.environ["VOSPACE_WEBSERVICE"] + "/vault/files/" + uri.removeprefix("vos:")
source, target = sys.argv[1:]
if source.startswith("vos:"):
    with urllib.request.urlopen(address(source), context=context) as answer, open(target, "wb") as file:
        file.write(answer.read())
else:
    with open(source, "rb") as file:
        request = urllib.request.Request(address(target), data=file.read(), method="PUT")
        urllib.request.urlopen(request, context=context).close()
"""


class Site:
    """A platform with the engine htcondor, its administrator at a terminal, and the machines that it boots."""

    def __init__(self, *, platform: PlatformAtHome, pool: Pool, folder: Path, stack: ExitStack) -> None:
        self._pool = pool
        self._stack = stack
        self._folder = folder
        self._port = free_port()
        (folder / "token").write_text(pool.token(USER))
        settings = platform.home / "armillary.toml"
        text = settings.read_text().replace("[batch]\n", '[batch]\nengine = "htcondor"\n')
        settings.write_text(text.replace("https_port = 0", f"https_port = {self._port}"))
        platform.add_settings(
            "",
            f"""
[htcondor]
collector = "127.0.0.1:{pool.port}"
collector_for_workers = "pool.test:{pool.port}"
trust_domain = "{TRUST_DOMAIN}"
token_file = "{folder}/token"
key_file = "{pool.signing_key}"
hosts = {{ "pool.test" = "127.0.0.1", "armillary.internal" = "127.0.0.1" }}
""",
        )
        running = platform.up()
        self.talk = Talk(running=running, user_name="admin", password=running["admin_password"])
        token = self.talk.post(
            "/api/v1/accounts/login",
            {"user_name": "admin", "password": running["admin_password"], "label": "terminal"},
        )["token"]
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ARMILLARY_")},
            "ARMILLARY_HOME": str(folder / "nobody"),
            "ARMILLARY_URL": running["url"],
            "ARMILLARY_TOKEN": token,
            "ARMILLARY_CA": running["ca_file"],
            "ARMILLARY_PROJECT": "admin",
        }

    def armillary(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a person types."""
        return subprocess.run(
            [sys.executable, "-m", "armillary.app.main", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self._folder,
            env=self._environ,
        )

    def submit(self, text: str, **files: str) -> str:
        for name, content in files.items():
            (self._folder / f"{name}.sh").write_text(content)
        (self._folder / "job.sub").write_text(text)
        told = self.armillary("submit", "job.sub", "--image", IMAGE, "--flavor", "c1-1gb-5", "--json")
        assert told.returncode == 0, told.stdout + told.stderr
        return f"{json.loads(told.stdout)['cluster']}.0"

    def job(self, name: str) -> Any:
        return self.talk.get(f"/api/v1/batch/jobs/{name}")

    def machine_that_was_booted(self) -> Machine:
        """What stands for the server that the scaler has made: a machine with the same user data."""

        def workers() -> list[Any]:
            servers = self.talk.cloud("GET", "/compute/v2.1/servers/detail")["servers"]
            return [server for server in servers if server["name"] != "mine"]

        until(lambda: bool(workers()), "no worker was booted")
        (server,) = workers()
        data = base64.b64decode(
            self.talk.cloud("GET", f"/compute/v2.1/servers/{server['id']}", version="2.3")["server"][
                "OS-EXT-SRV-ATTR:user_data"
            ]
        )
        made = self._stack.enter_context(machine(self._pool, "worker", data.decode(), ports=[self._port]))
        (made.state / "opt/bin/vcp").write_text(VCP)
        (made.state / "opt/bin/vcp").chmod(0o755)
        return made


def until(holds: Callable[[], bool], otherwise: str | Callable[[], str]) -> None:
    end = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not holds():
        if time.monotonic() > end:
            pytest.fail(otherwise if isinstance(otherwise, str) else otherwise())
        pause.wait(0.3)


@pytest.fixture(scope="module")
def site(htcondor_pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    platform = PlatformAtHome(home=folder / "home", cache=folder / "cache")
    with ExitStack() as stack:
        stack.callback(platform.kill)
        yield Site(platform=platform, pool=htcondor_pool, folder=folder, stack=stack)


def test_a_job_in_the_pool_acts_for_its_owner_and_is_seen_while_it_runs(site: Site) -> None:
    boot_a_server(site.talk)
    site.talk.put("/vault/files/home/admin/notes.txt", b"look at m51\n")
    job = site.submit(SUBMIT, job=JOB)
    worker = site.machine_that_was_booted()

    def printed() -> str:
        return site.armillary("logs", job).stdout

    begun = "look at m51\narmillary-job1\nbegun\n"
    until(lambda: printed() == begun, lambda: f"{printed()}\n{site.job(job)}\n{worker.logs()}")
    assert site.job(job)["state"] == "running"
    assert site.talk.get_bytes("/vault/files/home/admin/result.txt") == b"found by a job\n"

    beside = site.armillary("ssh", job, "--", "sh", "-c", "cat result.txt; id -un; echo $BAND; exit 7")
    assert (beside.returncode, beside.stdout) == (7, "found by a job\narmillary-job1\nr\n"), beside.stderr
    assert site.armillary("ssh", job, "--", "touch", "stop").returncode == 0

    until(lambda: site.job(job)["state"] == "completed", lambda: f"{site.job(job)}\n{worker.logs()}")
    assert printed() == begun + "ended\n"
    assert site.job(job)["exit_code"] == 4


def test_what_a_job_in_the_pool_did_is_on_record_and_is_done_again(site: Site) -> None:
    """Its record is that of any engine's: what it read and wrote by its credential, its machine, its streams."""
    job = site.submit(SUBMIT, job=QUICK)
    until(lambda: site.job(job)["state"] == "completed", lambda: str(site.job(job)))
    record = site.talk.get(f"/api/v1/batch/jobs/{job}/record")["record"]
    program, notes = sha256(QUICK.encode()).hexdigest(), sha256(b"look at m51\n").hexdigest()
    assert (record["executable"]["name"], record["executable"]["sha256"]) == ("job.sh", program)
    assert [(one["action"], one["uri"].rpartition("/")[2], one["sha256"]) for one in record["accesses"]] == [
        ("read", "notes.txt", notes),
        ("write", "counted.txt", COUNTED),
    ]
    assert {one["name"]: one["sha256"] for one in record["outputs"]}["counted.txt"] == COUNTED
    assert "_condor_stdout" in {one["name"] for one in record["outputs"]}
    assert (record["attempt"], record["attempts"], record["exit_code"]) == (1, 1, 0)
    assert record["submitted_at"] < record["started_at"] < record["ended_at"]
    machine = record["machine"]
    assert machine["kernel"].startswith(os.uname().release)
    assert machine["agent_version"].startswith("HTCondor 23.")
    assert (machine["cloud"], machine["flavor"]) == ("east", "c1-1gb-5")
    assert machine["cpu_model"]

    told = site.armillary("why", "vos:home/admin/counted.txt")
    assert job in told.stdout, told.stderr
    cluster = job.partition(".")[0]
    assert site.armillary("export", cluster, "-o", "crate.zip").returncode == 0
    verified = site.armillary("verify", "crate.zip")
    assert verified.returncode == 0, verified.stdout
    again = site.armillary("rerun", job)
    assert again.returncode == 0, again.stdout + again.stderr


def test_an_input_that_cannot_be_had_is_a_hold_that_says_why(site: Site) -> None:
    job = site.submit(SUBMIT.replace("/opt/bin:", ""), job=JOB)  # so that the client is not found
    until(lambda: site.job(job)["state"] == "held", lambda: str(site.job(job)))
    told = site.job(job)
    assert told["hold_code"] == "input_fetch_failed"
    assert "cannot fetch vos:home/admin/notes.txt" in told["reason"]
