"""Workers that need not boot: the second wave of jobs on an image finds machines that begin from a checkpoint."""

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from armillary.recipes.service import build
from golden import Golden, all_completed

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

Job = dict[str, Any]
SCRIPT = """\
sleep $1
python3 - <<'END'
import json, os, pathlib, socket, time
read = lambda name: pathlib.Path(name).read_text().strip()
print(json.dumps({
    "machine": read("/etc/machine-id"),
    "random": os.urandom(16).hex(),
    "uuid": read("/proc/sys/kernel/random/uuid"),
    "host": socket.gethostname(),
    "hosts": read("/etc/hosts"),
    "mac": read("/sys/class/net/eth0/address"),
    "keys": sorted(read(key) for key in pathlib.Path("/etc/ssh").glob("ssh_host_*_key.pub")),
    "time": time.time(),
}))
END
"""
SUBMIT = """\
executable = who.sh
arguments = {seconds}
output = who.$(Process).out
error = who.$(Process).err
request_cpus = 1
request_memory = 512M
request_disk = 50M
queue {count}
"""
"""Each job takes a whole worker."""


def checkpoints(golden: Golden) -> set[str]:
    folder = golden.home / "clouds" / "east" / "machines" / "checkpoints"
    return {path.name for path in folder.iterdir() if not path.suffix}


def await_checkpoint(golden: Golden, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not checkpoints(golden):
        assert time.monotonic() < end, golden.log()
        time.sleep(1)


def begun_warm(golden: Golden) -> dict[str, float]:
    """Servers that began from a checkpoint, by the platform's log, each with the seconds that it took."""
    text = (golden.home / "armillary.log").read_text()
    return {server: float(s) for server, s in re.findall(r"server (\S+) began from .* in ([\d.]+) s", text)}


def run_jobs(golden: Golden, count: int, *, seconds: int) -> list[Job]:
    (golden.work / "who.sh").write_text(f"#!/bin/sh\n{SCRIPT}")
    (golden.work / "who.sub").write_text(SUBMIT.format(count=count, seconds=seconds))
    words = ("armillary", "submit", "who.sub", "--image", "debian-12", "--flavor", "c1-1gb-5")
    return golden.wait(int(golden.json(*words)["cluster"]), all_completed)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def waited(jobs: list[Job]) -> list[float]:
    """From the submit to the start of each job, in seconds."""
    return [round(moment(job["started_at"]) - moment(job["submitted_at"]), 1) for job in jobs]


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Golden]:
    """A platform without workers, which retires those that have nothing to do at once."""
    base = build("debian-12")
    platform = Golden(tmp_path / "home", {"east": "127.35.0.0/24"})
    # a busy computer, such as one that tests, may have no idle processor for long
    platform.configure(
        batch={"idle_seconds": 3},
        clouds=[{**cloud, "warm_spare": 0} for cloud in platform.settings["clouds"]],
    )
    try:
        platform.settle(project="waking", batch_cores=2)
        platform.publish(base.name, base.path, cloud="east")
        yield platform
    finally:
        platform.close()


def test_the_second_wave_of_workers_begins_from_a_checkpoint_and_each_is_itself(idle: Golden) -> None:
    golden = idle
    assert not checkpoints(golden)
    cold = waited(run_jobs(golden, 1, seconds=0))
    assert not begun_warm(golden)
    await_checkpoint(golden, seconds=900)
    golden.until_no_workers(seconds=600)

    # long enough that one worker does not do both, and that host keys, which are made beside, are there
    jobs = run_jobs(golden, 2, seconds=30)
    golden.run("armillary", "fetch", str(jobs[0]["cluster"]))
    said = [json.loads((golden.work / f"who.{number}.out").read_text()) for number in range(2)]
    workers = {one["worker"]: one for one in golden.json("armillary", "workers", "--gone")}
    servers = [workers[job["worker"]]["server_id"] for job in jobs]
    warm = begun_warm(golden)
    assert len(set(servers)) == 2
    assert set(servers) <= warm.keys(), f"they booted{golden.log()}"

    for what in ("machine", "random", "uuid", "host", "mac"):
        assert said[0][what] != said[1][what], what
    assert all(len(one["keys"]) == 2 for one in said)
    assert not set(said[0]["keys"]) & set(said[1]["keys"])
    assert [one["host"] for one in said] == [f"worker-{job['worker'][:8]}" for job in jobs]
    for one, job in zip(said, jobs, strict=True):
        assert moment(job["started_at"]) - 5 < one["time"] < moment(job["finished_at"]) + 5
        assert "template" not in one["host"] + one["hosts"]
    woken = [warm[server] for server in servers]
    print(f"submit to start: cold {cold} s, warm {waited(jobs)} s, of which woken in {woken} s")
