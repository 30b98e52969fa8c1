"""Looks at this computer: what is there, what is missing, and the command that mends it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from armillary.app import instance
from armillary.app.acceleration import choose_acceleration
from armillary.app.database import open_records, shown_url
from armillary.app.settings import Settings, load_settings
from armillary.app.storage import open_bytes
from armillary.app.wiring_condor import open_pool
from armillary.base.errors import ArmillaryError
from armillary.cloud.engines.qemu.requirements import Finding, findings


def examine() -> list[Finding]:
    """Return all findings, the ones that stop everything first."""
    found = [_python()]
    try:
        settings = load_settings()
    except ArmillaryError as error:
        return [*found, Finding(name="settings", ok=False, detail=error.message, remedy=error.remedy)]
    found.append(Finding(name="settings", ok=True, detail=_settings_file(settings)))
    found.append(_home(settings.home))
    found += [_records(settings), _bytes(settings), *pool_findings(settings)]
    found += findings(directory=settings.home, acceleration=choose_acceleration(settings))
    found += [
        _program("mmdebstrap", "builds base images"),
        _program("ssh", "reaches machines", "openssh-client"),
    ]
    found += _packages()
    running = instance.running(settings.home)
    if running:
        found.append(
            Finding(name="platform", ok=True, detail=f"runs as process {running.pid} at {running.url}")
        )
    else:
        found += _ports(settings)
    return found


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(name="Python", ok=sys.version_info >= (3, 11), detail=f"{version} at {sys.executable}")


def _settings_file(settings: Settings) -> str:
    file = settings.home / "armillary.toml"
    return str(file) if file.exists() else f"defaults ({file} is not there)"


def _home(home: Path) -> Finding:
    existing = next(path for path in (home, *home.parents) if path.exists())
    if os.access(existing, os.W_OK):
        return Finding(name="home", ok=True, detail=str(home))
    return Finding(
        name="home",
        ok=False,
        detail=f"{existing} may not be written to by this user",
        remedy="export ARMILLARY_HOME=~/armillary",
    )


def _records(settings: Settings) -> Finding:
    if not settings.database_url:  # to open the file would make it
        return Finding(name="records", ok=True, detail=str(settings.home / "armillary.db"))
    try:
        engine = open_records(settings.records_url)
    except ArmillaryError as error:
        return Finding(name="records", ok=False, detail=error.message, remedy=error.remedy)
    engine.dispose()
    return Finding(name="records", ok=True, detail=f"{shown_url(settings.records_url)} answers")


def _bytes(settings: Settings) -> Finding:
    if settings.vospace.bytes == "folder":
        return Finding(name="bytes", ok=True, detail=str(settings.home / "vospace"))
    try:
        open_bytes(settings)
    except ArmillaryError as error:
        return Finding(name="bytes", ok=False, detail=error.message, remedy=error.remedy)
    return Finding(name="bytes", ok=True, detail=f"{settings.vospace.bytes}, written and read")


def pool_findings(settings: Settings) -> list[Finding]:
    """Ask the HTCondor pool, where there is to be one."""
    if settings.batch.engine != "htcondor":
        return []
    with tempfile.TemporaryDirectory() as folder:
        try:
            pool = open_pool(settings.htcondor, Path(folder))
            with contextlib.closing(pool):
                there = pool.ping()
        except ArmillaryError as error:
            return [Finding(name="HTCondor", ok=False, detail=error.message, remedy=_POOL_REMEDY)]
    version = re.sub(r"\$CondorVersion: (\S+) .*", r"\1", str(there["version"]))
    key = settings.htcondor.key_file
    if key is None or not os.access(key, os.R_OK):
        detail = f"{key} cannot be read by this user, so that workers get no tokens"
        return [Finding(name="HTCondor", ok=False, detail=detail, remedy=f"sudo setfacl -m u:$USER:r {key}")]
    return [Finding(name="HTCondor", ok=True, detail=f"schedd {there['name']} of version {version} answers")]


_POOL_REMEDY = (
    "compare [htcondor] in armillary.toml with the pool's administrator: address, trust domain and token"
)


def _program(name: str, what: str, package: str | None = None) -> Finding:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found:
        return Finding(name=name, ok=True, detail=found)
    return Finding(
        name=name, ok=False, detail=f"not installed; {what}", remedy=f"sudo apt-get install {package or name}"
    )


def _packages() -> list[Finding]:
    """The checkout's list of packages, against dpkg; nothing where either is missing."""
    listed = Path(os.environ.get("ARMILLARY_CHECKOUT", "/nonexistent")) / "packaging" / "debian-packages.txt"
    if not listed.exists() or not shutil.which("dpkg-query"):
        return []
    lines = (line.split(maxsplit=2) for line in listed.read_text().splitlines() if not line.startswith("#"))
    wanted = {name: kind for kind, name, _ in lines}
    lacking = [name for name in wanted if not any(_installed(each) for each in name.split("|"))]
    return [
        Finding(
            name=f"package {name.partition('|')[0]}",
            ok=False,
            detail="not installed" + ("; only the tests need it" if wanted[name] == "test" else ""),
            remedy=f"sudo apt-get install --no-install-recommends {name.partition('|')[0]}",
            required=wanted[name] == "run",
        )
        for name in lacking
    ]


def _installed(package: str) -> bool:
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f=${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return asked.stdout == "installed"


def _ports(settings: Settings) -> list[Finding]:
    wanted = {"https": settings.https_port, "http": settings.http_port}
    wanted |= {f"cloud {cloud.name}": cloud.port for cloud in settings.clouds}
    taken: list[Finding] = []
    for what, port in wanted.items():
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError as error:
                taken.append(
                    Finding(
                        name=f"port {port}",
                        ok=False,
                        detail=f"{error.strerror}; wanted for {what}",
                        remedy="stop the program that has it, or set another port in armillary.toml",
                    )
                )
    return taken or [
        Finding(name="ports", ok=True, detail=", ".join(map(str, wanted.values())) + " are free")
    ]
