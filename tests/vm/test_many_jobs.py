"""A weekend in small: two hundred jobs on two clouds, while a worker, a whole cloud and the platform itself are lost.

The second cloud is another platform, reached as any OpenStack is: by its entry in `clouds.yaml`.
"""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from golden import Golden, all_completed, process_of_machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

Job = dict[str, Any]
JOBS = 200
SCRIPT = """\
start=$(date +%s.%N)
[ $1 -ge 100 ] || sleep 4
echo $1 $start $(date +%s.%N)
"""


@pytest.fixture(scope="module")
def north(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Golden]:
    """A cloud of somebody else's, as far as the platform can tell."""
    platform = Golden(tmp_path_factory.mktemp("north") / "home", {"north": "127.28.0.0/24"})
    platform.configure(guest_ports=[golden.settings["https_port"]], batch={"warm_workers": False})
    platform.operate("up")
    try:
        yield platform
    finally:
        platform.close()


def servers_of(platform: Golden, cloud: str) -> list[dict[str, Any]]:
    """The servers of all projects of an embedded cloud."""
    return platform.as_operator(cloud, "server", "list", "--all-projects")


def kill_platform(platform: Golden) -> None:
    os.kill(platform.running()["pid"], signal.SIGKILL)


def switch_off(cloud: Golden) -> None:
    """Power gone: the services and every machine, at once."""
    machines = [process_of_machine(server["ID"]) for server in servers_of(cloud, "north")]
    kill_platform(cloud)
    for machine in machines:
        os.kill(machine, signal.SIGKILL)


def running_on(jobs: list[Job], cloud: str) -> bool:
    return any(job["state"] == "running" and job["cloud"] == cloud for job in jobs)


@pytest.fixture
def on_two_clouds(golden: Golden, north: Golden, report: Job) -> Iterator[Golden]:
    """The demo's platform with its first cloud and that other one, and no workers."""
    before = dict(golden.settings)
    kill_platform(golden)
    golden.configure(batch={"idle_seconds": 1})
    golden.operate("up")
    golden.until_no_workers(seconds=600)
    golden.operate("down")
    golden.configure(
        batch={"idle_seconds": 15},
        clouds=[cloud for cloud in before["clouds"] if cloud["name"] == "east"],
        clouds_yaml=str(north.clouds_file),
        guest_urls={"north": f"https://armillary.internal:{golden.settings['https_port']}"},
    )
    golden.operate("up")
    yield golden
    golden.operate("down")
    golden.settings = before
    golden.configure()
    golden.operate("up")


def test_two_hundred_jobs_outlive_a_worker_a_cloud_and_the_platform(
    on_two_clouds: Golden, north: Golden
) -> None:
    golden = on_two_clouds
    cluster = golden.submit(SCRIPT, count=JOBS)

    # on a busy computer either may be the first
    golden.wait(cluster, lambda jobs: running_on(jobs, "north") and running_on(jobs, "east"), seconds=900)
    workers = golden.json("armillary", "workers")
    victim = next(one for one in workers if one["cloud"] != "north" and one["state"] == "ready")
    os.kill(process_of_machine(victim["server_id"]), signal.SIGKILL)
    switch_off(north)
    before = {job["id"]: job for job in golden.jobs(cluster) if job["state"] == "completed"}
    kill_platform(golden)
    golden.operate("up")

    after = {job["id"]: job for job in golden.wait(cluster, all_completed, seconds=1200)}
    assert len(after) == JOBS
    for name, job in before.items():  # what was committed stays, and is not done again
        assert {key: after[name][key] for key in ("finished_at", "worker", "attempts")} == {
            key: job[key] for key in ("finished_at", "worker", "attempts")
        }
    lost = [job for job in after.values() if job["attempts"] > 1]
    assert lost, "neither the worker nor the cloud took a job with it"
    for job in lost[:5]:
        attempts = golden.json("armillary", "job", "show", job["id"])["attempt_list"]
        assert [attempt["state"] for attempt in attempts if attempt["state"] == "finished"] == ["finished"]
        ends = [attempt["ended_at"] for attempt in attempts]
        assert all(end <= following["claimed_at"] for end, following in zip(ends, attempts[1:], strict=False))
    golden.run("armillary", "fetch", str(cluster))
    for number in range(JOBS):
        words = (golden.work / f"{cluster}.{number}.out").read_text().split()
        assert words[0] == str(number)
        assert len(words) == 3
        assert float(words[1]) < float(words[2])

    north.operate("up")  # power is back: its dead machines are still on its books
    golden.until_no_workers(seconds=600)
    end = time.monotonic() + 180
    while servers_of(north, "north"):
        assert time.monotonic() < end, golden.log()
        time.sleep(3)
    of_workers = {one["server_id"] for one in golden.json("armillary", "workers", "--gone")}
    assert of_workers.isdisjoint(server["ID"] for server in servers_of(golden, "east"))
