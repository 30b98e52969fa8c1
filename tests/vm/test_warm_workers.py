"""Workers that need not boot: the second wave of jobs on an image finds machines that begin from a checkpoint."""

import json
import re
import time
from datetime import datetime
from typing import Any

import pytest
from golden import Golden, all_completed

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

Job = dict[str, Any]
SCRIPT = """\
sleep 5
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
    "instance": os.path.basename(os.path.realpath("/var/lib/cloud/instance")),
    "time": time.time(),
}))
END
"""


def checkpoints(golden: Golden, cloud: str) -> set[str]:
    folder = golden.home / "clouds" / cloud / "machines" / "checkpoints"
    return {path.name for path in folder.iterdir() if not path.suffix}


def until(holds: Any, golden: Golden, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, golden.log()
        time.sleep(1)


def begun_warm(golden: Golden) -> dict[str, float]:
    """Servers that began from a checkpoint, by the platform's log, each with the seconds that it took."""
    text = (golden.home / "armillary.log").read_text()
    return {server: float(s) for server, s in re.findall(r"server (\S+) began from .* in ([\d.]+) s", text)}


def submit(golden: Golden) -> int:
    """Two jobs that each take a whole worker."""
    (golden.work / "who.sh").write_text(f"#!/bin/sh\n{SCRIPT}")
    (golden.work / "who.sub").write_text(
        "executable = who.sh\noutput = who.$(Process).out\nerror = who.$(Process).err\n"
        "request_cpus = 2\nrequest_memory = 256M\nrequest_disk = 50M\nqueue 2\n"
    )
    words = ("armillary", "submit", "who.sub", "--image", "my-snapshot", "--flavor", "c2-2gb-10")
    return int(golden.json(*words)["cluster"])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.usefixtures("report")
def test_the_second_wave_of_workers_begins_from_checkpoints_and_each_is_itself(golden: Golden) -> None:
    clouds = {one["cloud"] for one in golden.json("armillary", "workers", "--gone")} & {"east", "west"}
    until(lambda: all(checkpoints(golden, cloud) for cloud in clouds), golden, seconds=900)
    golden.operate("down")
    golden.configure(batch={"idle_seconds": 3})
    golden.operate("up")
    until(lambda: not golden.json("armillary", "workers"), golden, seconds=300)

    before = begun_warm(golden)
    cluster = submit(golden)
    jobs = golden.wait(cluster, all_completed)
    golden.run("armillary", "fetch", str(cluster))
    said = [json.loads((golden.work / f"who.{number}.out").read_text()) for number in range(2)]
    workers = {one["worker"]: one for one in golden.json("armillary", "workers", "--gone")}
    servers = [workers[job["worker"]]["server_id"] for job in jobs]
    warm = begun_warm(golden)
    assert len(set(servers)) == 2
    assert set(servers) <= warm.keys() - before.keys(), f"they booted{golden.log()}"

    for what in ("machine", "random", "uuid", "host", "mac"):
        assert said[0][what] != said[1][what], what
    assert all(len(one["keys"]) == 2 for one in said)
    assert not set(said[0]["keys"]) & set(said[1]["keys"])
    assert [one["instance"] for one in said] == servers
    for one, job in zip(said, jobs, strict=True):
        assert moment(job["started_at"]) - 5 < one["time"] < moment(job["finished_at"]) + 5
        assert "template" not in one["host"] + one["hosts"]

    waits = [moment(job["started_at"]) - moment(job["submitted_at"]) for job in jobs]
    print(f"woken in {[warm[server] for server in servers]} s; submit to start {waits} s")
