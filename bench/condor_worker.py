"""A machine of a user's image on our cloud joins a real HTCondor pool from behind NAT, runs its jobs, and is retired.

    sudo .venv/bin/python bench/condor_worker.py [--keep FOLDER]

The image is a Debian 13 that brings HTCondor, made once. The pool stands on an address of this computer that is nobody
else's, and that machines reach through their way out: what it tells its clients must be true inside of them too. Prints
when what happened, and fails when a job's results, its record, the machine's image, its way in or its end are not as they
should be. Needs root, for the pool and the address.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "app"))

from platform_at_home import PlatformAtHome, Talk
from rich.console import Console

from armillary.recipes.debian import debian_12
from armillary.recipes.model import BuiltImage
from armillary.recipes.service import build_recipe
from htcondor_pool import TRUST_DOMAIN, Pool, free_port, pool
from htcondor_root import USER

ADDRESS = "192.0.2.1"
"""One of those that are for examples: nobody's on the network."""
IMAGE, FLAVOR = "debian-13-htcondor", "c2-2gb-10"
SETTINGS = """\
https_port = {https}
http_port = 0
guest_ports = [{port}]
[batch]
engine = "htcondor"
idle_seconds = 30
[[clouds]]
name = "east"
port = 0
floating_cidr = "127.16.9.0/24"
[htcondor]
collector = "{address}:{port}"
trust_domain = "{domain}"
token_file = "{folder}/token"
key_file = "{key}"
"""
JOB = """\
#!/bin/sh
echo "job $1 on $(hostname) as $(id -un)"
sha256sum < notes.txt > "digest-$1.txt"
vcp "digest-$1.txt" "vos:home/admin/digest-$1.txt"
"""
SUBMIT = """\
executable = job.sh
arguments = $(Process)
transfer_input_files = vos:home/admin/notes.txt
output = $(Process).out
error = $(Process).err
request_cpus = 1
request_memory = 256M
queue 2
"""
JOBS = 2
"""as many as one machine has room for"""
NOTES = b"what the jobs read\n" * 1000


