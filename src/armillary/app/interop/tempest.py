"""OpenStack's own test suite, in an environment of its own, against a cloud."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from armillary.app.interop.furnishing import Furnished
from armillary.app.interop.private import PrivateEnvironment, Say
from armillary.app.interop.target import Target
from armillary.base.errors import Unavailable

VERSION = "47.0.0"

_CONFIGURATION = """\
[DEFAULT]
log_file = {workspace}/tempest.log
[oslo_concurrency]
lock_path = {workspace}/lock
[auth]
use_dynamic_credentials = true

admin_username = {target.user}
admin_password = {target.password}
admin_project_name = {target.project}
admin_domain_name = {target.domain}
create_isolated_networks = true
[identity]
uri_v3 = {target.auth_url}
auth_version = v3
region = {target.region}
[identity-feature-enabled]
security_compliance = true
application_credentials = true
[compute]
image_ref = {has.image}
image_ref_alt = {has.image_alt}
flavor_ref = {has.flavor}
flavor_ref_alt = {has.flavor_alt}
min_microversion = 2.1
max_microversion = latest
build_timeout = 300
build_interval = 1
[compute-feature-enabled]
resize = true
cold_migration = false
live_migration = false
console_output = true
[network]
public_network_id = {has.public_network}
floating_network_name = public
project_network_cidr = 10.100.0.0/16
[network-feature-enabled]
api_extensions = all
ipv6 = true
ipv6_subnet_attributes = true
[image-feature-enabled]
image_format_enforcement = false
[image]
build_timeout = 60
[volume]
build_timeout = 120
build_interval = 1
volume_size = {has.disk_gib}
catalog_type = volumev3
[volume-feature-enabled]
backup = false
[service_available]
cinder = true
neutron = true
glance = true
nova = true
swift = false
[validation]
run_validation = {validate}
connect_method = floating
image_ssh_user = debian
ssh_timeout = 600
connect_timeout = 30
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run of the suite came to."""

    passed: int
    failed: int
    skipped: int
    seconds: float
    selected: int
    """tests that were to run; fewer outcomes than this means that a whole class failed in its set-up"""
    failures: tuple[str, ...]
    """test ids"""

    def as_dict(self) -> dict[str, float]:
        return {
            "passed": self.passed, "failed": self.failed, "skipped": self.skipped,
            "seconds": round(self.seconds, 1),
        }  # fmt: skip


class Tempest:
    """The suite, installed under `cache` once for all runs."""

    def __init__(self, *, cache: Path, say: Say) -> None:
        self._own = PrivateEnvironment(
            cache=cache, name="tempest", wanted=f"tempest=={VERSION}", constraints="tempest_constraints.txt"
        )
        self._say = say

    def install(self) -> None:
        """Install it if it is not there: the version that the lists are made for. Raises Unavailable: pip could not."""
        self._own.install(self._say)

    def _program(self, name: str) -> Path:
        return self._own.program(name)

    def configure(
        self, workspace: Path, *, target: Target, has: Furnished, dynamic: bool, validate: bool, workers: int
    ) -> None:
        """Make a workspace; with pre-provisioned credentials, make the accounts too."""
        self._run([self._program("tempest"), "init", workspace, "--workspace-path", workspace.parent / "workspaces.yaml"])  # fmt: skip
        accounts = workspace / "accounts.yaml"
        configuration = workspace / "etc" / "tempest.conf"
        text = _CONFIGURATION.format(
            workspace=workspace, target=target, has=has, validate=str(validate).lower(),

        )  # fmt: skip
        configuration.touch()
        configuration.chmod(0o600)  # it has the administrator's password
        configuration.write_text(text)
        if dynamic:
            return
        self._say("making accounts beforehand")
        generate = ["account-generator", "-c", configuration, "-r", str(workers), "--with-admin", "-i", "3"]
        signed_in = {
            "OS_USERNAME": target.user,
            "OS_PASSWORD": target.password,
            "OS_PROJECT_NAME": target.project,
            "OS_DOMAIN_NAME": target.domain,
        }
        self._run([self._program("tempest"), *generate, accounts], env=signed_in)
        configuration.write_text(
            text.replace(
                "use_dynamic_credentials = true",
                f"use_dynamic_credentials = false\ntest_accounts_file = {accounts}",
            )
        )

    def run(self, workspace: Path, *, only: str, of: str, but: str, workers: int) -> Outcome:
        """Run the tests of the Powered Compute list whose names match the patterns `only` and `of`, and not `but`.

        Raises:
            Unavailable: the suite itself could not run.
        """
        chosen = self._chosen(workspace, only=only, of=of, but=but)
        if not chosen:
            raise Unavailable(
                "no test of the list matches", code="no_tests", remedy="choose others with --only"
            )
        wanted = workspace / "chosen.txt"
        # whole names, since a list of patterns would also take the tests whose names begin so
        wanted.write_text("".join(f"^{re.escape(name)}(\\[|$)\n" for name in chosen))
        self._say(f"{len(chosen)} tests, {workers} at a time")
        began, seen, failures = time.monotonic(), 0, list[str]()
        command = [self._program("tempest"), "run", "--include-list", wanted, "--concurrency", str(workers)]
        lines = list[str]()
        with (
            subprocess.Popen(
                command, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as child,
            (workspace / "output.txt").open("w") as kept,
        ):
            assert child.stdout is not None
            for line in child.stdout:
                kept.write(line)
                lines.append(line)
                found = re.match(r"\{\d+\} ((?:\w+ \(\S+\)|\S+)).*\.\.\. (\w+)", line)
                if not found:
                    continue
                seen += 1
                if found[2] == "FAILED":
                    failures.append(found[1])
                    self._say(f"FAILED {found[1]}")
                elif not seen % 25:
                    self._say(f"{seen} of {len(chosen)}")
        figures = dict(re.findall(r"^ - (Passed|Failed|Skipped): (\d+)$", "".join(lines), re.MULTILINE))
        if "Passed" not in figures:
            raise Unavailable(
                "tempest did not run: " + "".join(lines[-15:]).strip(),
                code="tempest_failed",
                remedy=f"read {workspace / 'output.txt'}",
            )
        return Outcome(
            passed=int(figures["Passed"]), failed=int(figures["Failed"]), skipped=int(figures["Skipped"]),
            seconds=time.monotonic() - began, selected=len(chosen), failures=tuple(failures),
        )  # fmt: skip

    def _chosen(self, workspace: Path, *, only: str, of: str, but: str) -> list[str]:
        with as_file(files("armillary.app.interop") / "powered_compute.txt") as listed:
            command = [self._program("tempest"), "run", "--list-tests", "--include-list", listed]
            told = self._run(command, cwd=workspace)
        # an id without its tags: those depend on the configuration
        names = [line.split("[")[0] for line in told.splitlines() if line.startswith("tempest.")]
        return [
            name for name in names
            if re.search(only, name) and re.search(of, name) and not (but and re.search(but, name))
        ]  # fmt: skip

    def _run(
        self, command: list[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        ran = subprocess.run(
            [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONWARNINGS": "ignore", **(env or {})},
        )  # fmt: skip
        if ran.returncode:
            raise Unavailable(
                f"{' '.join(str(word) for word in command[1:3])} failed: {(ran.stdout + ran.stderr).strip()[-800:]}",
                code="tempest_failed",
                remedy="the last line above says why",
            )
        return ran.stdout


def default_workers() -> int:
    """One worker to a core, two at least, since most of a test is waiting."""
    return max(2, os.cpu_count() or 1)
