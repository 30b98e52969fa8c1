"""The whole path on real machines, through the stock clients; then what may go wrong on the platform that it leaves."""

import os
import re
import signal
import tarfile
from pathlib import Path
from typing import Any

import pytest
import vofs

from golden import Golden, all_completed, process_of_machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]

Report = dict[str, Any]


def test_twelve_catalogues_are_those_of_the_first_machine(report: Report) -> None:
    assert len(report["jobs"]) == 12
    assert all(job["matches_reference"] and job["sources"] > 0 for job in report["jobs"])
    assert len({job["catalogue"] for job in report["jobs"]}) == 12


def test_every_job_ran_on_the_snapshots_digest_and_workers_came_up_on_both_clouds(
    golden: Golden, report: Report
) -> None:
    (digest,) = {job["image_sha512"] for job in report["jobs"]}
    assert re.fullmatch("[0-9a-f]{128}", digest)
    workers = golden.json("armillary", "workers", "--gone")
    assert {worker["cloud"] for worker in workers} == {"east", "west"}
    images = [image for image in golden.json("armillary", "image", "list") if image["name"] == "my-snapshot"]
    assert {image["cloud"] for image in images} == {"east", "west"}
    assert {image["sha512"] for image in images} == {digest}


def test_the_results_are_in_vospace_for_the_stock_client(golden: Golden, report: Report) -> None:
    assert len(golden.run("vls", "vos:home/astro/catalogues").split()) == 12
    assert report["phases"]["jobs"] > 0


def test_a_second_demo_reuses_the_machine_and_the_images(golden: Golden, report: Report) -> None:
    again = golden.demo()
    assert all(job["matches_reference"] for job in again["jobs"])
    assert {job["image_sha512"] for job in again["jobs"]} == {job["image_sha512"] for job in report["jobs"]}
    assert {job["id"] for job in again["jobs"]}.isdisjoint({job["id"] for job in report["jobs"]})


@pytest.mark.usefixtures("report")
def test_vcp_inside_the_first_machine_reaches_vospace(golden: Golden) -> None:
    certificate = (golden.home / "demo" / "home" / ".ssl" / "cadcproxy.pem").read_text()
    script = (
        f"mkdir -p .ssl && cat > .ssl/cadcproxy.pem <<'PEM'\n{certificate}PEM\n"
        ". /etc/profile.d/armillary.sh; echo from inside > inside.txt\n"
        "vcp inside.txt vos:home/astro/inside.txt && vcat vos:home/astro/inside.txt"
    )
    assert golden.inside(script) == "from inside"
    assert golden.run("vcat", "vos:home/astro/inside.txt").strip() == "from inside"


@pytest.mark.usefixtures("report")
def test_vospace_is_mounted_inside_the_first_machine(golden: Golden) -> None:
    # The client's own modules, as pip put them here: a guest may not reach a package index. They go by VOSpace.
    site = Path(vofs.__file__).parents[1]
    with tarfile.open(golden.work / "vofs.tar.gz", "w:gz") as packed:
        for name in ("vofs", "BitVector", "fuse.py"):
            packed.add(site / name, arcname=name)
    golden.run("vcp", "vofs.tar.gz", "vos:home/astro/vofs.tar.gz")
    # Without a new initial RAM disk, which takes minutes when the processor is emulated.
    golden.inside(
        "sudo sed -i s/=yes/=no/ /etc/initramfs-tools/update-initramfs.conf; sudo apt-get update -q >&2 && "
        "sudo apt-get install -y -q --no-install-recommends fuse3 libfuse2 >&2"
    )
    shown = golden.inside(
        "set -e; . /etc/profile.d/armillary.sh; vcp vos:home/astro/vofs.tar.gz .\n"
        "site=$(python3 -m site --user-site); mkdir -p $site space; tar -xzf vofs.tar.gz -C $site\n"
        "python3 -c 'from vofs.mountvofs import mountvofs; mountvofs()' "
        "--vospace vos:home/astro --mountpoint ~/space >&2\n"
        "timeout 60 sh -c 'until mountpoint -q ~/space; do sleep 0.2; done'\n"
        "cat space/catalogues/*.cat | wc -l; mkdir -p space/mounted; echo from the mount > space/mounted/note.txt\n"
        # This client sends what was written behind our back, and knows its length when it is there.
        "timeout 60 sh -c 'until grep -q mount space/mounted/note.txt; do sleep 1; done'\n"
        "cat space/mounted/note.txt; fusermount -u space"
    )
    assert int(shown.splitlines()[0]) > 12
    assert shown.splitlines()[1] == "from the mount"
    assert golden.run("vcat", "vos:home/astro/mounted/note.txt").strip() == "from the mount"


@pytest.mark.usefixtures("report")
def test_killing_the_platform_loses_nothing_and_repeats_nothing_that_was_committed(golden: Golden) -> None:
    cluster = golden.submit("sleep 12; echo done $1", count=8)
    jobs = golden.wait(
        cluster,
        lambda jobs: {"completed", "running"} <= {job["state"] for job in jobs} or all_completed(jobs),
    )
    os.kill(golden.running()["pid"], signal.SIGKILL)
    committed = {job["id"]: job for job in jobs if job["state"] == "completed"}
    assert 0 < len(committed) < 8
    golden.operate("up")
    after = {job["id"]: job for job in golden.wait(cluster, all_completed)}
    assert len(after) == 8
    for name, before in committed.items():
        assert {key: after[name][key] for key in ("finished_at", "exit_code", "worker", "attempts")} == {
            key: before[key] for key in ("finished_at", "exit_code", "worker", "attempts")
        }
    golden.run("armillary", "fetch", str(cluster))
    for number in range(8):
        assert (golden.work / f"{cluster}.{number}.out").read_text() == f"done {number}\n"


@pytest.mark.usefixtures("report")
def test_the_jobs_of_a_worker_that_dies_run_again_elsewhere(golden: Golden) -> None:
    cluster = golden.submit("sleep 30; echo survived $1", count=2)
    running = golden.wait(cluster, lambda jobs: any(job["state"] == "running" for job in jobs))
    victim = next(job["worker"] for job in running if job["state"] == "running")
    theirs = {job["id"] for job in running if job["worker"] == victim}
    worker = next(one for one in golden.json("armillary", "workers") if one["worker"] == victim)
    os.kill(process_of_machine(worker["server_id"]), signal.SIGKILL)
    golden.wait(cluster, all_completed)
    for name in theirs:
        attempts = golden.json("armillary", "job", "show", name)["attempt_list"]
        assert [attempt["state"] for attempt in attempts][-2:] == ["lost", "finished"]
        assert attempts[-1]["worker"] != victim
    gone = next(one for one in golden.json("armillary", "workers", "--gone") if one["worker"] == victim)
    assert gone["state"] in {"ending", "gone"}
