"""Jobs compute the same on whichever cloud they run, and none runs on a machine that is not of their image."""

import mmap
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from armillary.crates.record import JobRecord, read
from armillary.guest.agent.streams import STREAMS
from armillary.recipes.service import build
from golden import Golden, all_completed

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]

Job = dict[str, Any]
CLOUDS = {"north": "127.33.0.0/24", "south": "127.34.0.0/24"}
VALUES = range(1, 9)
SCRIPT = """\
#!/bin/sh
awk -v n=$1 'BEGIN { for (i = 1; i <= 500; i++) printf "%.17g\\n", sin(i * n) * exp(-i / 99) / sqrt(i + n) }'
date +%s.%N >&2
"""
"""Writes numbers that hang on its argument alone, and says beside them when that was."""
SUBMIT = """\
executable = curve.sh
arguments = $(value)
output = $(Process).out
error = $(Process).err
request_cpus = 1
request_memory = 256M
request_disk = 50M
requirements = CloudName == "$(where)"
queue where, value from (
{rows}
)
"""
SHELL = b"@(#)Bash version"
"""In the bytes of /usr/bin/bash, and nowhere else."""
SHELL_DIFFERS = "/usr/bin/bash: other contents"


@dataclass(frozen=True, kw_only=True)
class Both:
    """A platform of two clouds that have the same image, and the jobs that have run on both."""

    platform: Golden
    image: str
    cluster: int

    def copy_on(self, cloud: str) -> Path:
        """The image's bytes on a cloud's own disk."""
        listed = self.platform.json("armillary", "image", "list")
        digest = next(one["sha512"] for one in listed if (one["name"], one["cloud"]) == (self.image, cloud))
        return self.platform.home / "clouds" / cloud / "images" / digest


def submit(platform: Golden, image: str, rows: list[str]) -> int:
    (platform.work / "curve.sh").write_text(SCRIPT)
    (platform.work / "curve.sub").write_text(SUBMIT.format(rows="\n".join(rows)))
    told = platform.json("armillary", "submit", "curve.sub", "--image", image, "--flavor", "c1-1gb-5")
    return int(told["cluster"])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    base = build("debian-12")
    plain = folder / "plain.qcow2"  # not compressed, as snapshots are
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(base.path), str(plain)], check=True)
    platform = Golden(folder / "home", CLOUDS)
    platform.configure(batch={"warm_workers": False, "idle_seconds": 600})
    try:
        platform.settle(project="everywhere", batch_cores=2)
        platform.publish(base.name, plain, cloud="north")
        # Somebody looks into the image: from now on each worker is asked whether it is made of that.
        platform.run("armillary", "image", "packages", base.name)
        cluster = submit(platform, base.name, [f"{cloud}, {value}" for value in VALUES for cloud in CLOUDS])
        platform.wait(cluster, all_completed)
        yield Both(platform=platform, image=base.name, cluster=cluster)
    finally:
        platform.close()


def by_value_and_cloud(records: list[JobRecord], stream: str) -> dict[str, dict[str | None, set[str]]]:
    """The SHA-256 of what came out there: for each value that was computed, by cloud."""
    found: dict[str, dict[str | None, set[str]]] = {}
    for record in records:
        clouds = found.setdefault(record.arguments[0], {})
        files = {file.sha256 for file in record.outputs if file.name == STREAMS[stream]}
        clouds[record.machine.cloud] = clouds.get(record.machine.cloud, set()) | files
    return found


def differing(records: list[JobRecord], stream: str) -> set[str]:
    """The values of which not all jobs wrote the same bytes, on whichever cloud they were."""
    found = by_value_and_cloud(records, stream)
    return {value for value, clouds in found.items() if len(set[str]().union(*clouds.values())) != 1}


def test_an_array_of_jobs_on_two_clouds_gives_the_same_bytes(both: Both) -> None:
    """By the records of the jobs, and no other books."""
    both.platform.run("armillary", "export", str(both.cluster), "-o", "crate")
    files = (both.platform.work / "crate/records").glob(f"{both.cluster}.*.json")
    records = [read(JobRecord, file.read_bytes()) for file in files]
    values = {str(value) for value in VALUES}
    assert len({record.machine.image_sha512 for record in records}) == 1
    computed = by_value_and_cloud(records, "stdout")
    assert computed.keys() == values
    assert all(clouds.keys() == CLOUDS.keys() for clouds in computed.values())
    assert differing(records, "stdout") == set()
    assert len({frozenset(clouds["north"]) for clouds in computed.values()}) == len(values)
    assert differing(records, "stderr") == values, "the moments differ, and that was not seen"


def tamper(image: Path) -> None:
    """Change the shell in a disk image, and nothing that a list of files would show."""
    image.chmod(0o600)
    with image.open("r+b") as file, mmap.mmap(file.fileno(), 0) as octets:
        place = octets.find(SHELL)
        assert place >= 0
        octets[place : place + len(SHELL)] = SHELL.replace(b"Bash", b"Bush")


def test_no_job_runs_on_a_machine_of_a_tampered_image(both: Both) -> None:
    platform = both.platform
    platform.end_workers("south")  # the next one there boots
    copy = both.copy_on("south")
    tamper(copy)
    assert both.copy_on("south") == copy, "the cloud's own books know nothing of it"
    cluster = submit(platform, both.image, ["north, 1", "south, 1"])

    def is_refused(jobs: list[Job]) -> bool:
        said = platform.run("armillary", "explain", f"{cluster}.1")
        named = "south booted something else than the image" in said and SHELL_DIFFERS in said
        return named and jobs[0]["state"] == "completed"

    platform.wait(cluster, is_refused)
    workers = platform.json("armillary", "workers", "--gone")
    refused = [one for one in workers if "something else than the image" in (one["reason"] or "")]
    assert {one["cloud"] for one in refused} == {"south"}
    assert all(SHELL_DIFFERS in one["reason"] for one in refused)
    assert not any(one["registered_at"] for one in refused)
    assert [job["attempts"] for job in platform.jobs(cluster)] == [1, 0]
    platform.run("armillary", "job", "rm", str(cluster))