class Diary:
    """Says when what happened."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._console = Console()

    def say(self, what: str) -> None:
        self._console.print(
            f"{time.monotonic() - self._begun:7.1f} s  {what}", highlight=False, soft_wrap=True
        )

    def until(self, what: str, holds: Callable[[], Any], *, within: float) -> Any:
        """Wait until something holds, and say so."""
        end = time.monotonic() + within
        while not (found := holds()):
            if time.monotonic() > end:
                raise SystemExit(f"in {within:.0f} s it did not come to this: {what}")
            time.sleep(1)
        self.say(what)
        return found


def image() -> BuiltImage:
    """A machine's image as a user would prepare it: the base image's recipe, on a Debian that has HTCondor."""
    base = debian_12()
    packages = (*base.packages, "htcondor")
    return build_recipe(
        dataclasses.replace(
            base,
            name=IMAGE,
            title="Debian 13 with HTCondor",
            suite="trixie",
            python="3.13",
            packages=packages,
        )
    )


@contextmanager
def address() -> Iterator[None]:
    """An address that is this computer's only."""
    ip = ["ip", "address"]
    subprocess.run([*ip, "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    try:
        yield
    finally:
        subprocess.run([*ip, "del", f"{ADDRESS}/32", "dev", "lo"], check=True)


class Site:
    """A platform whose jobs the pool runs, and its administrator at a terminal."""

    def __init__(self, *, platform: PlatformAtHome, pool: Pool, folder: Path) -> None:
        (folder / "token").write_text(pool.token(USER))
        (platform.home / "armillary.toml").write_text(
            SETTINGS.format(
                https=free_port(),
                port=pool.port,
                address=pool.address,
                domain=TRUST_DOMAIN,
                folder=folder,
                key=pool.signing_key,
            )
        )
        running = platform.up()
        self.folder = folder
        self.talk = Talk(running=running, user_name="admin", password=running["admin_password"])
        login = {"user_name": "admin", "password": running["admin_password"], "label": "terminal"}
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ARMILLARY_")},
            "ARMILLARY_HOME": str(folder / "nobody"),
            "ARMILLARY_URL": running["url"],
            "ARMILLARY_CA": running["ca_file"],
            "ARMILLARY_PROJECT": "admin",
            "ARMILLARY_TOKEN": self.talk.post("/api/v1/accounts/login", login)["token"],
        }

    def armillary(self, *words: str) -> str:
        """What a person types."""
        command = [sys.executable, "-m", "armillary.app.main", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder, env=self._environ
        )
        if done.returncode != 0:
            raise SystemExit(f"armillary {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def bring(self, made: BuiltImage) -> None:
        """Put an image onto the cloud."""
        described = {
            "name": IMAGE,
            "disk_format": "qcow2",
            "container_format": "bare",
            "visibility": "public",
        }
        number = self.talk.cloud("POST", "/image/v2/images", described)["id"]
        self.talk.cloud("PUT", f"/image/v2/images/{number}/file", content=made.path.read_bytes())

    def servers(self) -> list[dict[str, Any]]:
        return list(self.talk.cloud("GET", "/compute/v2.1/servers/detail")["servers"])

    def jobs(self, cluster: int) -> list[dict[str, Any]]:
        found = json.loads(self.armillary("jobs", str(cluster), "--json"))
        held = [job["reason"] for job in found if job["state"] == "held"]
        if held:
            raise SystemExit(f"on hold: {held}")
        return list(found)


def run(site: Site, made: BuiltImage, diary: Diary) -> None:
    """Submit jobs, and look at all that they leave."""
    site.talk.put("/vault/files/home/admin/notes.txt", NOTES)
    (site.folder / "job.sh").write_text(JOB)
    (site.folder / "job.sub").write_text(SUBMIT)
    asked = json.loads(site.armillary("submit", "job.sub", "--image", IMAGE, "--flavor", FLAVOR, "--json"))
    cluster = int(asked["cluster"])
    diary.say(f"{len(site.jobs(cluster))} jobs are submitted")
    (server,) = diary.until("the scaler has asked for a machine", site.servers, within=60)
    _nobody_joins_unmeasured(site, server["id"])
    diary.say("who has its user data alone does not get the pool's token")
    diary.until("a job runs: the machine has booted and joined", lambda: _any(site, cluster), within=900)
    diary.until("all jobs have ended", lambda: _all(site, cluster), within=600)
    wrong = [job for job in site.jobs(cluster) if job["exit_code"] != 0]
    _check("every program ended well", not wrong)
    diary.until("the machine is retired", lambda: not site.servers(), within=300)
    for proc in range(JOBS):
        _results(site, f"{cluster}.{proc}", made, server["name"])
    site.armillary("export", str(cluster), "-o", "crate.zip")
    site.armillary("verify", "crate.zip")
    why = json.loads(site.armillary("why", "vos:home/admin/digest-0.txt", "--json"))
    _check("a result in VOSpace tells the job that wrote it", f"{cluster}.0" in json.dumps(why))
    diary.say("results, records, crate and the way back from a result are as they should be")


def _nobody_joins_unmeasured(site: Site, server: str) -> None:
    shown = site.talk.cloud("GET", f"/compute/v2.1/servers/{server}", version="2.3")["server"]
    user_data = base64.b64decode(shown["OS-EXT-SRV-ATTR:user_data"])
    files = {
        file["path"]: file["content"] for file in json.loads(user_data.partition(b"\n")[2])["write_files"]
    }
    joining = json.loads(gzip.decompress(base64.b64decode(files["/opt/armillary/join.json"])))
    body = {"bootstrap_token": joining["bootstrap_token"]}
    questions = site.talk.post("/agent/v1/probe", body)["questions"]
    _check("the machine is asked what it is made of", bool(questions))
    status, code = site.talk.refused("/agent/v1/pool/join", {**body, "measured": None})
    _check(f"nobody joins without an answer: {status} {code}", (status, code) == (412, "image_not_measured"))


def _results(site: Site, job: str, made: BuiltImage, server: str) -> None:
    record = site.talk.get(f"/api/v1/batch/jobs/{job}/record")["record"]
    printed = site.talk.get_bytes(f"/api/v1/batch/jobs/{job}/outputs/_condor_stdout").decode()
    _check(
        f"{job} was printed on the machine that was booted: {printed}",
        f"on {server} as armillary-job" in printed,
    )
    _check(f"{job} ran once", record["attempts"] == 1)
    machine, wanted = record["machine"], made.sha512
    _check(f"{job} ran on the image that it names: {machine}", machine["image_sha512"] == wanted)
    _check(
        f"{job}'s machine is on record: {machine}",
        machine["cloud"] == "east" and "deb13" in machine["kernel"],
    )
    done = [(one["action"], one["uri"].rpartition("/")[2]) for one in record["accesses"]]
    own = f"digest-{job.rpartition('.')[2]}.txt"
    _check(f"{job}'s reads and writes are on record: {done}", done == [("read", "notes.txt"), ("write", own)])
    ours = site.talk.get_bytes(f"/vault/files/home/admin/{own}")
    theirs = site.talk.get_bytes(f"/api/v1/batch/jobs/{job}/outputs/{own}")
    _check(f"{job}: what it sent and what came home are the same", ours == theirs)


def _any(site: Site, cluster: int) -> bool:
    return any(job["state"] in {"running", "completed"} for job in site.jobs(cluster))


def _all(site: Site, cluster: int) -> bool:
    return all(job["state"] == "completed" for job in site.jobs(cluster))


def _check(what: str, holds: bool) -> None:
    if not holds:
        raise SystemExit(f"not so: {what}")


def main() -> None:
    """Bring all of it up, run, and leave nothing."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", type=Path, help="leave the platform's home here")
    chosen = options.parse_args()
    diary = Diary()
    made = image()
    diary.say(f"the image is there: sha512 {made.sha512[:32]}…")
    with tempfile.TemporaryDirectory(prefix="armillary-condor-worker-") as name:
        folder = chosen.keep or Path(name)
        folder.mkdir(exist_ok=True, parents=True)
        platform = PlatformAtHome(home=folder / "home", cache=made.path.parents[2])
        with address(), pool("trixie", address=ADDRESS) as real:
            diary.say(f"a pool of HTCondor is up at {real.address}:{real.port}")
            try:
                site = Site(platform=platform, pool=real, folder=folder)
                site.bring(made)
                diary.say("the platform is up, and its cloud has the image")
                site.armillary("image", "packages", IMAGE)
                diary.say("the image was looked into, so that its machine has to show what it is made of")
                run(site, made, diary)
            except BaseException:
                print(real.logs(), file=sys.stderr)
                for log in (folder / "home").rglob("console*.log"):
                    print(f"==> {log}\n{log.read_text(errors='replace')[-6000:]}", file=sys.stderr)
                raise
            finally:
                platform("down", "--machines")


if __name__ == "__main__":
    main()
