"""The golden path, step by step, each with the program that a person would use."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from armillary.app.demo.catalogue import read_catalogue, same_sources
from armillary.app.demo.people import DemoAccounts
from armillary.app.demo.phases import Phases
from armillary.app.demo.shell import Shell
from armillary.app.instance import Instance
from armillary.base.errors import Unavailable
from armillary.recipes.service import BuiltImage

IMAGES = ("m51.fits", "gmos.fits", "a8280271.fits")
THRESHOLDS = ("1.5", "2", "3", "5")
FLAVOR = "c2-2gb-10"
SERVER = "workbench"


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """One job of the demo and the catalogue that it left in VOSpace."""

    id: str
    cloud: str
    image_sha512: str
    catalogue: str
    seconds: float
    sources: int
    matches_reference: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the demo made."""

    phases: dict[str, float]
    jobs: list[JobReport]
    ssh: str
    snapshot: str

    def as_dict(self) -> dict[str, Any]:
        return {"phases": self.phases, "jobs": [asdict(job) for job in self.jobs]}


class GoldenPath:
    """Walks the path on a platform that runs."""

    def __init__(
        self, *, directory: Path, instance: Instance, accounts: DemoAccounts, phases: Phases
    ) -> None:
        self._instance = instance
        self._accounts = accounts
        self._phases = phases
        self._east, self._west = list(instance.clouds)[:2]
        self._home = directory / "home"
        self._key = self._home / ".ssh" / "id_ed25519"
        self._work = directory / "work"
        self._reference = directory / "reference"
        authority = instance.url.removeprefix("https://")
        common = {
            "ARMILLARY_URL": instance.url,
            "ARMILLARY_CA": instance.ca_file,
            "VOSPACE_WEBSERVICE": authority,
        }
        tell = phases.say
        self._user = Shell(home=self._home, environment=common, tell=tell)
        self._admin = Shell(home=directory / "admin", environment=common, tell=tell)

    def run(self, base: BuiltImage) -> Report:
        """Walk it all, and return what it made.

        Raises:
            ArmillaryError: a step failed; what the steps before it made stays, and the next run goes on from there.
        """
        step = self._phases.phase
        with step("register", "register and ask for a project"):
            self._prepare_homes()
            self._register()
        with step("approve", "an administrator approves, with changed figures"):
            self._approve()
        with step("publish", f"publish the base image on {self._east}"):
            self._publish(base)
        with step("launch", f"launch a machine on {self._east}"):
            self._launch()
        with step("ssh", "wait for ssh at its floating IP"):
            address = self._floating_ip()
            self._user.wait_for_ssh(address, self._key, timeout=600)
        with step("install", "install source-extractor in it"):
            self._install(address)
        with step("try", "try it on the images: the reference catalogues"):
            self._try(address)
        with step("snapshot", "snapshot the machine"):
            snapshot = self._snapshot()
        with step("submit", "submit twelve jobs with that snapshot"):
            cluster = self._submit(snapshot)
        with step("jobs", "workers boot on the clouds with room and run the jobs"):
            jobs = self._follow(cluster)
        with step("vospace", "read the catalogues back from VOSpace"):
            self._read_back()
        reports = [self._check(job) for job in jobs]
        return Report(
            phases=self._phases.seconds,
            jobs=reports,
            ssh=f"ssh -i {self._key} "
            + (f"-p {address[1]} " if address[1] != 22 else "")
            + f"debian@{address[0]}",
            snapshot=snapshot,
        )

    # -- people

    def _prepare_homes(self) -> None:
        for shell in (self._user, self._admin):
            (shell.home / ".config" / "openstack").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key.parent.mkdir(mode=0o700, exist_ok=True)
        self._clouds_yaml(
            self._user, self._accounts.user, self._accounts.user_password, self._accounts.project
        )
        self._clouds_yaml(self._admin, self._accounts.admin, self._accounts.admin_password, "admin")
        netrc = self._home / ".netrc"
        host = self._instance.url.removeprefix("https://")
        netrc.write_text(
            f"machine {host} login {self._accounts.user} password {self._accounts.user_password}\n"
        )
        netrc.chmod(0o600)
        if not self._key.exists():
            self._user.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key), quiet=True)

    def _clouds_yaml(self, shell: Shell, user: str, password: str, project: str) -> None:
        clouds = {
            name: {
                "auth": {
                    "auth_url": url,
                    "username": user,
                    "password": password,
                    "project_name": project,
                    "user_domain_name": "Default",
                    "project_domain_name": "Default",
                },
                "region_name": name,
                "identity_api_version": 3,
            }
            for name, url in self._instance.clouds.items()
        }
        file = shell.home / ".config" / "openstack" / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": clouds}))
        file.chmod(0o600)

    def _login(self, shell: Shell, user: str, password: str) -> None:
        shell.run("armillary", "login", user, "--password-stdin", stdin=password + "\n", quiet=True)

    def _register(self) -> None:
        accounts = self._accounts
        try:
            self._login(self._user, accounts.user, accounts.user_password)
        except Unavailable:
            self._user.run(
                "armillary", "register", accounts.user, "--name", "Demo Astronomer", "--email", "astro@example.org",
                "--institute", "Institute of Demonstrations", "--project", accounts.project,
                "--cores", "8", "--ram", "16GiB", "--disk", "100GiB", "--storage", "20GiB", "--batch-cores", "16",
                "--reason", "Catalogues of M51 at four thresholds", "--password-stdin",
                stdin=accounts.user_password + "\n",
            )  # fmt: skip
            self._login(self._user, accounts.user, accounts.user_password)

    def _approve(self) -> None:
        accounts = self._accounts
        self._login(self._admin, accounts.admin, accounts.admin_password)
        waiting = self._admin.json(
            "armillary", "admin", "applications", "--state", "waiting", "--json", quiet=True
        )
        for application in waiting:
            if application["project_name"] == accounts.project:
                self._admin.run(
                    "armillary", "admin", "approve", application["id"], "--cores", "4", "--batch-cores", "4"
                )
        self._phases.say("$ armillary application")
        for line in self._user.run("armillary", "application", quiet=True).splitlines():
            self._phases.say(line)

    # -- the machine

    def _openstack(self, *command: str, timeout: float = 300) -> Any:
        return self._user.json("openstack", "--os-cloud", self._east, *command, "-f", "json", timeout=timeout)

    def _as_admin(self, *command: str, timeout: float = 300) -> Any:
        return self._admin.json(
            "openstack", "--os-cloud", self._east, *command, "-f", "json", timeout=timeout, quiet=True
        )

    def _publish(self, base: BuiltImage) -> None:
        for image in self._as_admin("image", "list", "--name", base.name):
            digest = (
                self._as_admin("image", "show", image["ID"]).get("properties", {}).get("os_hash_value") or ""
            )
            if (image["Status"], digest) == ("active", base.sha512):
                self._phases.say(f"{base.name} is there: sha512 {base.sha512[:16]}…")
                return
            # an older build: it stays for what was made from it, under a name of its own
            older = f"{base.name}-{digest[:8] or image['ID'][:8]}"
            self._admin.run(
                "openstack", "--os-cloud", self._east, "image", "set", "--name", older, image["ID"]
            )
        self._admin.run(
            "openstack", "--os-cloud", self._east, "image", "create", base.name, "--public", "--disk-format", "qcow2",
            "--container-format", "bare", "--file", str(base.path), "-f", "json", timeout=600,
        )  # fmt: skip

    def _servers(self) -> dict[str, Any]:
        return {server["Name"]: server for server in self._openstack("server", "list")}

    def _launch(self) -> None:
        if "demo" not in {key["Name"] for key in self._openstack("keypair", "list")}:
            self._openstack("keypair", "create", "--public-key", f"{self._key}.pub", "demo")
        server = self._servers().get(SERVER)
        if server is None:
            self._openstack(
                "server", "create", "--image", "debian-12", "--flavor", FLAVOR, "--key-name", "demo", "--wait", SERVER,
                timeout=600,
            )  # fmt: skip
        elif server["Status"] == "SHUTOFF":
            self._user.run("openstack", "--os-cloud", self._east, "server", "start", SERVER)

    def _floating_ip(self) -> tuple[str, int]:
        server = self._openstack("server", "show", SERVER)
        ports = self._openstack("port", "list", "--server", server["id"])
        mine = {port["ID"] for port in ports}
        for address in self._openstack("floating", "ip", "list", "--long"):
            if address["Port"] in mine:
                break
        else:
            address = self._openstack("floating", "ip", "create", "public")
            address["Floating IP Address"] = address["floating_ip_address"]
            self._user.run(
                "openstack", "--os-cloud", self._east, "server", "add", "floating", "ip", SERVER,
                address["floating_ip_address"],
            )  # fmt: skip
        shown = self._openstack("floating", "ip", "show", address["Floating IP Address"])
        return shown["floating_ip_address"], _ssh_port(shown.get("description") or "")

    def _install(self, address: tuple[str, int]) -> None:
        self._phases.say("$ sudo apt-get update && sudo apt-get install -y source-extractor")
        self._user.ssh(
            address,
            self._key,
            "command -v source-extractor >/dev/null || { sudo apt-get update -q && "
            "sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends source-extractor; }",
            timeout=1200,
        )

    def _try(self, address: tuple[str, int]) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        for name in ("data", "jobs"):
            for item in files("armillary.app.demo").joinpath(name).iterdir():
                if item.name.endswith((".fits", ".sh", ".param", ".sub")):
                    target = self._work / item.name
                    target.write_bytes(item.read_bytes())
                    target.chmod(0o755 if item.name.endswith(".sh") else 0o644)
        scp = ["scp", *_scp_options(address, self._key)]
        inputs = [str(self._work / name) for name in (*IMAGES, "catalogue.sh", "catalogue.param")]
        self._user.run(*scp, *inputs, f"debian@{address[0]}:", timeout=120, quiet=True)
        self._phases.say("$ ./catalogue.sh m51.fits 1.5; …")
        said = self._user.ssh(
            address,
            self._key,
            f"for i in {' '.join(IMAGES)}; do for t in {' '.join(THRESHOLDS)}; do ./catalogue.sh $i $t; done; done",
        )
        self._phases.say(said.splitlines()[0])
        shutil.rmtree(self._reference, ignore_errors=True)
        self._reference.mkdir(parents=True)
        self._user.run(*scp, f"debian@{address[0]}:*.cat", str(self._reference), timeout=120, quiet=True)

    def _snapshot(self) -> str:
        for image in self._openstack("image", "list", "--private"):
            if image["Name"] == "my-snapshot" and image["Status"] == "active":
                self._phases.say("my-snapshot is there from an earlier run")
                return "my-snapshot"
        # `--wait` of the stock client gives up when an image is slow; we wait by its state
        self._openstack("server", "image", "create", "--name", "my-snapshot", SERVER)
        end = time.monotonic() + 900
        while True:
            image = self._openstack("image", "show", "my-snapshot")
            if image["status"] == "active":
                self._phases.say(f"sha512 {image['properties']['os_hash_value'][:32]}…")
                return "my-snapshot"
            if image["status"] not in {"queued", "saving"} or time.monotonic() > end:
                raise Unavailable(f"the snapshot is {image['status']}, not active", code="snapshot_failed")
            time.sleep(1)

    # -- batch

    def _submit(self, snapshot: str) -> int:
        text = (self._work / "do_catalogue.sub").read_text()
        folder = f"vos:home/{self._accounts.user}/catalogues"
        (self._work / "do_catalogue.sub").write_text(f"folder = {folder}\n{text}")
        self._user.run("cadc-get-cert", "-n", "--host", self._instance.url.removeprefix("https://"))
        if "catalogues" not in self._user.run("vls", f"vos:home/{self._accounts.user}", quiet=True).split():
            self._user.run("vmkdir", folder)
        self._phases.say(f"$ armillary submit do_catalogue.sub --image {snapshot} --flavor {FLAVOR}")
        submitted = json.loads(
            self._user.run(
                "armillary", "submit", "do_catalogue.sub", "--image", snapshot, "--flavor", FLAVOR,
                "--project", self._accounts.project, "--json", cwd=self._work, quiet=True,
            )
        )  # fmt: skip
        return int(submitted["cluster"])

    def _follow(self, cluster: int) -> list[dict[str, Any]]:
        end, told = time.monotonic() + 1800, ""
        while True:
            jobs = self._user.json("armillary", "jobs", str(cluster), "--json", quiet=True)
            states = sorted(job["state"] for job in jobs)
            now = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
            if now != told:
                self._phases.say(now)
                told = now
            if set(states) == {"completed"}:
                break
            if "held" in states or time.monotonic() > end:
                first = next((job for job in jobs if job["state"] != "completed"), jobs[0])
                why = self._user.run("armillary", "job", "explain", first["id"], quiet=True)
                raise Unavailable(
                    f"jobs have not completed ({now}); {first['id']}: {why}", code="jobs_failed"
                )
            time.sleep(4)  # asking takes the processor from machines that boot
        self._user.run("armillary", "fetch", str(cluster), cwd=self._work)
        return jobs

    def _read_back(self) -> None:
        folder = f"vos:home/{self._accounts.user}/catalogues"
        listed = self._user.run("vls", "-l", folder)
        self._phases.say(f"{len(listed.splitlines())} catalogues")
        (self._work / "vospace").mkdir(exist_ok=True)
        for image in IMAGES:
            for threshold in THRESHOLDS:
                name = f"{image.removesuffix('.fits')}.{threshold}.cat"
                self._user.run("vcp", f"{folder}/{name}", str(self._work / "vospace" / name), quiet=True)

    def _check(self, job: dict[str, Any]) -> JobReport:
        image, threshold = job["arguments"][:2]
        name = f"{image.removesuffix('.fits')}.{threshold}.cat"
        found = read_catalogue((self._work / "vospace" / name).read_text())
        reference = read_catalogue((self._reference / name).read_text())
        return JobReport(
            id=job["id"],
            cloud=job["cloud"],
            image_sha512=job["image_sha512"],
            catalogue=f"vos:home/{self._accounts.user}/catalogues/{name}",
            seconds=job["seconds"],
            sources=len(found),
            matches_reference=job["exit_code"] == 0 and same_sources(found, reference),
        )


def _ssh_port(description: str) -> int:
    words = description.rpartition("ssh port ")[2].split()
    return int(words[0]) if words and words[0].isdigit() else 22


def _scp_options(address: tuple[str, int], key: Path) -> list[str]:
    return [
        "-q", "-i", str(key), "-P", str(address[1]), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
        "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
    ]  # fmt: skip
