"""Keeps jobs away from what is the machine's: its user data on disk, and the metadata service of its cloud."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

from armillary.guest.agent.basics import say
from armillary.guest.agent.slots import FIRST, LAST, Account

METADATA = "169.254.169.254"
METADATA_6 = "fe80::a9fe:a9fe"
HIDDEN = ("/etc/armillary", "/var/lib/cloud", "/run/cloud-init", "/var/spool/cron", "/var/spool/at")
"""Directories that look empty to jobs: what the cloud told the machine, and where work for later could be left."""

_USER_DATA = (
    "var/lib/cloud/instances/*/user-data.txt*",
    "var/lib/cloud/instances/*/scripts",
    "var/lib/cloud/seed",
    "run/cloud-init/instance-data*.json",
    "dev/disk/by-label/[cC][oO][nN][fF][iI][gG]-2",
)
"""Where cloud-init and the config drive keep what the cloud said to the machine."""

_NFT = f"""\
table inet armillary {{
  chain output {{
    type filter hook output priority -10; policy accept;
    ip daddr {METADATA} meta skuid {FIRST}-{LAST} reject
    ip6 daddr {METADATA_6} meta skuid {FIRST}-{LAST} reject
  }}
}}
"""
_OWNER = ["OUTPUT", "-d", METADATA, "-m", "owner", "--uid-owner", f"{FIRST}-{LAST}", "-j", "REJECT"]
_RULE = ["to", METADATA, "uidrange", f"{FIRST}-{LAST}", "priority", "100", "prohibit"]


def close_files(*own: Path, root: Path = Path("/")) -> None:
    """Take from others the right to read where user data lies. `own`: more such files."""
    private = [*own]
    for pattern in _USER_DATA:
        private += root.glob(pattern)
    for path in private:
        with contextlib.suppress(OSError):
            path.chmod(0o700 if path.is_dir() else 0o600)


def _run(command: list[str], text: str | None = None) -> bool:
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def close_metadata(account: Account) -> str:
    """Shut the users of jobs out of the metadata service, and try it as one of them.

    Returns how it is shut: `nft`, `iptables`, `ip rule`, or nothing when it is still open, which is said.
    """
    way = ""
    for name, act in (("nft", _by_nft), ("iptables", _by_iptables), ("ip rule", _by_rule)):
        if shutil.which(name.split()[0]) and act():
            way = name
            break
    if reaches_metadata(account):
        say(
            "jobs can reach the metadata service of this cloud: none of nft, iptables and ip rules keeps them out"
        )
        return ""
    return way


def _by_nft() -> bool:
    _run(["nft", "delete", "table", "inet", "armillary"])
    return _run(["nft", "-f", "-"], _NFT)


def _by_iptables() -> bool:
    return _run(["iptables", "-C", *_OWNER]) or _run(["iptables", "-I", *_OWNER])


def _by_rule() -> bool:
    while _run(["ip", "rule", "del", *_RULE]):
        pass
    return _run(["ip", "rule", "add", *_RULE])


def reaches_metadata(account: Account) -> bool:
    """Whether a job's user can open a connection to the metadata service. To be called before there are threads."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(account.gid, account.gid, account.gid)
            os.setresuid(account.uid, account.uid, account.uid)
            with (
                socket.socket() as line
            ):  # nothing that may have to be imported: with these rights it might not
                line.settimeout(2)
                line.connect((METADATA, 80))
            os._exit(1)
        except BaseException:  # noqa: BLE001 - the child of a fork must not go on as its parent
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def hidden_here() -> list[str]:
    """Return those directories of `HIDDEN` that this machine has."""
    return [path for path in HIDDEN if os.path.isdir(path)]  # noqa: PTH112 - names for mount, not paths
