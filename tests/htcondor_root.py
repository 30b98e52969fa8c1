"""Roots with HTCondor from Debian packages, for its tests, and for the real `condor_submit -dry-run`.

A root is made once with mmdebstrap, from the mirrors that this machine's apt has, and kept in the cache.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from armillary.app.settings import cache_directory
from armillary.recipes.building import host_apt_options
from armillary.recipes.mirror import KEYRING, sources_for
from armillary.recipes.run import run as run_tool
from armillary.recipes.run import tool

PACKAGES = {"trixie": "htcondor", "sid": "condor"}
"""The releases of Debian that have HTCondor, and what it is called there: 23.9 and 25."""
USER = "armillary"
"""Who owns the jobs, here and in the root."""
_MADE_BY = "2"
"""Part of the root's name: another number makes it anew."""
_WRITTEN = ("tmp", "run", "var/tmp", "var/log/condor", "var/lib/condor", "var/spool/condor", "root")
_HOOK = (
    f'chroot "$1" useradd -m {USER}; '
    f'mkdir -p {" ".join(f"$1/{name}" for name in _WRITTEN)} "$1/bench"; '
    'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*'
)
ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
"""What programs in a root find: nothing of ours, such as a CONDOR_CONFIG."""
MOUNTS = f"""\
set -e
mount --make-rprivate /
mount --bind "$root" "$root"  # the starter makes mount namespaces, and wants "/" to be a mount
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for name in {" ".join(_WRITTEN)}; do mount -t tmpfs -o mode=1777 tmpfs "$root/$name"; done
mkdir -p "$root"/run/condor "$root"/run/lock "$root"/var/lib/condor/spool "$root"/var/lib/condor/execute
chroot "$root" chown condor: /run/condor /var/log/condor /var/lib/condor /var/lib/condor/spool /var/lib/condor/execute
chmod 755 "$root"/run/condor "$root"/var/log/condor "$root"/var/lib/condor
"""
"""A piece of shell that makes a root fit to run daemons in, in namespaces of its own; all that they write is in memory."""

LAST_WORDS = r"""
for name in MasterLog SchedLog ShadowLog MatchLog StartLog; do
  log=/var/log/condor/$name
  [ ! -e "$log" ] || { echo "==> $log"; grep -v "Active Workers\|QmgmtPeer" "$log" | tail -n 30 | cut -c 1-240; }
done
"""
"""A piece of shell that shows the ends of the logs which say something of jobs."""


def root_of(suite: str) -> Path:
    """Return the root with HTCondor of a release, made now if it is not in the cache."""
    if os.geteuid() != 0:
        pytest.fail("HTCondor's tests chroot into a Debian with HTCondor: run them as root")
    tools = cache_directory() / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    root = tools / f"htcondor-{suite}-{_MADE_BY}"
    with (tools / f".htcondor-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests run in several processes
        if not root.exists():
            _make(root, suite)
    return root


def _make(root: Path, suite: str) -> None:
    for left in root.parent.glob(f".making-{suite}-*"):
        shutil.rmtree(left)
    making = Path(tempfile.mkdtemp(prefix=f".making-{suite}-", dir=root.parent))
    # The release itself is enough, and has no pockets while it is in the making.
    source = next(
        s for s in sources_for(suite, mirror=os.environ.get("ARMILLARY_DEBIAN_MIRROR")) if suite in s.suites
    )
    lists = making / "debian.sources"
    lists.write_text(
        f"Types: deb\nURIs: {source.uri}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"
    )
    command = [
        tool("mmdebstrap"),
        "--quiet",
        "--variant=minbase",
        f"--include={PACKAGES[suite]},python3-minimal",
    ]
    options = [
        *host_apt_options(),
        'Apt::Install-Recommends "false"',
        # An old clock, or a mirror that is behind, is no matter here.
        'Acquire::Check-Valid-Until "false"',
    ]
    command += [f"--aptopt={option}" for option in options]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    command += [f"--customize-hook={_HOOK}", suite, str(making / "root"), str(lists)]
    env = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    run_tool(command, what=f"making a Debian {suite} with HTCondor", env=env)
    (making / "root").rename(root)
    shutil.rmtree(making)


def run_in_root(
    suite: str, command: Sequence[str], *, files: Mapping[str, str | bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in the root of a release, in a new folder with these files, and return how it went."""
    root = root_of(suite)
    with tempfile.TemporaryDirectory(prefix="armillary-condor-") as name:
        folder = Path(name)
        for path, content in (files or {}).items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        script = f'set -e; mount --bind "{folder}" "{root}/bench"; exec chroot "{root}" sh -c \'cd /bench; exec "$@"\' sh "$@"'
        # A private mount namespace: the folder is seen in the root by this command only.
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
